"""Extra links of the Airflow UI: :class:`BMCampaignLink`."""

from __future__ import annotations

from airflow_provider_bm.links.bm import XCOM_KEY, BMCampaignLink

__all__ = ["XCOM_KEY", "BMCampaignLink"]
