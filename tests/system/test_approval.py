"""Approval in a real Airflow, by the REST API that its UI uses: how many messages go out."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from airflow_provider_bm.operators.approve import HAS_HITL
from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow
from tools.airflow_env import ROOT

if not HAS_HITL:
    pytest.skip("Airflow before 3.1 has no human-in-the-loop operators", allow_module_level=True)

#: Run in a whole Airflow by tests/system/dags/approval.py, with other arguments.
EXAMPLE = ROOT / "dags_examples" / "approval.py"


class Approval:
    """A DAG run that waits for the approval of a draft of its own."""

    def __init__(self, airflow: RunningAirflow, sandbox: Sandbox, run_id: str, dag_id: str) -> None:
        self.airflow, self.sandbox, self.run_id = airflow, sandbox, run_id
        self.draft = sandbox.create(
            name=f"Storm {run_id}",
            status="draft",
            template="Stay at home, {first_name}.",
            recipient_lists=sandbox.recipient_lists["staff"],
        )["uuid"]
        self.dag = f"/dags/{dag_id}"
        self.task = f"{self.dag}/dagRuns/{run_id}/taskInstances/approve"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": {"draft": self.draft}}
        airflow.api("POST", f"{self.dag}/dagRuns", body)

    def state(self) -> Any:
        return self.airflow.api("GET", self.task)["state"]

    def wait_for_state(self, *states: str) -> None:
        self.airflow.wait_until(f"{self.run_id} is {states}", lambda: self.state() in states)

    def wait_until_waiting(self) -> dict[str, Any]:
        """Wait until the review is open, and return what the reviewer sees.

        A response within the same second makes Airflow 3.3.2 run the task again, and ask again.
        """
        self.wait_for_state("awaiting_input", "deferred")
        time.sleep(3)
        return dict(self.airflow.api("GET", f"{self.task}/-1/hitlDetails"))

    def respond(self, option: str) -> None:
        body = {"chosen_options": [option], "params_input": {}}
        self.airflow.api("PATCH", f"{self.task}/-1/hitlDetails", body)

    def kill(self) -> None:
        """kill -9 the process that runs the first try."""
        os.kill(int((self.airflow.notes / f"{self.run_id}.1").read_text()), signal.SIGKILL)

    def clear(self) -> None:
        """Clear the task, once the scheduler has ended the run: it could undo the clearing otherwise."""
        path = f"{self.dag}/dagRuns/{self.run_id}"
        self.airflow.wait_until(
            "the run is over", lambda: self.airflow.api("GET", path)["state"] == "success"
        )
        body = {
            "dag_run_id": self.run_id,
            "task_ids": ["approve"],
            "only_failed": False,
            "dry_run": False,
        }
        self.airflow.api("POST", f"{self.dag}/clearTaskInstances", body)

    def try_number(self) -> int:
        return int(self.airflow.api("GET", self.task)["try_number"])

    @property
    def sent(self) -> int:
        """How often the campaign was executed."""
        return len(self.sandbox.executions(campaign_uuid=self.draft))

    @property
    def exists(self) -> bool:
        return any(each["uuid"] == self.draft for each in self.sandbox.campaigns())


@pytest.fixture
def approval(airflow: RunningAirflow, sandboxes: dict[str, Sandbox], request: pytest.FixtureRequest):
    def start(dag_id: str = "approval") -> Approval:
        return Approval(airflow, sandboxes["approval"], request.node.name, dag_id)

    return start


def test_approved(approval):
    run = approval()
    review = run.wait_until_waiting()
    assert review["subject"] == "Send campaign 'Storm test_approved'?"
    assert "Stay at home, {first_name}." in review["body"]
    assert run.sent == 0
    run.respond("Approve")
    run.wait_for_state("success")
    assert run.sent == 1


def test_rejected(approval):
    run = approval()
    run.wait_until_waiting()
    run.respond("Reject")
    run.wait_for_state("skipped")
    assert (run.sent, run.exists) == (0, False)


def test_nobody_responds(approval):
    run = approval("approval_times_out")
    run.wait_for_state("failed")
    assert (run.sent, run.exists, run.try_number()) == (0, False, 1)


def test_changed_during_the_review(approval):
    run = approval()
    run.wait_until_waiting()
    run.sandbox.update_campaign(run.draft, template="Run, {first_name}.")
    run.respond("Approve")
    run.wait_for_state("failed")
    assert (run.sent, run.exists) == (0, True)


def test_killed_after_the_approval(approval):
    run = approval()
    run.wait_until_waiting()
    # Carried out, and no reply as long as the test lasts.
    run.sandbox.fault("PUT", run.draft, delay_after=1000)
    run.respond("Approve")
    run.airflow.wait_until("the campaign is activated", lambda: run.sent)
    run.kill()
    run.wait_for_state("success")
    assert (run.sent, run.try_number()) == (1, 2)


def test_cleared_after_sending(approval):
    run = approval()
    run.wait_until_waiting()
    run.respond("Approve")
    run.wait_for_state("success")
    run.clear()
    run.airflow.wait_until("has run again", lambda: run.try_number() == 2 and run.state() == "success")
    assert run.sent == 1
