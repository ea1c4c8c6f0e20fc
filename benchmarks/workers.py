"""The cost of starting and ending a wait: worker processes, CPU and time, in a real Airflow.

::

    python -m benchmarks.workers --tasks 200

One Airflow (LocalExecutor, sqlite) runs one DAG after the other, each with so many waiting sensors. All
campaigns of a DAG finish at once, when all of its tasks are deferred.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psutil

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow

#: Arguments of the sensors of each DAG.
WAYS: dict[str, dict[str, Any]] = {
    "deferrable": {"deferrable": True},
    "end_from_trigger": {"deferrable": True, "end_from_trigger": True},
    "start_from_trigger": {"start_from_trigger": True},
    "both": {"start_from_trigger": True, "end_from_trigger": True},
}
TIMEOUT = 1800.0
#: Each worker process parses the DAG and counts itself: Airflow allows no listener with end_from_trigger.
DAG_FILE = """
import inspect
import os
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.sensors import BMCampaignSensor
from benchmarks.workers import WAYS, campaigns

if any(frame.filename.endswith("task_runner.py") for frame in inspect.stack(0)):
    with open(os.environ["BM_BENCH_STARTS"], "a") as file:
        file.write(f"{{os.getpid()}}\\n")

for way, arguments in WAYS.items():
    with DAG(dag_id=way, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=10_000):
        for number, uuid in enumerate(campaigns(way, {tasks})):
            BMCampaignSensor(
                task_id=f"wait_{{number}}",
                campaign_uuid=f"{{{{{{{{ '{{uuid}}' }}}}}}}}",
                poke_interval=5,
                **arguments,
            )
"""


@dataclass
class Result:
    """The cost of one DAG.

    :ivar processes: worker processes that were started
    :ivar cpu: seconds of all of Airflow's processes, from the start of the run to its end
    :ivar seconds: from the end of the campaigns to the end of the last task
    """

    way: str
    tasks: int
    states: dict[str, int]
    processes: int
    cpu: float
    seconds: float


def campaigns(way: str, count: int) -> list[str]:
    return [str(uuid5(NAMESPACE_URL, f"{way} {number}")) for number in range(count)]


def measure(tasks: int, say: Callable[[str], None] = print) -> list[Result]:
    """Run all DAGs, one after the other."""
    with tempfile.TemporaryDirectory(prefix="bm-bench-", ignore_cleanup_errors=True) as made, Sandbox() as bm:
        bm.clock.freeze()
        folder = Path(made)
        starts = folder / "starts"
        starts.touch()
        dags = folder / "dags"
        dags.mkdir()
        (dags / "waits.py").write_text(DAG_FILE.format(tasks=tasks))
        running = RunningAirflow(
            folder / "airflow",
            {
                "AIRFLOW_CONN_BM_DEFAULT": bm.connection_json(),
                "BM_BENCH_STARTS": str(starts),
                "AIRFLOW__CORE__PARALLELISM": "4",
            },
        )
        running.home.dags_folder = dags
        with running.running():
            running.wait_until(
                "Airflow is up", lambda: running.healthy() and running.dag_ids() == {*WAYS}, TIMEOUT
            )
            return [_measure(running, bm, way, tasks, starts, say) for way in WAYS]


def _measure(
    running: RunningAirflow, bm: Sandbox, way: str, tasks: int, starts: Path, say: Callable[[str], None]
) -> Result:
    for uuid in campaigns(way, tasks):
        bm.create(uuid=uuid, name=way, status="active")
    cpu, before = _cpu(running), _count(starts)
    running.api("POST", f"/dags/{way}/dagRuns", {"dag_run_id": "bench", "logical_date": None})

    def states() -> dict[str, int]:
        found: dict[str, int] = {}
        instances = running.api("GET", f"/dags/{way}/dagRuns/bench/taskInstances?limit=1000")
        for instance in instances["task_instances"]:
            state = str(instance["state"])
            found[state] = found.get(state, 0) + 1
        return found

    def none_is_starting() -> bool:
        time.sleep(1)  # Airflow's API server needs CPU as well
        return not {*states()} & {"None", "scheduled", "queued", "running", "up_for_retry"}

    running.wait_until("all are deferred", none_is_starting, TIMEOUT)
    bm.clock.advance(60)
    ended = time.monotonic()
    finished = {"success", "failed", "skipped", "upstream_failed"}
    running.wait_until("all have ended", lambda: {*states()} <= finished, TIMEOUT)
    seconds = time.monotonic() - ended
    result = Result(
        way, tasks, states(), _count(starts) - before, round(_cpu(running) - cpu, 1), round(seconds, 1)
    )
    say(json.dumps(asdict(result)))
    return result


def _count(starts: Path) -> int:
    return len(starts.read_text().splitlines())


def _cpu(running: RunningAirflow) -> float:
    """Seconds of all processes, those included that have ended and were waited for."""
    total = 0.0
    for process in running.processes.values():
        main = psutil.Process(process.pid)
        for each in [main, *main.children(recursive=True)]:
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def table(results: list[Result]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| Sensors | Worker processes | CPU, s | Campaigns' end to last task's end, s |",
        "| --- | ---: | ---: | ---: |",
    ]
    for each in results:
        lines.append(
            f"| {each.tasks} × {each.way} | {each.processes} | {each.cpu:.0f} | {each.seconds:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tasks", type=int, default=200, help="sensors of each DAG (default: 200)")
    arguments = parser.parse_args()
    print(table(measure(arguments.tasks)))


if __name__ == "__main__":
    main()
