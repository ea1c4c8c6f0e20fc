"""A whole Airflow: its processes, and the REST API that its UI uses, on 2.11 and 3.x alike."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.airflow_env import ROOT, AirflowHome, is_airflow_2
from tools.run_airflow import components, end_tree, settings, start

#: Seconds after which something that has not happened will not: only failing tests take so long.
PATIENCE = 90.0
DAGS = Path(__file__).parent / "dags"
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))

#: Airflow notices and does everything as soon as it can.
QUICK = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # The DAG file is parsed once; the processors then leave the processors of this machine alone.
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
}
#: Airflow 2 wants SequentialExecutor with sqlite, whose scheduler does nothing else while a task runs.
PARALLEL_IN_2 = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningAirflow:
    """Airflow's processes, each in a session of its own.

    :param path: AIRFLOW_HOME
    :param environment: what else all processes get
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.notes = path / "notes"
        self.notes.mkdir(parents=True)
        database = path.resolve() / "airflow.db"
        self.home = AirflowHome(path, DAGS, extra=settings(port, self.url) | QUICK | dict(environment))
        self.home.extra |= {
            "BM_SYSTEM_NOTES": str(self.notes),
            "PYTHONPATH": str(ROOT),
            # Under load somebody may hold the lock of sqlite for longer than its usual five seconds.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}?timeout=60",
            **(PARALLEL_IN_2 if is_airflow_2() else {}),
        }
        self.commands = components(port)
        self.processes: dict[str, subprocess.Popen[str]] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[RunningAirflow]:
        """Start all of it, and end all of it."""
        self.home.prepare()
        if is_airflow_2():
            (self.home.path / "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n')
        with contextlib.ExitStack() as stack:
            stack.callback(self.end)
            for name in self.commands:
                self.start(name)
            yield self

    def start(self, name: str) -> None:
        """Start one component; its output goes to a log of its name."""
        with (self.home.logs / f"{name}.log").open("a") as log:
            self.processes[name] = start(self.home, self.commands[name], log)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the main process of a component, and wait until that one has ended."""
        os.kill(self.processes[name].pid, number)
        self.processes[name].wait(PATIENCE)

    def end(self) -> None:
        for process in self.processes.values():
            end_tree(process)

    def healthy(self) -> bool:
        """Whether every component says that it is, and all DAGs are there."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended ({process.returncode})"
        try:
            health = self.get("/health" if is_airflow_2() else "/api/v2/monitor/health")
            parts = ["metadatabase", "scheduler", "triggerer"]
            return all((health.get(part) or {}).get("status") == "healthy" for part in parts)
        except OSError:
            return False

    def dag_ids(self) -> set[str]:
        """The DAGs that can be run."""
        return {dag["dag_id"] for dag in self.api("GET", "/dags?limit=100")["dags"]}

    def get(self, path: str) -> Any:
        with LOOPBACK.open(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call Airflow's REST API, as its UI and people do."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/api/{'v1' if is_airflow_2() else 'v2'}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with LOOPBACK.open(request, timeout=60) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def until(self, what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Poll until a condition holds, and return what it returned; show Airflow's logs if it does not."""
        deadline = time.monotonic() + patience
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {patience:.0f} s: {what}\n{self.tails()}")
            time.sleep(0.1)
        return value

    def tails(self, lines: int = 40) -> str:
        """The ends of Airflow's logs, tasks' included."""
        files = sorted(self.home.logs.rglob("*.log*"), key=lambda path: path.stat().st_mtime)
        return "\n".join(
            f"--- {path.relative_to(self.home.logs)}\n"
            + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in files
            if "dag_processor" not in str(path)
        )
