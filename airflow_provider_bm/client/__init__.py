"""The BM Campaign API: requests, replies, retries, OAuth2. Does not import Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bm._lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_bm.client.client import BMClient
    from airflow_provider_bm.client.settings import BMSettings

__all__ = ["BMClient", "BMSettings"]

if not TYPE_CHECKING:  # Type checkers use the imports above.
    # DAG parsing constructs an asset's trigger, which checks its filters: that must not import requests.
    __getattr__, __dir__ = lazy_names(globals(), {"client": "BMClient", "settings": "BMSettings"})
