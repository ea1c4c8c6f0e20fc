"""Running a DAG from start to end within a test: ``dag.test()``, the same on Airflow 2.11 and 3.x."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from ._compat import is_airflow_2, last_run, write_dag
from .retries import fast_retries
from .run_watch import RunWatch

if TYPE_CHECKING:
    from .sandbox import BMTestSandbox

#: Default time limit of a run, in seconds from the start of its first task.
TIMEOUT: Final = 60.0
_STATES: Final = ("success", "failed")
_NOT_RUN: Final = "not run"

TaskKey = tuple[str, int]


@dataclass
class FinishedRun:
    """How a DAG run ended.

    :ivar dag_run: Airflow's ``DagRun``; None if there is none
    :ivar state: of the run; None if it was ended by the time limit
    :ivar task_states: by task id and map index (-1 if the task is not mapped)
    :ivar errors: the last error of each task instance, by the same keys
    """

    dag_run: Any
    state: str | None
    task_states: dict[TaskKey, str]
    errors: dict[TaskKey, BaseException | str]


def run_dag(
    dag: Any,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    timeout: float | None = TIMEOUT,
) -> FinishedRun:
    """Run a DAG in the database in use, with all its tasks and triggers, and return how it ended.

    The parameters are those of :meth:`BMDagRuns.__call__`.
    """
    arguments: dict[str, Any] = {"run_conf": None if conf is None else dict(conf)}
    if logical_date is not None:
        arguments["execution_date" if is_airflow_2() else "logical_date"] = logical_date
    watch = RunWatch()
    dag_run: Any = None
    with pytest.MonkeyPatch.context() as patch, fast_retries(dag):
        # A test's dates are fixed, and its sandbox may have a different time.
        patch.setenv("AIRFLOW__BM__MAX_AGE", "")
        write_dag(dag)
        with watch.watch(timeout):
            dag_run = dag.test(**arguments)
    if watch.timed_out:
        dag_run = last_run(dag.dag_id)
    instances = [] if dag_run is None else dag_run.get_task_instances()
    states = {(ti.task_id, ti.map_index): _text(ti.state or _NOT_RUN) for ti in instances}
    states |= dict.fromkeys(watch.interrupted, "running")
    return FinishedRun(dag_run, None if watch.timed_out else _text(dag_run.state), states, watch.errors)


class BMDagRuns:
    """Runs DAGs in this process, with all their tasks and triggers."""

    def __init__(self, sandbox: BMTestSandbox) -> None:
        """Run nothing yet.

        :param sandbox: receives a line about each run for its report
        """
        self._sandbox = sandbox

    def __call__(
        self,
        dag: Any,
        logical_date: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
        expect: str | None = "success",
        timeout: float | None = TIMEOUT,
    ) -> Any:
        """Run a DAG from start to end.

        :param dag: the DAG object
        :param logical_date: default: now
        :param conf: the configuration of the run, as in "Trigger DAG w/ config"
        :param expect: state that the run must end in: ``"success"``, ``"failed"``, or None for either
        :param timeout: seconds, from the start of the first task, after which the run is ended and the test
            fails; None: no limit
        :returns: Airflow's ``DagRun``
        :raises AssertionError: the run ended in another state, did not end in time, or did not run any task
        """
        __tracebackhide__ = True
        _check(dag, logical_date, expect, timeout)
        run = run_dag(dag, logical_date, conf, timeout)
        ended = f"not over after {timeout:g} s" if run.state is None else run.state
        summary = f"the run of DAG {dag.dag_id!r} is {ended}"
        tasks = f"Tasks: {_counted(run.task_states)}"
        self._sandbox.runs.append(f"{summary}. {tasks}")
        if run.state is None:
            raise AssertionError("\n".join([summary, *_reasons(run), tasks, self._sandbox.report()]))
        if expect is not None and run.state != expect:
            raise AssertionError("\n".join([f"{summary}, not {expect}", *_reasons(run), tasks]))
        if set(run.task_states.values()) <= {_NOT_RUN}:
            raise AssertionError(f"no task of DAG {dag.dag_id!r} has run: {_why_none(dag, run.dag_run)}")
        return run.dag_run


def _check(dag: Any, logical_date: Any, expect: Any, timeout: Any) -> None:
    __tracebackhide__ = True
    if not callable(getattr(dag, "test", None)):
        what = f"a DAG, not {dag!r}"
        if isinstance(dag, str):
            what = f"the DAG itself, not its id {dag!r}: import it from its file"
        elif callable(dag):
            name = getattr(dag, "__name__", dag)
            what = f"a DAG, not a function: decorate it with @dag, and pass what {name}() returns"
        raise TypeError(f"bm_run_dag takes {what}")
    if logical_date is not None and not (isinstance(logical_date, datetime) and logical_date.tzinfo):
        right = "datetime(2026, 1, 31, 8, tzinfo=UTC)"
        raise ValueError(f"logical_date must have a time zone, such as {right}, not {logical_date!r}")
    if expect not in (*_STATES, None):
        raise ValueError(f"expect must be 'success', 'failed' or None, not {expect!r}")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be more than 0 seconds, or None for no limit, not {timeout!r}")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "bm_run_dag runs an event loop for the DAG's triggers, which is not possible within another one: "
        "write the test with def, not with async def"
    )


def _text(state: Any) -> str:
    return str(getattr(state, "value", state))


def _counted(states: Mapping[TaskKey, str]) -> str:
    counts = Counter((task_id, state) for (task_id, _), state in states.items())
    lines = (
        f"{task} {state}" + (f" ({count}x)" if count > 1 else "")
        for (task, state), count in sorted(counts.items())
    )
    return ", ".join(lines) or "none"


def _reasons(run: FinishedRun) -> list[str]:
    """List the errors of the tasks whose last try did not succeed."""
    reasons = []
    for (task_id, index), error in sorted(run.errors.items()):
        if run.task_states.get((task_id, index)) in ("success", "skipped"):
            continue
        name = task_id if index < 0 else f"{task_id} [{index}]"
        text = str(error).replace("\n", "\n    ")
        kind = "" if isinstance(error, str) else f"{type(error).__name__}: "
        reasons.append(f"  {name}: {kind}{text}")
    return reasons


def _why_none(dag: Any, run: Any) -> str:
    if not dag.task_dict:
        return "it has none"
    date = getattr(run, "logical_date", None)
    starts = [start for task in dag.task_dict.values() if (start := task.start_date or dag.start_date)]
    if date is not None and starts and min(starts) > date:
        start = min(starts).isoformat()
        return f"its start_date, {start}, is after the run's logical date, {date.isoformat()}"
    return "Airflow found none that was due"
