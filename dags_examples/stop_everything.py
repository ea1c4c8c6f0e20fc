"""Emergency stop: stop every active campaign of the service.

Trigger it by hand. First pause the DAGs that send, or they will go on starting campaigns.

Each campaign is stopped by a task instance of its own, so that one which cannot be stopped does not keep the
others going. A campaign that finishes, or is deleted, in between makes its instance fail, and that is no
harm: nothing of it is left to stop. So the run is judged by the last task alone, which looks whether anything
is still active. Green: nothing sends. Red: its log names what does.

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
    """Fail, with names, if anything is."""
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
    # The list holds whole campaigns; what is mapped are their UUIDs.
    stop = BMCampaignStatusOperator.partial(task_id="stop", status="stopped").expand(
        campaign_uuid=active.output.map(uuid_of)
    )
    stop >> nothing_is_active()
