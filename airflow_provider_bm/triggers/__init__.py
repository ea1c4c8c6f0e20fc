"""Triggers: what runs in the triggerer, and how tasks use it.

``BMCampaignEventTrigger`` needs Airflow 3.0 or newer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bm._lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_bm.triggers.batch import BMCampaignBatchTrigger
    from airflow_provider_bm.triggers.campaign import BMCampaignTrigger
    from airflow_provider_bm.triggers.event import BMCampaignEventTrigger

__all__ = ["BMCampaignBatchTrigger", "BMCampaignEventTrigger", "BMCampaignTrigger"]

if not TYPE_CHECKING:  # Type checkers use the imports above.
    __getattr__, __dir__ = lazy_names(
        globals(),
        {
            "batch": "BMCampaignBatchTrigger",
            "campaign": "BMCampaignTrigger",
            "event": "BMCampaignEventTrigger",
        },
    )
