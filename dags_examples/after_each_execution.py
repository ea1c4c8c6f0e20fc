"""A DAG that runs after each execution of a recurring campaign, without a sensor and without a schedule.

Needs Airflow 3.0 or newer; on Airflow 2 this file has no DAG, and `recurring.py` shows the way with a sensor.

A watcher in the triggerer polls the campaigns whose names contain `Good morning`, which
`recurring_set_up` creates, among others. Whenever one of them has executed, the asset is updated and the DAG
runs. On Airflow 3.3+ no execution is missed while the triggerer is down.

Set up: the connection `bm_default`; below, the Service UUID of your BM account instead of the sandbox's.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

try:
    from airflow.sdk import AssetWatcher
except ImportError:  # Airflow 2
    AssetWatcher = None  # type: ignore[assignment, misc]

log = logging.getLogger("airflow.task")

SERVICE_UUID = "107ad197-7f21-5416-a60c-a5444d24844e"  # the sandbox's


@task
def carry_on(triggering_asset_events: Any = None) -> list[str]:
    """Your follow-up once the messages are sent, with each campaign as of that time.

    Executions while this DAG waits for a slot are passed together.
    """
    executed = []
    for events in triggering_asset_events.values():
        for event in events:
            campaign = event.extra["payload"]["campaign"]
            log.info("%s executed at %s", campaign["name"], campaign["last_dt"])
            executed.append(campaign["uuid"])
    return executed


if AssetWatcher is not None:
    from airflow_provider_bm.assets import campaign_asset
    from airflow_provider_bm.triggers import BMCampaignEventTrigger

    good_morning = campaign_asset(
        SERVICE_UUID,
        name="good_morning",
        watchers=[
            AssetWatcher(
                name="good_morning_executions",
                trigger=BMCampaignEventTrigger(
                    filters={"contains(name)": "Good morning"}, service_uuid=SERVICE_UUID
                ),
            )
        ],
    )

    with DAG(
        "after_each_execution",
        schedule=[good_morning],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        tags=["bm", "example"],
        doc_md=__doc__,
    ):
        carry_on()
