"""`make airflow`: a local Airflow with UI, connection and examples, and a sandbox.

For this machine only: everything listens on loopback, and no login is required. Each component logs into a
file of its own. Ctrl-C ends all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil

from airflow_provider_bm.sandbox import SandboxClient
from tools.airflow_env import ROOT, AirflowHome, airflow_version, is_airflow_2
from tools.sandbox_process import sandbox_process, set_the_stage

STARTING = 240  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port of the UI (default: 8080)")
    parser.add_argument(
        "--sandbox-port", type=int, default=8765, help="port of the sandbox; 0: any free port"
    )
    parser.add_argument("--home", type=Path, help="AIRFLOW_HOME (default: .airflow/VERSION)")
    arguments = parser.parse_args()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    for port in (arguments.port, arguments.sandbox_port):
        if port and not is_free(port):
            sys.exit(f"Port {port} is taken. Choose free ones: make airflow PORT=8081 SANDBOX_PORT=8766")

    url = f"http://localhost:{arguments.port}"
    home = AirflowHome(extra=settings(arguments.port, url))
    if arguments.home:
        home.path = arguments.home
    print(f"Airflow {airflow_version()}: preparing {shown(home.path)} ...", flush=True)
    home.prepare()
    if is_airflow_2():
        # Every user on loopback is an admin, as in simple_auth_manager_all_admins of Airflow 3.
        (home.path / "webserver_config.py").write_text(
            'WTF_CSRF_ENABLED = True\nAUTH_ROLE_PUBLIC = "Admin"\n'
        )

    with (
        contextlib.suppress(KeyboardInterrupt),
        sandbox_process(home.logs / "sandbox.log", port=arguments.sandbox_port) as (sandbox, client),
    ):
        configure(home, client)
        with contextlib.ExitStack() as stack:
            processes = {"sandbox": sandbox}
            for name, command in components(arguments.port).items():
                processes[name] = stack.enter_context(component(home, name, command))
            wait_until_healthy(url, processes, home)
            print(
                f"""
Open {url}   (no login; for this machine only)

  Unpause the DAG weather_alert: it replays ten days, and warns on the stormy and the frosty ones.
  What was sent:  {client.url}/
  Connection:     bm_default, to the sandbox at {client.url}
  Logs:           {shown(home.logs)}/

Ctrl-C ends Airflow and the sandbox.""",
                flush=True,
            )
            watch(processes, home)
    print("Ended.", flush=True)


def settings(port: int, url: str) -> dict[str, str]:
    """Settings that differ from a headless Airflow."""
    common = {"AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "False"}
    if is_airflow_2():
        return common | {
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.default",
            "AIRFLOW__WEBSERVER__BASE_URL": url,
            "AIRFLOW__WEBSERVER__SECRET_KEY": os.urandom(16).hex(),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            # On a busy machine, the server would consider its worker dead after this time, and exit.
            "AIRFLOW__WEBSERVER__WEB_SERVER_MASTER_TIMEOUT": "0",
            "AIRFLOW__WEBSERVER__SHOW_TRIGGER_FORM_IF_NO_PARAMS": "False",
            "AIRFLOW__WEBSERVER__WARN_DEPLOYMENT_EXPOSURE": "False",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "10",
        }
    return common | {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": os.urandom(32).hex(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }


def components(port: int) -> dict[str, list[str]]:
    """Commands of Airflow's processes. None serves its logs, since the UI reads the files."""
    if is_airflow_2():
        return {
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
            "webserver": ["webserver", "--hostname", "127.0.0.1", "--port", str(port), "--workers", "1"],
        }
    return {
        "api-server": ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }


def configure(home: AirflowHome, sandbox: SandboxClient) -> None:
    """Put the connection and the variables into Airflow's database, where the UI shows them."""
    variables = set_the_stage(sandbox)
    connection = sandbox.connection()
    connection["extra"] = json.dumps(connection["extra"])
    connection["description"] = "The sandbox of make airflow: it sends nothing to anybody"
    with tempfile.TemporaryDirectory() as folder:
        connections_file, variables_file = Path(folder, "connections.json"), Path(folder, "variables.json")
        connections_file.write_text(json.dumps({"bm_default": connection}))
        variables_file.write_text(json.dumps(variables))
        log = home.logs / "configure.log"
        home.airflow("connections", "import", "--overwrite", str(connections_file), log=log)
        home.airflow("variables", "import", str(variables_file), log=log)


@contextlib.contextmanager
def component(home: AirflowHome, name: str, command: list[str]) -> Any:
    """Run one process of Airflow, and end it with all its child processes."""
    with (home.logs / f"{name}.log").open("w") as log:
        process = start(home, command, log)
        try:
            yield process
        finally:
            end_tree(process)


def start(home: AirflowHome, command: list[str], log: IO[str]) -> subprocess.Popen[str]:
    # A separate session, so that Ctrl-C only reaches this process, which ends the others in order.
    # The scripts of the virtual environment come first in PATH: Airflow starts some of them by name.
    env = home.env
    env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", "")))
    return subprocess.Popen(
        [sys.executable, "-m", "airflow", *command],
        env=env,
        cwd=home.path,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end_tree(process: subprocess.Popen[str]) -> None:
    """End a process and its descendants, even those in other sessions."""
    try:
        root = psutil.Process(process.pid)
        descendants = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    _, alive = psutil.wait_procs(descendants, timeout=2)
    for survivor in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            survivor.terminate()
    _, alive = psutil.wait_procs(alive, timeout=5)
    for survivor in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            survivor.kill()
    if process.poll() is None:
        process.kill()
        process.wait()


def wait_until_healthy(url: str, processes: dict[str, subprocess.Popen[str]], home: AirflowHome) -> None:
    path = "/health" if is_airflow_2() else "/api/v2/monitor/health"
    needed = {"metadatabase", "scheduler", "triggerer"} | (set() if is_airflow_2() else {"dag_processor"})
    deadline = time.monotonic() + STARTING
    missing = needed
    while time.monotonic() < deadline:
        check_running(processes, home)
        with contextlib.suppress(OSError, ValueError):
            # Straight to this machine, whatever proxy the environment names.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(url.replace("localhost", "127.0.0.1") + path, timeout=5) as reply:
                health = json.load(reply)
            missing = {name for name in needed if (health.get(name) or {}).get("status") != "healthy"}
            if not missing:
                return
        time.sleep(1)
    raise SystemExit(
        f"Airflow is not up after {STARTING} s: {', '.join(sorted(missing))}. See {shown(home.logs)}/"
    )


def watch(processes: dict[str, subprocess.Popen[str]], home: AirflowHome) -> None:
    while True:
        check_running(processes, home)
        time.sleep(1)


def check_running(processes: dict[str, subprocess.Popen[str]], home: AirflowHome) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            log = home.logs / f"{name}.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise SystemExit(
                f"{name} ended (exit status {process.returncode}). {shown(log)} ends with:\n{tail}"
            )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.resolve().is_relative_to(ROOT) else str(path)


def end(number: int, frame: FrameType | None) -> None:
    for again in (signal.SIGINT, signal.SIGTERM):  # ending takes some seconds; once is enough
        signal.signal(again, signal.SIG_IGN)
    print("\nEnding ...", flush=True)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
