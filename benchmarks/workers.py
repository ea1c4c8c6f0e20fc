"""The cost of starting and ending a wait: worker processes, CPU and time, in a real Airflow.

One Airflow (LocalExecutor, SQLite) runs one DAG after the other, each with the given number of waiting
sensors. All campaigns of a DAG finish at the same time, when all of its triggers poll.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psutil

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow

TASKS, QUICK_TASKS = 200, 5
#: Sensors of each DAG, as expressions. The HTTP provider's cannot read a status: it waits for anything but a
#: 404, so the sandbox answers with that until the campaign has finished.
BOTH, DEFERRED, HTTP = "both", "deferrable", "http"
SENSORS = {
    BOTH: "BMCampaignSensor(**common, campaign_uuid=uuid, start_from_trigger=True, end_from_trigger=True)",
    DEFERRED: "BMCampaignSensor(**common, campaign_uuid=uuid, deferrable=True)",
    HTTP: "HttpSensor(**common, endpoint=f'{campaigns}/{uuid}', headers=headers, deferrable=True)",
}
INTERVAL = 5
#: Ends the id of a DAG with a single sensor, which runs first: Airflow's processes import what they need.
FIRST = "_first"
TIMEOUT = 3600.0
TOKEN_LIFETIME = 24 * 3600.0
#: A worker process counts itself when it parses the DAG. A listener could not: Airflow allows none with
#: end_from_trigger.
DAG_FILE = """
import inspect
import os
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow.providers.http.sensors.http import HttpSensor
from airflow_provider_bm.sensors import BMCampaignSensor
from benchmarks.workers import campaigns_of

if any(frame.filename.endswith("task_runner.py") for frame in inspect.stack(0)):
    with open(os.environ["BM_BENCH_STARTS"], "a") as file:
        file.write(f"{{os.getpid()}}\\n")

headers = {{"Authorization": "Bearer " + os.environ["BM_BENCH_TOKEN"]}}
campaigns = os.environ["BM_BENCH_CAMPAIGNS"]

with DAG("{dag_id}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=10_000):
    for number, uuid in enumerate(campaigns_of("{dag_id}", {tasks})):
        common = {{"task_id": f"wait_{{number}}", "poke_interval": {interval}}}
        {sensor}
"""


@dataclass
class Ended:
    """The cost of one DAG.

    :ivar processes: worker processes that were started
    :ivar cpu: seconds of all of Airflow's processes, from the start of the run to its end
    :ivar seconds: from the end of the campaigns to the end of the last task
    :ivar succeeded: number of tasks that succeeded
    """

    way: str
    tasks: int
    processes: int
    cpu: float
    seconds: float
    succeeded: int


def campaigns_of(dag_id: str, count: int) -> list[str]:
    return [str(uuid5(NAMESPACE_URL, f"{dag_id} {number}")) for number in range(count)]


def run(tasks: int, folder: Path, say: Callable[[str], None]) -> list[Ended]:
    """Run all DAGs, one after the other."""
    with Sandbox() as bm:
        bm.clock.freeze()
        starts = folder / "starts"
        starts.touch()
        dags = folder / "dags"
        dags.mkdir()
        counts = {f"{way}{FIRST}": 1 for way in SENSORS} | dict.fromkeys(SENSORS, tasks)
        for dag_id, count in counts.items():
            sensor = SENSORS[dag_id.removesuffix(FIRST)]
            text = DAG_FILE.format(dag_id=dag_id, tasks=count, sensor=sensor, interval=INTERVAL)
            (dags / f"{dag_id}.py").write_text(text)
        with bm.store.lock:
            token = bm.store.clients.issue_token(bm.client_id, bm.client_secret, TOKEN_LIFETIME)
        running = RunningAirflow(
            folder / "airflow",
            {
                "AIRFLOW_CONN_BM_DEFAULT": bm.connection_json(),
                "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps({"conn_type": "http", "host": bm.url}),
                "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": str(max(100, tasks)),
                "BM_BENCH_CAMPAIGNS": f"news/v1/services/{bm.service_uuid}/campaigns",
                "BM_BENCH_STARTS": str(starts),
                "BM_BENCH_TOKEN": token,
            },
        )
        running.home.dags_folder = dags
        with running.running():
            running.wait_until(
                "Airflow is up", lambda: running.healthy() and running.dag_ids() == {*counts}, TIMEOUT
            )
            found = [_measure(running, bm, *each, starts, say) for each in counts.items()]
            return found[len(SENSORS) :]


def _measure(
    running: RunningAirflow, bm: Sandbox, dag_id: str, tasks: int, starts: Path, say: Callable[[str], None]
) -> Ended:
    for uuid in campaigns_of(dag_id, tasks):
        bm.create(uuid=uuid, name=dag_id, status="active")
    if dag_id.startswith(HTTP):
        bm.fault("GET", "/campaigns/", status=404, times=None)
    path = f"/dags/{dag_id}/dagRuns"
    cpu, before = _cpu(running), _count(starts)
    running.api("POST", path, {"dag_run_id": "bench", "logical_date": None})

    def instances(*states: str) -> list[dict[str, Any]]:
        """Return the task instances, if all of them are in one of these states."""
        time.sleep(2)  # Airflow's API server needs CPU as well
        found: list[dict[str, Any]] = running.api("GET", f"{path}/bench/taskInstances?limit={tasks}")[
            "task_instances"
        ]
        return found if len(found) == tasks and {each["state"] for each in found} <= {*states} else []

    def triggers() -> int:
        """Return the number of triggers that have started: each has a log of its own."""
        return len([*(running.home.logs / f"dag_id={dag_id}").rglob("*.trigger.*")])

    running.wait_until("all are deferred", lambda: instances("deferred", "failed"), TIMEOUT)
    running.wait_until("all triggers have started", lambda: triggers() == tasks, TIMEOUT)
    time.sleep(2 * INTERVAL)  # until each has polled
    ended_at = datetime.now(UTC)
    bm.clock.advance(2 * bm.execution_seconds)
    bm.clear_faults()
    found = running.wait_until("all have ended", lambda: instances("success", "failed"), TIMEOUT)
    last = max(datetime.fromisoformat(each["end_date"]) for each in found)
    result = Ended(
        dag_id,
        tasks,
        processes=_count(starts) - before,
        cpu=_cpu(running) - cpu,
        seconds=(last - ended_at).total_seconds(),
        succeeded=sum(each["state"] == "success" for each in found),
    )
    say(str(result))
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
