"""Approval: prepare a campaign as a draft, and send it once a person has approved it (Airflow 3.1+).

The run waits under *Required Actions*, where the reviewer sees the message, the schedule and the lists. If
the draft is rejected, the task is skipped and the draft deleted; if nobody responds within four hours, the
task fails. Nothing is sent in both cases.

Set up: the connection `bm_default`, and a recipient list's UUID in the Airflow variable `approval_list`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators import BMApproveCampaignOperator, BMCreateCampaignOperator

with DAG(
    "approval",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["bm", "example"],
    doc_md=__doc__,
):
    draft = BMCreateCampaignOperator(
        task_id="draft",
        name="Canteen {{ ds }}",
        sending_type="sms",
        template="Hello {first_name}, the canteen opens at noon today.",
        sender="+41587000000",
        recipient_lists="{{ var.value.approval_list }}",
        status="draft",
    )
    BMApproveCampaignOperator(
        task_id="approve",
        campaign_uuid=draft.output,
        tz="Europe/Zurich",
        response_timeout=timedelta(hours=4),
        on_reject="delete",
    )
