"""DAGs run for real, in this process, on Airflow 2.11 and 3.x alike: `dag.test()` with answers to ask for."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support import leaks
from tools.airflow_env import is_airflow_2

BUNDLE = "dags-folder"  # what Airflow 3 calls the configured dags folder; it is empty
TaskKey = str | tuple[str, int]


def make_database() -> None:
    """`airflow db migrate`, by a process of its own as a user would."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Run:
    """What became of a DAG run.

    :ivar state: of the run: "success" or "failed"
    :ivar task_states: by task id; by (task id, map index) for mapped tasks
    """

    dag_id: str
    run_id: str
    state: str
    task_states: dict[TaskKey, str | None]
    _logs: dict[TaskKey, list[str]] = field(repr=False, default_factory=dict)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Value of an XCom, or None if there is none."""
        return read_xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def logs(self, task_id: str | None = None, map_index: int = -1) -> str:
        """What was logged, at DEBUG, while a task and its triggers ran; of the whole run if none is named."""
        if task_id is None:
            return "\n".join(line for lines in self._logs.values() for line in lines)
        return "\n".join(self._logs.get(task_key(task_id, map_index), ()))


def task_key(task_id: str, map_index: int) -> TaskKey:
    return task_id if map_index < 0 else (task_id, map_index)


@dataclass
class DagRunner:
    """Runs DAGs one at a time and knows which."""

    dag_ids: set[str] = field(default_factory=set)

    def run(
        self,
        dag: Any,
        logical_date: datetime.datetime | None = None,
        conf: dict[str, Any] | None = None,
        expect: str | None = None,
        timeout: float = 120,
    ) -> Run:
        """Run a DAG from start to end.

        :param dag: a DAG object; it need not be in any file
        :param logical_date: default: now
        :param expect: if given, the state that the run must end in; the logs are shown if it does not
        :param timeout: seconds until the run is given up: `dag.test()` itself would wait for ever
        """
        write_dag(dag)
        self.dag_ids.add(dag.dag_id)
        arguments: dict[str, Any] = {"run_conf": conf}
        if logical_date is not None:
            arguments["execution_date" if is_airflow_2() else "logical_date"] = logical_date
        with dag_test_as_in_production() as logs, time_limit(timeout):
            dag_run = dag.test(**arguments)
        run = Run(
            dag_id=dag.dag_id,
            run_id=dag_run.run_id,
            state=str(getattr(dag_run.state, "value", dag_run.state)),
            task_states=read_states(dag.dag_id, dag_run.run_id),
            _logs=logs,
        )
        if expect is not None:
            assert run.state == expect, f"{run}\n{run.logs()}"
        return run

    def run_file(self, path: Path | str, dag_id: str, *args: Any, **kwargs: Any) -> Run:
        """Run a DAG of a file, parsed as Airflow does it."""
        return self.run(load_dag(path, dag_id), *args, **kwargs)

    def forget(self) -> None:
        """Remove the DAGs and their runs, so that the next test finds none of them."""
        from airflow.api.common.delete_dag import delete_dag

        for dag_id in self.dag_ids:
            delete_dag(dag_id)
        self.dag_ids.clear()


def load_dag(path: Path | str, dag_id: str) -> Any:
    """The DAG of that id in a file; any import error fails."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    bag = DagBag(str(path))
    assert not bag.import_errors, bag.import_errors
    assert dag_id in bag.dags, f"{path} has {sorted(bag.dags)}, not {dag_id}"
    return bag.dags[dag_id]


def write_dag(dag: Any) -> None:
    """Make Airflow's database know a DAG as if its file had been parsed."""
    if is_airflow_2():
        dag.sync_to_db()
        return
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models import dagbag as models

    try:
        from airflow.dag_processing import dagbag as processing
    except ImportError:  # before 3.2
        processing = models
    DagBundlesManager().sync_bundles_to_db()
    bag = processing.DagBag("/dev/null")
    bag.bag_dag(dag)
    if not dag.relative_fileloc:
        dag.relative_fileloc = Path(dag.fileloc).name
    if hasattr(bag, "sync_to_db"):  # 3.0
        bag.sync_to_db(BUNDLE, None)
    else:
        processing.sync_bag_to_db(bag, BUNDLE, None)


class TriggerBroke(BaseException):
    """Carries a trigger's error past `dag.test()`, which would handle it as no real Airflow does."""


class TookTooLong(BaseException):
    """A run did not end in time. No Exception, since `dag.test()` shrugs those off."""


@contextlib.contextmanager
def dag_test_as_in_production() -> Iterator[dict[TaskKey, list[str]]]:
    """Patch `dag.test()` in two points, and give the logs of each task instance.

    * Log lines are kept under the task instance that it is at.
    * A trigger that raises resumes its task with a TaskDeferralError, as the triggerer and the scheduler do
      (so that retries and soft_fail apply). By itself, `dag.test()` runs the trigger again for ever on 2.11
      and marks the task as failed on 3.x.
    """
    if is_airflow_2():
        import airflow.models.dag as module
    else:
        import airflow.sdk.definitions.dag as module  # type: ignore[no-redef]
    logs: dict[TaskKey, list[str]] = defaultdict(list)
    current: list[TaskKey] = [""]
    real_run_task, real_run_trigger = module._run_task, module._run_inline_trigger

    def run_trigger(*args: Any, **kwargs: Any) -> Any:
        try:
            return real_run_trigger(*args, **kwargs)
        except Exception as error:
            raise TriggerBroke from error

    def run_task(*, ti: Any, **kwargs: Any) -> Any:
        current[0] = task_key(ti.task_id, ti.map_index)
        try:
            while True:
                try:
                    return real_run_task(ti=ti, **kwargs)
                except TriggerBroke as broke:
                    fail_on_resume(ti, broke.__cause__, kwargs.get("session"))
        finally:
            current[0] = ""

    def listen(text: str) -> None:
        logs[current[0]].append(text)

    leaks.GUARD.listeners.append(listen)
    try:
        with (
            mock.patch.object(module, "_run_task", run_task),
            mock.patch.object(module, "_run_inline_trigger", run_trigger),
        ):
            yield logs
    finally:
        leaks.GUARD.listeners.remove(listen)


def fail_on_resume(ti: Any, error: BaseException | None, session: Any) -> None:
    """What `Trigger.submit_failure` does to the task instance of a trigger that raised."""
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    ti.next_method = "__fail__"
    ti.next_kwargs = {
        "error": "Trigger failure",
        "traceback": traceback.format_exception(error) if error else None,
    }
    ti.state = TaskInstanceState.SCHEDULED
    if session is not None:
        session.merge(ti)
        session.commit()
    else:
        with create_session() as session:
            session.add(ti)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End what takes longer. Not by SIGALRM, which is what Airflow's own time-outs use."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    late: list[TookTooLong] = []

    def give_up(number: int, frame: Any) -> None:
        late.append(TookTooLong())
        raise late[0]

    before = signal.signal(signal.SIGUSR2, give_up)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR2))
    timer.start()
    try:
        with contextlib.suppress(TookTooLong):
            yield
        if late:  # Airflow 3 makes a failed task of it
            pytest.fail(f"the DAG run took longer than {seconds:g} s")
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR2, before)


def read_states(dag_id: str, run_id: str) -> dict[TaskKey, str | None]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id)
        return {
            task_key(ti.task_id, ti.map_index): None
            if ti.state is None
            else str(getattr(ti.state, "value", ti.state))
            for ti in found
        }


def read_xcom(dag_id: str, run_id: str, task_id: str, key: str, map_index: int) -> Any:
    from airflow.utils.session import create_session

    place = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "key": key, "map_index": map_index}
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
