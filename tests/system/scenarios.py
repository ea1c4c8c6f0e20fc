"""The DAGs of the system tests. Each has one task, one sandbox and one connection."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS
from airflow_provider_bm.operators.approve import HAS_HITL
from airflow_provider_bm.sandbox.contacts import DEFAULT_SERVICE
from tools.airflow_env import is_airflow_2

DEFERRED: dict[str, Any] = {"deferrable": True}
#: Too long for a poll to find that the campaign has finished.
LONG_INTERVAL: dict[str, Any] = {"poke_interval": 600}

#: Additional arguments of BMCreateCampaignOperator, by dag_id.
SCENARIOS: dict[str, dict[str, Any]] = {
    "killed_waiting": {},
    "killed_posting": {},
    "mark_failed_worker": {},
    "mark_failed_deferred": DEFERRED,
    "clear_worker": {},
    "clear_deferred": DEFERRED,
    "no_stop_on_kill_worker": {"stop_on_kill": False},
    "no_stop_on_kill_deferred": {"stop_on_kill": False, **DEFERRED},
    "finished_worker": LONG_INTERVAL,
    "finished_deferred": LONG_INTERVAL | DEFERRED,
    "triggerer_SIGTERM": DEFERRED,
    "triggerer_SIGKILL": DEFERRED,
}

ENDED: dict[str, Any] = {"deferrable": True, "end_from_trigger": True}
STARTED: dict[str, Any] = {"start_from_trigger": True, "end_from_trigger": True}

#: The same for creates that end in the triggerer (Airflow 3.3+).
ENDED_CREATES: dict[str, dict[str, Any]] = {
    "ended_triggerer_SIGKILL": ENDED,
    "ended_clear": ENDED,
    "ended_mark_failed": ENDED,
    "ended_mark_success": ENDED,
    "ended_failed": ENDED,
    "ended_race": ENDED,
    "ended_race_failed": ENDED,
}

#: Additional arguments of BMCampaignSensor, by dag_id (Airflow 3.3+).
SENSORS: dict[str, dict[str, Any]] = {
    "sensor_started_triggerer_SIGKILL": STARTED,
    "sensor_ended_triggerer_SIGKILL": ENDED,
    "sensor_clear": STARTED,
    "sensor_mark_failed": STARTED,
    "sensor_mark_success": STARTED,
    "sensor_failed": STARTED,
    "sensor_soft_fail": {"soft_fail": True, **STARTED},
    "sensor_race": ENDED,
    "sensor_race_failed": STARTED,
}
if not HAS_TRIGGERER_TASKS:
    ENDED_CREATES, SENSORS = {}, {}

#: Scheduled DAGs whose runs are a month late: additional arguments of their operator, by dag_id.
CATCH_UP: dict[str, dict[str, Any]] = {"catch_up": {}, "catch_up_any_age": {"max_age": None}}

#: The DAG that runs after each execution of a campaign, and the campaigns that have their own watchers.
EVENTS = "events"
SERVICE = DEFAULT_SERVICE
WATCHED = [str(uuid5(NAMESPACE_URL, f"watched {number}")) for number in range(20)]

#: DAGs with an approval (Airflow 3.1+), and the seconds that they wait for a response.
APPROVALS = {"approval": 3600, "approval_times_out": 3} if HAS_HITL else {}

#: The DAG that tells people when it is late or fails, and the draft that it clones.
NOTIFICATIONS = "notifications"
ON_CALL_DRAFT = str(uuid5(NAMESPACE_URL, "on call"))


def dag_ids() -> set[str]:
    """Return the ids of all DAGs that the running Airflow should have."""
    waits = {*SCENARIOS, *ENDED_CREATES, *SENSORS}
    return {
        *waits,
        *CATCH_UP,
        *APPROVALS,
        NOTIFICATIONS,
        *([] if is_airflow_2() else [EVENTS, f"{EVENTS}_of_each"]),
    }


def connection_id(dag_id: str) -> str:
    return f"bm_{dag_id}".lower()


def watched_campaign(dag_id: str) -> str:
    """Return the campaign that the sensor of a DAG waits for."""
    return str(uuid5(NAMESPACE_URL, dag_id))


def console_link(dag_id: str, campaign_uuid: str) -> str:
    """Return the link to a campaign that the connection of a DAG leads to."""
    return f"https://bm.test/{dag_id}/{campaign_uuid}"
