"""The task of a scenario: actions of a person on it, and the state of the task and its campaign."""

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
from tests.system.scenarios import ENDED_CREATES, SCENARIOS, SENSORS
from tools.airflow_env import is_airflow_2

RUN, DATE = "once", "2026-01-02T00:00:00+00:00"


class Task:
    """The task `send` of a DAG, in its only run."""

    def __init__(self, airflow: RunningAirflow, sandbox: Sandbox, dag_id: str) -> None:
        self.airflow, self.sandbox, self.dag_id = airflow, sandbox, dag_id
        self.started = False
        arguments = (SCENARIOS | ENDED_CREATES | SENSORS)[dag_id]
        self.deferred = bool(arguments.get("deferrable") or arguments.get("start_from_trigger"))
        self.path = f"/dags/{dag_id}/dagRuns/{RUN}/taskInstances/send"

    def start(self) -> None:
        """Trigger the DAG, unless it was triggered already."""
        if self.started:
            return
        self.started = True
        body = {"dag_run_id": RUN, "logical_date": DATE}
        try:
            self.airflow.api("POST", f"/dags/{self.dag_id}/dagRuns", body)
        except AssertionError as error:
            # The request was repeated, and the first one was carried out.
            if ": 409 " not in str(error):
                raise

    # Airflow

    def instance(self) -> dict[str, Any]:
        return dict(self.airflow.api("GET", self.path))

    def xcoms(self) -> dict[str, Any]:
        """Return the XComs of the task, by key."""
        path = f"{self.path}/xcomEntries"
        keys = [entry["key"] for entry in self.airflow.api("GET", path)["xcom_entries"]]
        return {key: self.airflow.api("GET", f"{path}/{key}?stringify=false")["value"] for key in keys}

    def links(self) -> dict[str, Any]:
        """Return the extra links of the task, by name."""
        return dict(self.airflow.api("GET", f"{self.path}/links")["extra_links"])

    def find_in_logs(self, pattern: str) -> list[str]:
        """Return all matches of a pattern in the logs of the task, including its triggers."""
        logs = (self.airflow.home.logs / f"dag_id={self.dag_id}").rglob("*.log*")
        return [found for log in logs for found in re.findall(pattern, log.read_text())]

    def tries_on_workers(self) -> set[int]:
        """Return the tries that a worker process has executed, at least in part."""
        logs = (self.airflow.home.logs / f"dag_id={self.dag_id}").rglob("attempt=*.log")
        return {int(found[1]) for log in logs if (found := re.fullmatch(r"attempt=(\d+)\.log", log.name))}

    def wait_for_process(self, number: int = 1) -> int:
        """Wait for the process that executes the operator in a try, and return its id."""
        note = self.airflow.notes / f"{self.dag_id}.{number}"
        self.wait_until(f"try {number} is executed", note.exists)
        return int(note.read_text())

    def kill(self) -> None:
        """Send SIGKILL to the process that executes the operator in the first try."""
        os.kill(self.wait_for_process(), signal.SIGKILL)

    def mark(self, state: str) -> None:
        """Mark the task as failed or success, as the buttons of the UI do."""
        if is_airflow_2():
            form = {"dag_id": self.dag_id, "dag_run_id": RUN, "task_id": "send"}
            self.airflow.post_form(f"/{state}", form)
        else:
            self.airflow.api("PATCH", self.path, {"new_state": state})

    def clear(self) -> None:
        """Clear the task, as the button of the UI does. The REST API of 2.11.2 ignores running tasks."""
        if is_airflow_2():
            form = {"dag_id": self.dag_id, "task_id": "send", "execution_date": DATE, "confirmed": "true"}
            self.airflow.post_form("/clear", form)
        else:
            body = {"dag_run_id": RUN, "task_ids": ["send"], "only_failed": False, "dry_run": False}
            self.airflow.api("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)

    # Waiting

    def wait_until(self, description: str, condition: Callable[[], Any]) -> Any:
        return self.airflow.wait_until(f"{self.dag_id}: {description}", condition)

    def wait_for_state(self, state: str) -> None:
        self.wait_until(f"is {state}", lambda: self.instance()["state"] == state)

    def wait_for_poll(self) -> None:
        """Wait until the task or its trigger polls the campaign again."""
        before = len(self.sandbox.requests("GET"))
        self.wait_until("polls its campaign", lambda: len(self.sandbox.requests("GET")) > before)

    def wait_until_waiting(self) -> None:
        """Wait until the task waits for its campaign."""
        self.wait_until("has posted", self.sandbox.campaigns)
        if self.deferred:
            self.wait_for_state("deferred")
        self.wait_for_poll()

    def wait_until_first_try_ended(self) -> None:
        """Wait until the process of the first try, or its trigger, has ended."""
        if self.deferred:
            self.wait_until_idle()
        else:
            pid = self.wait_for_process()
            self.wait_until("its process has ended", lambda: not psutil.pid_exists(pid))

    def wait_until_idle(self, seconds: float = 2.5) -> None:
        """Wait until the sandbox has received no request for this time."""
        count, since = -1, time.monotonic()

        def is_idle() -> bool:
            nonlocal count, since
            if (new_count := len(self.sandbox.requests())) != count:
                count, since = new_count, time.monotonic()
            return time.monotonic() - since > seconds

        self.wait_until("makes no more requests", is_idle)

    # The campaign

    def finish_campaign(self) -> None:
        """Advance the clock of the sandbox until the campaign has finished."""
        self.sandbox.clock.advance(3600)

    @property
    def campaign(self) -> dict[str, Any]:
        """The only campaign; asserts that it was created and sent once, by the task unless it is a sensor."""
        campaigns = self.sandbox.campaigns()
        assert len(campaigns) == 1, campaigns
        executions = self.sandbox.executions()
        assert len(executions) == 1, executions
        posts = self.sandbox.requests("POST", "/campaigns")
        assert len(posts) == (0 if self.dag_id in SENSORS else 1)
        return campaigns[0]

    @property
    def stop_requests(self) -> int:
        """Number of requests to stop it."""
        return len(self.sandbox.requests("PATCH"))
