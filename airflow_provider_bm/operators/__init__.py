"""The operators: one for each call of the Campaign API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bm._lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_bm.operators.approve import BMApproveCampaignOperator
    from airflow_provider_bm.operators.batch import BMCampaignBatchOperator
    from airflow_provider_bm.operators.clone import BMCloneCampaignOperator
    from airflow_provider_bm.operators.create import BMCreateCampaignOperator
    from airflow_provider_bm.operators.delete import BMDeleteCampaignOperator
    from airflow_provider_bm.operators.get import BMGetCampaignOperator
    from airflow_provider_bm.operators.list import BMListCampaignsOperator
    from airflow_provider_bm.operators.report import BMCampaignReportOperator
    from airflow_provider_bm.operators.status import BMCampaignStatusOperator
    from airflow_provider_bm.operators.update import BMUpdateCampaignOperator

__all__ = [
    "BMApproveCampaignOperator",
    "BMCampaignBatchOperator",
    "BMCampaignReportOperator",
    "BMCampaignStatusOperator",
    "BMCloneCampaignOperator",
    "BMCreateCampaignOperator",
    "BMDeleteCampaignOperator",
    "BMGetCampaignOperator",
    "BMListCampaignsOperator",
    "BMUpdateCampaignOperator",
]

if not TYPE_CHECKING:  # Type checkers use the imports above.
    __getattr__, __dir__ = lazy_names(
        globals(),
        {
            "approve": "BMApproveCampaignOperator",
            "batch": "BMCampaignBatchOperator",
            "clone": "BMCloneCampaignOperator",
            "create": "BMCreateCampaignOperator",
            "delete": "BMDeleteCampaignOperator",
            "get": "BMGetCampaignOperator",
            "list": "BMListCampaignsOperator",
            "report": "BMCampaignReportOperator",
            "status": "BMCampaignStatusOperator",
            "update": "BMUpdateCampaignOperator",
        },
    )
