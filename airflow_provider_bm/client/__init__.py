"""The BM Campaign API: requests, replies, retries, OAuth2. No Airflow in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bm._lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_bm.client.client import BMClient
    from airflow_provider_bm.client.settings import BMSettings

__all__ = ["BMClient", "BMSettings"]

if not TYPE_CHECKING:  # For a type checker, the names above are all that there is.
    # An asset's trigger is made where DAGs are parsed, and checks its filters there: without requests.
    __getattr__, __dir__ = lazy_names(globals(), {"client": "BMClient", "settings": "BMSettings"})
