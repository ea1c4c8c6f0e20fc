"""Parsing: the CPU time of Airflow's DAG processor for a DAG file with 200 tasks."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import MEASURED, Child
from tools.airflow_env import environment

TASKS = 200
#: New processes for each file, after one that compiles all bytecode.
RUNS, QUICK_RUNS = 9, 3

_DAG = """\
from airflow.sdk import DAG
{imports}

with DAG("{name}"):
    for number in range({pairs}):
        {first} >> {second}
"""
_BM = """\
BMCreateCampaignOperator(
            task_id=f"create_{number}",
            name=f"Storm warning {number}",
            sending_type="sms",
            template="Stay at home, {first_name}.",
            sender="+41587000000",
            recipient_lists="cf9eeb30-c1af-11ee-8073-bf4d6e8c1618",
        )"""
_BM_WAIT = """\
BMCampaignSensor(
            task_id=f"wait_{number}", campaign_uuid=f"{{{{ ti.xcom_pull('create_{number}') }}}}"
        )"""
_HTTP = """\
HttpOperator(
            task_id=f"create_{number}",
            endpoint="campaigns",
            data='{"name": "Storm warning"}',
            headers={"Content-Type": "application/json"},
        )"""
_HTTP_WAIT = """\
HttpSensor(
            task_id=f"wait_{number}", endpoint=f"campaigns/{{{{ ti.xcom_pull('create_{number}') }}}}"
        )"""
_BM_GET = """\
BMGetCampaignOperator(
            task_id=f"get_{number}", campaign_uuid=f"{{{{ ti.xcom_pull('create_{number}') }}}}"
        )"""
_HTTP_GET = """\
HttpOperator(
            task_id=f"get_{number}",
            method="GET",
            endpoint=f"campaigns/{{{{ ti.xcom_pull('create_{number}') }}}}",
        )"""
_BARE_WAIT = """\
Bare(task_id=f"wait_{number}")"""
EMPTY, OPERATORS, HTTP, SENSORS, BARE_SENSORS = (
    "EmptyOperator",
    "BM",
    "HTTP",
    "BM, half sensors",
    "Empty, half bare sensors",
)
_IMPORT_EMPTY = "from airflow.providers.standard.operators.empty import EmptyOperator"
_IMPORT_BM = "from airflow_provider_bm.operators import BMCreateCampaignOperator"
_IMPORT_HTTP = "from airflow.providers.http.operators.http import HttpOperator"
_EMPTY = 'EmptyOperator(task_id=f"create_{number}")'
FILES = {
    EMPTY: (_IMPORT_EMPTY, _EMPTY, 'EmptyOperator(task_id=f"get_{number}")'),
    OPERATORS: (f"{_IMPORT_BM}, BMGetCampaignOperator", _BM, _BM_GET),
    HTTP: (_IMPORT_HTTP, _HTTP, _HTTP_GET),
    SENSORS: (f"{_IMPORT_BM}\nfrom airflow_provider_bm.sensors import BMCampaignSensor", _BM, _BM_WAIT),
    # The cost of Airflow's base class of sensors.
    BARE_SENSORS: (
        f"{_IMPORT_EMPTY}\nfrom airflow.sdk import BaseSensorOperator\n\n\n"
        "class Bare(BaseSensorOperator):\n    pass\n",
        _EMPTY,
        _BARE_WAIT,
    ),
    "HTTP, half sensors": (
        f"{_IMPORT_HTTP}\nfrom airflow.providers.http.sensors.http import HttpSensor",
        _HTTP,
        _HTTP_WAIT,
    ),
}


@dataclass
class Parsed:
    """Seconds of CPU to parse a file, the median of all processes.

    :ivar first: by a process that has Airflow loaded, but not these operators
    :ivar again: once more by the same process
    """

    name: str
    first: float
    again: float


def run(runs: int, folder: Path) -> list[Parsed]:
    dags = folder / "dags"
    dags.mkdir()
    files = {}
    for name, (imports, first, second) in FILES.items():
        dag_id = name.lower().replace(", ", "_").replace(" ", "_")
        files[name] = dags / f"{dag_id}.py"
        dag = _DAG.format(imports=imports, name=dag_id, pairs=TASKS // 2, first=first, second=second)
        files[name].write_text(dag)
    times: dict[str, list[dict[str, float]]] = {name: [] for name in files}
    for _ in range(runs + 1):
        for name, file in files.items():  # one after the other, so that a slow moment hits all
            with Child(
                "benchmarks.parser", core=MEASURED, log=folder / "parser.log", env=environment(folder)
            ) as parser:
                times[name].append(parser.ask("parse", file=str(file), tasks=TASKS))
    return [
        Parsed(name, *(statistics.median(entry[key] for entry in found[1:]) for key in ("first", "again")))
        for name, found in times.items()
    ]
