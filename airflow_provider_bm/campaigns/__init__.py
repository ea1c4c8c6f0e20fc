"""Campaign payloads, schedules and segmentation. Pure data: needs neither Airflow nor HTTP.

>>> from airflow_provider_bm.campaigns import CampaignCreate
>>> CampaignCreate(
...     name="Storm warning",
...     sending_type="sms",
...     template="Storm ahead, {first_name}",
...     sender="BM",
...     recipient_lists=["cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"],
...     schedule_rrule="2024-05-01T19:05:00+02:00",
... ).to_payload()["schedule_rrule"]
'2024-05-01 17:05:00'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bm._lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_bm.campaigns.ids import campaign_id, parse_uuid
    from airflow_provider_bm.campaigns.local_times import LocalTime, local_time
    from airflow_provider_bm.campaigns.models import (
        CampaignClone,
        CampaignCreate,
        CampaignStatus,
        CampaignUpdate,
    )
    from airflow_provider_bm.campaigns.payload_preview import Preview, preview
    from airflow_provider_bm.campaigns.segmentation import (
        SegmentationGroup,
        SegmentationQuery,
        SegmentationRule,
    )
    from airflow_provider_bm.campaigns.send_window import SendWindow
    from airflow_provider_bm.campaigns.times import parse_time
    from airflow_provider_bm.campaigns.validation import check_complete, merge_changes, writable
    from airflow_provider_bm.campaigns.wait_condition import (
        Verdict,
        Wait,
        WaitCondition,
        check_wait,
        decide,
        describe,
        evaluate,
    )

__all__ = [
    "CampaignClone",
    "CampaignCreate",
    "CampaignStatus",
    "CampaignUpdate",
    "LocalTime",
    "Preview",
    "SegmentationGroup",
    "SegmentationQuery",
    "SegmentationRule",
    "SendWindow",
    "Verdict",
    "Wait",
    "WaitCondition",
    "campaign_id",
    "check_complete",
    "check_wait",
    "decide",
    "describe",
    "evaluate",
    "local_time",
    "merge_changes",
    "parse_time",
    "parse_uuid",
    "preview",
    "writable",
]

if not TYPE_CHECKING:  # Type checkers use the imports above.
    __getattr__, __dir__ = lazy_names(
        globals(),
        {
            "validation": "check_complete merge_changes writable",
            "ids": "campaign_id parse_uuid",
            "models": "CampaignClone CampaignCreate CampaignStatus CampaignUpdate",
            "wait_condition": "Verdict Wait WaitCondition check_wait decide describe evaluate",
            "segmentation": "SegmentationGroup SegmentationQuery SegmentationRule",
            "send_window": "SendWindow",
            "local_times": "LocalTime local_time",
            "payload_preview": "Preview preview",
            "times": "parse_time",
        },
    )
