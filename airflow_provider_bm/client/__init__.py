"""The BM Campaign API: requests, replies, retries, OAuth2. No Airflow in it."""

from __future__ import annotations

from airflow_provider_bm.client.client import BMClient
from airflow_provider_bm.client.settings import BMSettings

__all__ = ["BMClient", "BMSettings"]
