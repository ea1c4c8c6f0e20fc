"""Run DAGs with the pytest plugin: `run_dag` for a DAG made in the test, `run_dag_file` for one in a file.

Unlike `bm_run_dag`, these return XComs and logs as well, and search the traces of each run for secrets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bm.testing import dags, database
from tests.support import leaks
from tools.airflow_env import is_airflow_2

#: By task id; for mapped tasks by (task id, map index).
TaskKey = str | tuple[str, int]
_STARTING = re.compile(r"\[DAG TEST\] starting task_id=(\S+) map_index=(-?\d+)")


@dataclass
class Run:
    """A finished DAG run.

    :ivar state: "success" or "failed"
    :ivar task_states: state of each task instance
    """

    dag_run: Any
    state: str
    task_states: dict[TaskKey, str]
    _logs: dict[TaskKey, list[str]]

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Value of an XCom, or None if there is none."""
        return read_xcom(
            dag_id=self.dag_run.dag_id,
            run_id=self.dag_run.run_id,
            task_id=task_id,
            key=key,
            map_index=map_index,
        )

    def logs(self, task_id: str | None = None, map_index: int = -1) -> str:
        """Log at DEBUG level of a task instance and its triggers, or of the whole run."""
        if task_id is None:
            return "\n".join(line for lines in self._logs.values() for line in lines)
        return "\n".join(self._logs.get(task_key(task_id, map_index), ()))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty Airflow database to copy."""
    return database.create_database(tmp_path_factory.mktemp("airflow-database"))


@pytest.fixture
def airflow_db(empty_database: Path, airflow_home: Path) -> Iterator[Path]:
    """Airflow's database during the test, searched for secrets at the end."""
    with database.own_database(empty_database) as file:
        yield file
        found = leaks.GUARD.search_files(*file.parent.glob("airflow.db*"), airflow_home / "logs")
    if found:
        pytest.fail("secrets were written:\n" + "\n".join(map(str, found)), pytrace=False)


@pytest.fixture
def run_dag(airflow_db: Path) -> Callable[..., Run]:
    """`run_dag(dag, logical_date=None, conf=None, expect=None, timeout=120)` runs a DAG from start to end.

    `expect` is the state that the run must end in. Deferred tasks run their triggers in this process.
    """
    return _run_dag


@pytest.fixture
def run_dag_file(run_dag: Callable[..., Run]) -> Callable[..., Run]:
    """`run_dag_file(path, dag_id, …)`: the same for a DAG in a file."""
    return lambda path, dag_id, *args, **kwargs: run_dag(load_dag(path, dag_id), *args, **kwargs)


def _run_dag(dag: Any, *args: Any, expect: str | None = None, timeout: float = 120, **kwargs: Any) -> Run:
    logs: dict[TaskKey, list[str]] = defaultdict(list)
    current: TaskKey = ""

    def listen(text: str) -> None:
        nonlocal current
        if found := _STARTING.search(text):
            current = task_key(found[1], int(found[2]))
        logs[current].append(text)

    leaks.GUARD.listeners.append(listen)
    try:
        finished = dags.run_dag(dag, *args, timeout=timeout, **kwargs)
    finally:
        leaks.GUARD.listeners.remove(listen)
    assert finished.state is not None, f"the run was not over after {timeout:g} s: {finished.task_states}"
    states = {task_key(*key): state for key, state in finished.task_states.items()}
    run = Run(finished.dag_run, finished.state, states, logs)
    if expect is not None:
        assert run.state == expect, f"{states}\n{run.logs()}"
    return run


def load_dag(path: Path | str, dag_id: str) -> Any:
    """The DAG with that id in a file, which must have no import errors."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before 3.2
        from airflow.models.dagbag import DagBag
    bag = DagBag(str(path))
    assert not bag.import_errors, bag.import_errors
    assert dag_id in bag.dags, f"{path} has {sorted(bag.dags)}, not {dag_id}"
    return bag.dags[dag_id]


def task_key(task_id: str, map_index: int) -> TaskKey:
    return task_id if map_index < 0 else (task_id, map_index)


def read_xcom(**place: Any) -> Any:
    from airflow.utils.session import create_session

    if is_airflow_2():
        from airflow.models.xcom import XCom as Model

        with create_session() as session:
            # The column, since Airflow replaces the value of a whole row when it loads it.
            row = session.query(Model.value).filter_by(**place).one_or_none()
            return None if row is None else Model.deserialize_value(row)
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom

    with create_session() as session:
        row = session.query(XComModel).filter_by(**place).one_or_none()
        return None if row is None else XCom.deserialize_value(row)
