"""Assets: campaigns that DAGs can be scheduled by. See :mod:`.campaign`."""

from __future__ import annotations

from airflow_provider_bm.assets.campaign import SCHEME, campaign_asset, campaign_uri, sanitize_uri

__all__ = ["SCHEME", "campaign_asset", "campaign_uri", "sanitize_uri"]
