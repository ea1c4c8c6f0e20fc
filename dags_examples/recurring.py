"""A recurring campaign, and a daily DAG that continues when the campaign has executed.

BM sends a recurring campaign by itself, here every day at 6:30 UTC. Airflow's part is what comes after:

`recurring_set_up`, triggered by hand, starts the campaign, once, and keeps its UUID in the Airflow variable
`good_morning_campaign`. If the campaign was created in the BM console, set the variable and leave this out.

`recurring_daily` waits for the day's execution, without a worker. A recurring campaign does not finish, so
it does not wait for a status but for an execution since the run's own midnight.

Set up: the connection `bm_default`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Variable, task
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor

log = logging.getLogger("airflow.task")

VARIABLE = "good_morning_campaign"


@task.short_circuit
def not_started_yet(campaign_uuid: str) -> bool:
    """Two such campaigns would greet everybody twice a day."""
    return not campaign_uuid


@task
def remember(campaign_uuid: str) -> None:
    """Keep the UUID for the daily DAG."""
    Variable.set(VARIABLE, campaign_uuid)


@task
def carry_on(campaign: dict[str, str]) -> str:
    """Your follow-up once the messages are sent, with the campaign as returned by the sensor."""
    log.info("It executed at %s; the next time is %s", campaign["last_dt"], campaign["next_dt"])
    return campaign["last_dt"]


with DAG(
    "recurring_set_up",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["bm", "example"],
    doc_md=__doc__,
):
    create = BMCreateCampaignOperator(
        task_id="create",
        name="Good morning",
        sending_type="sms",
        template="Good morning {first_name}. Today's menu: example.com/menu",
        sender="+41587000000",
        recipient_lists="d326d5d5-7ed4-5580-b947-541396b642f8",  # the sandbox's list `staff`
        schedule_rrule="FREQ=DAILY;BYHOUR=6;BYMINUTE=30;BYSECOND=0",  # UTC
    )
    not_started_yet(f"{{{{ var.value.get('{VARIABLE}', '') }}}}") >> create
    remember(create.output)


with DAG(
    "recurring_daily",
    # Each run begins at midnight of its day, on Airflow 2 as on 3, and waits until 6:30.
    schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["bm", "example"],
    doc_md=__doc__,
):
    wait = BMCampaignSensor(
        task_id="wait",
        campaign_uuid=f"{{{{ var.value.{VARIABLE} }}}}",
        # An execution before the first poll counts, too: a late run does not miss it.
        executed_after="{{ data_interval_start }}",
        deferrable=True,
        timeout=23 * 60 * 60,  # before the next run
    )
    carry_on(wait.output)
