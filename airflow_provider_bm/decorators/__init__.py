"""Task decorators: ``@task.bm_campaign``."""

from __future__ import annotations

from airflow_provider_bm.decorators.campaign import bm_campaign_task

__all__ = ["bm_campaign_task"]
