"""The notifier in a real Airflow: called by a task's process, the DAG processor and the triggerer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow
from tests.system.scenarios import NOTIFICATIONS, ON_CALL_DRAFT, connection_id
from tools.airflow_env import airflow_version

HAS_DEADLINES = tuple(map(int, airflow_version().split(".")[:2])) >= (3, 1)


@pytest.fixture
def sandbox(airflow: RunningAirflow) -> Iterator[Sandbox]:
    """A sandbox with the draft. Its connection is in Airflow's database, where each process must get it."""
    with Sandbox(port=0) as running:
        running.create(
            uuid=ON_CALL_DRAFT,
            status="draft",
            template="{what}",
            recipient_lists=running.recipient_lists["staff"],
        )
        connection = running.connection()
        airflow.api(
            "POST",
            "/connections",
            {
                "connection_id": connection_id(NOTIFICATIONS),
                **{name: connection[name] for name in ("conn_type", "login", "password", "schema")},
                "extra": json.dumps(connection["extra"]),
            },
        )
        yield running


def test_one_message_for_each_event(airflow: RunningAirflow, sandbox: Sandbox) -> None:
    def sent() -> list[str]:
        texts = {each["campaign_uuid"]: each["text"] for each in sandbox.messages()}
        return sorted(texts.get(each["campaign_uuid"], "") for each in sandbox.executions())

    body = {"dag_run_id": "once", "logical_date": datetime.now(UTC).isoformat()}
    airflow.api("POST", f"/dags/{NOTIFICATIONS}/dagRuns", body)
    late = [f"{NOTIFICATIONS} is late"] if HAS_DEADLINES else []
    airflow.wait_until("the deadline's message", lambda: sent() == late)
    (airflow.notes / NOTIFICATIONS).touch()
    expected = sorted([*late, "load has failed", f"{NOTIFICATIONS} has failed"])
    airflow.wait_until("all messages", lambda: sent() == expected)
    time.sleep(5)
    assert sent() == expected
    assert len(sandbox.requests("POST", "/campaigns")) == len(expected)
