"""The life of a campaign: create it, wait until its messages are sent, delete it.

Trigger it by hand; the form asks for text, sender and recipients. Its defaults are for the sandbox
(`python -m airflow_provider_bm.sandbox`), where the list `staff` has this UUID.

Set up: the connection `bm_default`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_bm.operators import BMCreateCampaignOperator, BMDeleteCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor

with DAG(
    "life_cycle",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={
        "text": Param("Hello {first_name}, the canteen opens at noon today.", type="string"),
        "sender": Param("+41587000000", type="string", description="A sender that BM has approved"),
        "recipients": Param(
            "d326d5d5-7ed4-5580-b947-541396b642f8",
            type="string",
            format="uuid",
            description="UUID of a recipient list",
        ),
    },
    tags=["bm", "example"],
    doc_md=__doc__,
):
    # Returns as soon as BM has the campaign. Its UUID is the task's XCom.
    create = BMCreateCampaignOperator(
        task_id="create",
        name="Canteen",
        sending_type="sms",
        template="{{ params.text }}",
        sender="{{ params.sender }}",
        recipient_lists="{{ params.recipients }}",
    )
    # In one step: `wait_for_completion=True` on the operator. A separate sensor can be cleared on its own.
    wait = BMCampaignSensor(
        task_id="wait",
        campaign_uuid=create.output,
        deferrable=True,
        timeout=60 * 60,
    )
    # Only after a wait that ended well: a stopped campaign is kept for inspection. Do not clear
    # `create` after this: before Airflow 3.3 it cannot know that there was a campaign, and sends again.
    delete = BMDeleteCampaignOperator(task_id="delete", campaign_uuid=create.output)

    wait >> delete
