"""The task of a scenario: what a person does to it, and what it and its campaign have become."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow
from tests.system.scenarios import SCENARIOS
from tools.airflow_env import is_airflow_2

RUN, DATE = "once", "2026-01-02T00:00:00+00:00"


class Task:
    """The task `send` of a DAG, in its only run."""

    def __init__(self, airflow: RunningAirflow, sandbox: Sandbox, dag_id: str) -> None:
        self.airflow, self.sandbox, self.dag_id = airflow, sandbox, dag_id
        self.started = False
        self.deferred = bool(SCENARIOS[dag_id].get("deferrable"))
        self.path = f"/dags/{dag_id}/dagRuns/{RUN}/taskInstances/send"

    def start(self) -> None:
        """Run the DAG, if that has not been done."""
        if self.started:
            return
        self.started = True
        body = {"dag_run_id": RUN, "logical_date": DATE}
        self.airflow.api("POST", f"/dags/{self.dag_id}/dagRuns", body)

    # Airflow

    def instance(self) -> dict[str, Any]:
        return dict(self.airflow.api("GET", self.path))

    def logged(self, pattern: str) -> list[str]:
        """What the task's logs have that is like this, its triggers' logs included."""
        logs = (self.airflow.home.logs / f"dag_id={self.dag_id}").rglob("*.log*")
        return [found for log in logs for found in re.findall(pattern, log.read_text())]

    def until_executed(self, number: int = 1) -> int:
        """Wait for the process that executes the operator in a try, and return its id."""
        note = self.airflow.notes / f"{self.dag_id}.{number}"
        self.until(f"try {number} is executed", note.exists)
        return int(note.read_text())

    def kill(self) -> None:
        """kill -9 the process that executes the operator in the first try."""
        os.kill(self.until_executed(), signal.SIGKILL)

    def mark_failed(self) -> None:
        """What the button of the UI does."""
        if is_airflow_2():
            self.airflow.button("/failed", {"dag_id": self.dag_id, "dag_run_id": RUN, "task_id": "send"})
        else:
            self.airflow.api("PATCH", self.path, {"new_state": "failed"})

    def clear(self) -> None:
        """What the button of the UI does. (The REST API of 2.11.2 loses it, where the task is running.)"""
        if is_airflow_2():
            form = {"dag_id": self.dag_id, "task_id": "send", "execution_date": DATE, "confirmed": "true"}
            self.airflow.button("/clear", form)
        else:
            body = {"dag_run_id": RUN, "task_ids": ["send"], "only_failed": False, "dry_run": False}
            self.airflow.api("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)

    # Waiting for something

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        return self.airflow.until(f"{self.dag_id}: {what}", condition)

    def until_state(self, state: str) -> None:
        self.until(f"is {state}", lambda: self.instance()["state"] == state)

    def until_watched(self) -> None:
        """Wait until the task or its trigger looks at the campaign, from now on."""
        looks = len(self.sandbox.requests("GET"))
        self.until("looks at its campaign", lambda: len(self.sandbox.requests("GET")) > looks)

    def until_waiting(self) -> None:
        """Wait until the task waits for its campaign."""
        if self.deferred:
            self.until_state("deferred")
        self.until_watched()

    def until_let_go(self) -> None:
        """Wait until the first try's process, or its trigger, has done all that it would do."""
        if self.deferred:
            self.until_quiet()
        else:
            pid = self.until_executed()
            self.until("its process has ended", lambda: not psutil.pid_exists(pid))

    def until_quiet(self, seconds: float = 2.5) -> None:
        """Wait until nobody has asked the sandbox for anything for a while."""
        seen, since = -1, time.monotonic()

        def quiet() -> bool:
            nonlocal seen, since
            if (count := len(self.sandbox.requests())) != seen:
                seen, since = count, time.monotonic()
            return time.monotonic() - since > seconds

        self.until("leaves its campaign alone", quiet)

    # The campaign

    def finish(self) -> None:
        """Let the campaign come to its end."""
        self.sandbox.clock.advance(3600)

    @property
    def campaign(self) -> dict[str, Any]:
        """The campaign, of which there is one, and which has been sent once."""
        campaigns = self.sandbox.campaigns()
        assert len(campaigns) == 1, campaigns
        executions = self.sandbox.executions()
        assert len(executions) == 1, executions
        assert len(self.sandbox.requests("POST", "/campaigns")) == 1
        return campaigns[0]

    @property
    def stops(self) -> int:
        """How often it was told to stop."""
        return len(self.sandbox.requests("PATCH"))
