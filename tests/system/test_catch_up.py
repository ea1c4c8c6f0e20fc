"""Runs of a real scheduler that are a month late send nothing, unless max_age=None allows it."""

from __future__ import annotations

import pytest

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow
from tests.system.scenarios import CATCH_UP


@pytest.mark.parametrize("dag_id", CATCH_UP)
def test_late_scheduled_runs_send_only_if_any_age_is_allowed(
    airflow: RunningAirflow, sandboxes: dict[str, Sandbox], dag_id: str
) -> None:
    def states() -> list[str]:
        runs = airflow.api("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        return [run["state"] for run in runs if run["state"] in ("success", "failed")]

    airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    any_age = CATCH_UP[dag_id].get("max_age", "a day") is None
    expected = ["success" if any_age else "failed"] * 2
    airflow.wait_until(f"{dag_id}: two runs have ended", lambda: len(states()) >= 2)
    assert states() == expected, airflow.log_tails()
    sandbox = sandboxes[dag_id]
    assert len(sandbox.executions()) == (2 if any_age else 0)
    assert len(sandbox.requests(method="POST", path="/campaigns")) == len(sandbox.executions())
