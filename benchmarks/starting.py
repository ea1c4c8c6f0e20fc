"""Starting: time until the first response of the sandbox, as a command and as a fixture."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_bm.sandbox import Sandbox
from tools.airflow_env import ROOT

RUNS, QUICK_RUNS = 11, 3
COMMAND = "the command"
#: A process that only loads the library which the sandbox's clients need.
BARE = "`python -c 'import requests'`, for comparison"


@dataclass
class Started:
    """Median of the seconds until the first response."""

    name: str
    seconds: float


def run(runs: int) -> list[Started]:
    ways: dict[str, Callable[[], None]] = {BARE: _bare, COMMAND: _command, "in a process that runs": _here}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs + 1):
        for name, start in ways.items():
            began = time.monotonic()
            start()
            times[name].append(time.monotonic() - began)
    return [Started(name, statistics.median(taken[1:])) for name, taken in times.items()]


def _command() -> None:
    command = [sys.executable, "-m", "airflow_provider_bm.sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = re.search(r"http\S+", process.stdout.readline())
        assert url is not None
        _ask(url[0])
        process.kill()


def _bare() -> None:
    subprocess.run([sys.executable, "-c", "import requests"], cwd=ROOT, check=True)


def _here() -> None:
    with Sandbox() as sandbox:
        _ask(sandbox.url)


def _ask(url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{url}/_sandbox/health") as reply:
        assert reply.status == 200
