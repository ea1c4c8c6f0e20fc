"""A whole Airflow: its processes, and the REST API that its UI uses, on 2.11 and 3.x alike."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request

import psutil

from tools.airflow_env import ROOT, AirflowHome, airflow_version, is_airflow_2
from tools.run_airflow import components, settings, start

#: Seconds after which something that has not happened will not: only failing tests take so long.
PATIENCE = 90.0
DAGS = Path(__file__).parent / "dags"
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))

#: Seconds until a DAG file is read again. Airflow 3.0 starts a watcher only at the second time.
PARSED_AGAIN = "15" if airflow_version().startswith("3.0.") else "3600"
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
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": PARSED_AGAIN,
    "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": PARSED_AGAIN,
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
        self.orphans: list[psutil.Process] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[RunningAirflow]:
        """Start all of it, and end all of it."""
        self.home.prepare()
        if is_airflow_2():
            (self.home.path / "webserver_config.py").write_text(
                'WTF_CSRF_ENABLED = False\nAUTH_ROLE_PUBLIC = "Admin"\n'
            )
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
        process = self.processes[name]
        self.orphans += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.wait(PATIENCE)

    def end(self) -> None:
        """Kill it all: nothing of it is needed any more."""
        doomed = self.orphans
        for process in self.processes.values():
            if process.poll() is None:
                main = psutil.Process(process.pid)
                doomed += [*main.children(recursive=True), main]
        for each in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        for process in self.processes.values():
            process.wait(PATIENCE)

    def healthy(self) -> bool:
        """Whether every component says that it is, and all DAGs are there."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended ({process.returncode})"
        try:
            path = "/health" if is_airflow_2() else "/api/v2/monitor/health"
            health = json.loads(self.send(Request(self.url + path)))
            parts = ["metadatabase", "scheduler", "triggerer"]
            return all((health.get(part) or {}).get("status") == "healthy" for part in parts)
        except OSError:
            return False

    def dag_ids(self) -> set[str]:
        """The DAGs that can be run."""
        return {dag["dag_id"] for dag in self.api("GET", "/dags?limit=100")["dags"]}

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call Airflow's REST API."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/api/{'v1' if is_airflow_2() else 'v2'}{path}"
        headers = {"Content-Type": "application/json", **self.login}
        return json.loads(self.send(Request(url, data, headers, method=method)))

    @cached_property
    def login(self) -> dict[str, str]:
        """What the REST API of 3.x wants, though everybody is an admin."""
        if is_airflow_2():
            return {}
        reply = json.loads(self.send(Request(self.url + "/auth/token")))
        return {"Authorization": f"Bearer {reply['access_token']}"}

    def button(self, path: str, form: Mapping[str, str]) -> None:
        """Do what a button of Airflow 2's UI does."""
        self.send(Request(self.url + path, urlencode(form).encode(), {"Accept": "application/json"}))

    def send(self, request: Request, attempts: int = 4) -> str:
        """Call Airflow's server, as a person would who clicks again when nothing happens.

        On sqlite it hangs now and then, when another process of Airflow holds the database.
        """
        try:
            with LOOPBACK.open(request, timeout=15) as reply:
                return str(reply.read(), "utf-8")
        except urllib.error.HTTPError as error:
            text = f"{request.full_url}: {error.code} {error.read().decode()}"
            if error.code < 500 or attempts <= 1:
                raise AssertionError(text) from None
        except TimeoutError:
            if attempts <= 1:
                raise
        return self.send(request, attempts - 1)

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
