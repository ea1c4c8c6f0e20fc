"""The DAGs of the system tests. Each has one task, one sandbox and one connection."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

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

#: Scheduled DAGs whose runs are a month late: additional arguments of their operator, by dag_id.
CATCH_UP: dict[str, dict[str, Any]] = {"catch_up": {}, "catch_up_any_age": {"max_age": None}}

#: The DAG that runs after each execution of a campaign, and the campaigns that have their own watchers.
EVENTS = "events"
SERVICE = DEFAULT_SERVICE
WATCHED = [str(uuid5(NAMESPACE_URL, f"watched {number}")) for number in range(20)]

#: DAGs with an approval (Airflow 3.1+), and the seconds that they wait for a response.
APPROVALS = {"approval": 3600, "approval_times_out": 3} if HAS_HITL else {}


def dag_ids() -> set[str]:
    """Return the ids of all DAGs that the running Airflow should have."""
    return {*SCENARIOS, *CATCH_UP, *APPROVALS, *([] if is_airflow_2() else [EVENTS, f"{EVENTS}_of_each"])}


def connection_id(dag_id: str) -> str:
    return f"bm_{dag_id}".lower()
