"""Emergency stop: stop every active campaign of the service.

Trigger it by hand. First pause the DAGs that send, or they will continue to start campaigns.

Each campaign is stopped by a separate task instance, so that a failure does not affect the others. A campaign
that finishes or is deleted meanwhile makes its instance fail, which does no harm: nothing is left to stop. So
only the last task decides the state of the run: it checks whether anything is still active. Green: nothing
sends. Red: its log names what does.

Set up: the connection `bm_default`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from airflow_provider_bm.operators import BMCampaignStatusOperator, BMListCampaignsOperator

log = logging.getLogger("airflow.task")


def uuid_of(campaign: dict[str, str]) -> str:
    return campaign["uuid"]


@task(trigger_rule="all_done")
def nothing_is_active() -> None:
    """Fail if any campaign is active, and log which."""
    from airflow_provider_bm.hooks import BMHook

    active = list(BMHook().list_campaigns(status="active"))
    for campaign in active:
        log.error("Still active: %s %s", campaign["uuid"], campaign["name"])
    if active:
        raise AirflowFailException(f"Still active: {len(active)}. Clear the run to try again.")


with DAG(
    "stop_everything",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=["bm", "example"],
    doc_md=__doc__,
):
    # The first thousand. Airflow maps over 1024 items at the most (core.max_map_length).
    active = BMListCampaignsOperator(task_id="active", status="active", limit=1000)
    # The list contains whole campaigns; only their UUIDs are mapped.
    stop = BMCampaignStatusOperator.partial(task_id="stop", status="stopped").expand(
        campaign_uuid=active.output.map(uuid_of)
    )
    stop >> nothing_is_active()
