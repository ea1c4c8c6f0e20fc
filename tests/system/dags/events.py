"""DAGs scheduled by asset events of campaigns. Parsed by a real Airflow; there are none on Airflow 2."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, task

from airflow_provider_bm.assets import campaign_asset
from tests.system.scenarios import EVENTS, SERVICE, WATCHED, connection_id
from tools.airflow_env import is_airflow_2


def asset(name: str, campaign_uuid: str | None = None, **trigger_arguments: Any) -> Asset:
    from airflow.sdk import AssetWatcher

    from airflow_provider_bm.triggers import BMCampaignEventTrigger

    trigger = BMCampaignEventTrigger(
        bm_conn_id=connection_id(EVENTS), campaign_uuid=campaign_uuid, poke_interval=0.5, **trigger_arguments
    )
    watcher = AssetWatcher(name=name, trigger=trigger)
    return campaign_asset(SERVICE, campaign_uuid, name=name, watchers=[watcher])


if not is_airflow_2():
    START = datetime(2026, 1, 1, tzinfo=UTC)

    with DAG(EVENTS, schedule=[asset("storms", filters={"startswith(name)": "Storm"})], start_date=START):

        @task
        def campaigns_of_run(triggering_asset_events: Any = None) -> list[str]:
            """Return the campaigns whose events triggered this run."""
            return [
                event.extra["payload"]["campaign"]["uuid"]
                for events in triggering_asset_events.values()
                for event in events
            ]

        campaigns_of_run()

    # This DAG runs once all of these campaigns have executed.
    with DAG(
        f"{EVENTS}_of_each",
        schedule=[asset(f"one-{uuid}", uuid) for uuid in WATCHED],
        start_date=START,
    ):
        campaigns_of_run()
