"""A complete Airflow: its processes, and the REST API that its UI uses, for both 2.11 and 3.x."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
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

#: Default timeout in seconds. Only failing tests take so long.
TIMEOUT = 90.0
DAGS = Path(__file__).parent / "dags"
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))

#: Seconds until a DAG file is parsed again. Airflow 3.0 starts a watcher only after the second time.
PARSE_INTERVAL = "15" if airflow_version().startswith("3.0.") else "3600"
#: Settings that make Airflow react as fast as possible.
FAST_SETTINGS = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # Parse the DAG files once, to save CPU time.
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": PARSE_INTERVAL,
    "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": PARSE_INTERVAL,
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
}
#: With SQLite, Airflow 2 requires SequentialExecutor, whose scheduler is blocked while a task runs.
LOCAL_EXECUTOR_ON_AIRFLOW_2 = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningAirflow:
    """Airflow's processes, each in its own session.

    :param path: AIRFLOW_HOME
    :param environment: additional environment variables of all processes
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.notes = path / "notes"
        self.notes.mkdir(parents=True)
        database = path.resolve() / "airflow.db"
        self.home = AirflowHome(
            path, DAGS, extra=settings(port, self.url) | FAST_SETTINGS | dict(environment)
        )
        self.home.extra |= {
            "BM_SYSTEM_NOTES": str(self.notes),
            "PYTHONPATH": str(ROOT),
            # Longer than the default of five seconds, since other processes are slow under load. Not much
            # longer, since two requests of the API server may wait for each other.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}?timeout=12",
            **(LOCAL_EXECUTOR_ON_AIRFLOW_2 if is_airflow_2() else {}),
        }
        self.commands = components(port)
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.orphans: list[psutil.Process] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[RunningAirflow]:
        """Start all components, and end them afterwards."""
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
        """Start one component, and write its output to a log with its name."""
        with (self.home.logs / f"{name}.log").open("a") as log:
            self.processes[name] = start(self.home, self.commands[name], log)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the main process of a component, and wait until it has ended."""
        process = self.processes[name]
        self.orphans += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.wait(TIMEOUT)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Pause the main process of a component, at a moment when it has not locked the database."""
        process = self.processes[name]

        def is_paused() -> bool:
            process.send_signal(signal.SIGSTOP)
            with contextlib.closing(sqlite3.connect(self.home.database, timeout=1)) as database:
                try:
                    database.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError:
                    process.send_signal(signal.SIGCONT)
                    return False
            return True

        self.wait_until(f"{name} is paused", is_paused)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill all processes and their children."""
        to_kill = self.orphans
        for process in self.processes.values():
            if process.poll() is None:
                main = psutil.Process(process.pid)
                to_kill += [*main.children(recursive=True), main]
        for process_to_kill in to_kill:
            with contextlib.suppress(psutil.NoSuchProcess):
                process_to_kill.kill()
        for process in self.processes.values():
            process.wait(TIMEOUT)

    def healthy(self) -> bool:
        """Return whether every component reports that it is healthy."""
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
        """Return the ids of all DAGs that can be run."""
        return {dag["dag_id"] for dag in self.api("GET", "/dags?limit=100")["dags"]}

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call Airflow's REST API."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/api/{'v1' if is_airflow_2() else 'v2'}{path}"
        headers = {"Content-Type": "application/json", **self.login}
        return json.loads(self.send(Request(url, data, headers, method=method)))

    @cached_property
    def login(self) -> dict[str, str]:
        """Headers that the REST API of 3.x requires, although every user is an admin."""
        if is_airflow_2():
            return {}
        reply = json.loads(self.send(Request(self.url + "/auth/token")))
        return {"Authorization": f"Bearer {reply['access_token']}"}

    def post_form(self, path: str, form: Mapping[str, str]) -> None:
        """Post a form to Airflow 2's web server, as a button of its UI does."""
        self.send(Request(self.url + path, urlencode(form).encode(), {"Accept": "application/json"}))

    def send(self, request: Request, attempts: int = 4) -> str:
        """Send a request to Airflow's server, and repeat it after a timeout or an error of the server.

        With SQLite the server sometimes hangs while another process has locked the database.
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

    def wait_until(self, description: str, condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
        """Poll until a condition is true and return its value. On a timeout, raise with Airflow's logs."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"timeout after {timeout:.0f} s: {description}\n{self.log_tails()}")
            time.sleep(0.1)
        return value

    def log_tails(self, lines: int = 40) -> str:
        """Return the last lines of Airflow's logs, including those of tasks."""
        files = sorted(self.home.logs.rglob("*.log*"), key=lambda path: path.stat().st_mtime)
        return "\n".join(
            f"--- {path.relative_to(self.home.logs)}\n"
            + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in files
            if "dag_processor" not in str(path)
        )
