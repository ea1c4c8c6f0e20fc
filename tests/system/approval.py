"""A DAG run with an approval: actions of a person on it, and what became of it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow


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
    def page(self) -> str:
        """URL of the review in Airflow's UI."""
        dag_id = self.dag.rpartition("/")[2]
        return f"{self.airflow.url}/dags/{dag_id}/runs/{self.run_id}/tasks/approve/required_actions"

    @property
    def sent(self) -> int:
        """How often the campaign was executed."""
        return len(self.sandbox.executions(campaign_uuid=self.draft))

    @property
    def exists(self) -> bool:
        return any(each["uuid"] == self.draft for each in self.sandbox.campaigns())
