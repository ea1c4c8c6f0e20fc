"""Running a DAG from start to end within a test: ``dag.test()``, the same on Airflow 2.11 and 3.x."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from .attempts import Attempts, TookTooLong
from .database import BUNDLE
from .versions import is_airflow_2
from .waits import shorten_waits

if TYPE_CHECKING:
    from .sandbox import BMTestSandbox

#: Seconds that a run may take.
TIMEOUT: Final = 60.0
_STATES: Final = ("success", "failed")
_NOT_RUN: Final = "not run"


class BMDagRuns:
    """Runs DAGs in this process, with all their tasks and triggers."""

    def __init__(self, sandbox: BMTestSandbox) -> None:
        """Run none yet.

        :param sandbox: is told how each run ended
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
        :param logical_date: now by default
        :param conf: what "Trigger DAG w/ config" takes
        :param expect: state that the run must end in, or None for any
        :param timeout: seconds after which the run is ended, and the test fails; None: never
        :returns: Airflow's ``DagRun``
        :raises AssertionError: if the run ends in another state, or not in time, or if no task has run
        """
        __tracebackhide__ = True
        _check(dag, logical_date, expect, timeout)
        arguments: dict[str, Any] = {"run_conf": None if conf is None else dict(conf)}
        if is_airflow_2():
            if logical_date is not None:
                arguments["execution_date"] = logical_date
        else:
            _write(dag)
            if logical_date is not None:
                arguments["logical_date"] = logical_date
        attempts = Attempts()
        try:
            with pytest.MonkeyPatch.context() as patch:
                shorten_waits(patch)
                with attempts.watched(timeout):
                    run = dag.test(**arguments)
        except TookTooLong:
            run = _last_run(dag.dag_id)
            ended = f"not over after {timeout:g} s"
        else:
            ended = str(getattr(run.state, "value", run.state))
        states = _states(run)
        if attempts.interrupted is not None:
            states[attempts.interrupted] = "running"
        told = f"the run of DAG {dag.dag_id!r} is {ended}"
        tasks = f"Tasks: {_counted(states)}"
        self._sandbox.runs.append(f"{told}. {tasks}")
        if ended not in _STATES:
            raise AssertionError("\n".join([told, *_reasons(states, attempts), tasks, self._sandbox.story()]))
        if expect is not None and ended != expect:
            raise AssertionError("\n".join([f"{told}, not {expect}", *_reasons(states, attempts), tasks]))
        if set(states.values()) <= {_NOT_RUN}:
            raise AssertionError(f"no task of DAG {dag.dag_id!r} has run: {_why_none(dag, run)}")
        return run


def _check(dag: Any, logical_date: Any, expect: Any, timeout: Any) -> None:
    __tracebackhide__ = True
    if not callable(getattr(dag, "test", None)):
        what = f"a DAG, not {dag!r}"
        if isinstance(dag, str):
            what = f"the DAG itself, not its id {dag!r}: import it from its file"
        elif callable(dag):
            name = getattr(dag, "__name__", dag)
            what = f"a DAG, not a function: decorate it with @dag, and give what {name}() returns"
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
        "bm_run_dag runs an event loop for the DAG's triggers, and there can be none around it: "
        "write the test with def, not with async def"
    )


def _write(dag: Any) -> None:
    # From Airflow 3.0 on, a run needs its DAG in the database, as if its file had been parsed. Where that is
    # done differs from version to version.
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    processing: Any
    try:
        processing = import_module("airflow.dag_processing.dagbag")
    except ImportError:  # before 3.2
        processing = import_module("airflow.models.dagbag")
    DagBundlesManager().sync_bundles_to_db()
    try:
        bag = processing.DagBag("/dev/null", include_examples=False)
    except TypeError:  # from 3.3 on, it never includes them
        bag = processing.DagBag("/dev/null")
    bag.bag_dag(dag)
    if not dag.relative_fileloc:
        dag.relative_fileloc = Path(dag.fileloc).name
    if hasattr(bag, "sync_to_db"):  # 3.0
        bag.sync_to_db(BUNDLE, None)
    else:
        processing.sync_bag_to_db(bag, BUNDLE, None)


def _last_run(dag_id: str) -> Any:
    """Find the run that was ended, which may have left a transaction open."""
    from airflow.models.dagrun import DagRun

    settings: Any = import_module("airflow.settings")
    settings.Session.remove()
    return settings.Session().query(DagRun).filter_by(dag_id=dag_id).order_by(DagRun.id.desc()).first()


def _states(run: Any) -> dict[tuple[str, int], str]:
    if run is None:
        return {}
    return {
        (ti.task_id, ti.map_index): str(getattr(ti.state, "value", ti.state or _NOT_RUN))
        for ti in run.get_task_instances()
    }


def _counted(states: Mapping[tuple[str, int], str]) -> str:
    counts = Counter((task_id, state) for (task_id, _), state in states.items())
    told = (
        f"{task} {state}" + (f" ({count}x)" if count > 1 else "")
        for (task, state), count in sorted(counts.items())
    )
    return ", ".join(told) or "none"


def _reasons(states: Mapping[tuple[str, int], str], attempts: Attempts) -> list[str]:
    """Say what each task raised that has not succeeded in the end."""
    reasons = []
    for (task_id, index), error in sorted(attempts.errors.items()):
        if states.get((task_id, index)) in ("success", "skipped"):
            continue
        name = task_id if index < 0 else f"{task_id} [{index}]"
        text = str(error).replace("\n", "\n    ")
        reasons.append(f"  {name}: {type(error).__name__}: {text}")
    return reasons


def _why_none(dag: Any, run: Any) -> str:
    if not dag.task_dict:
        return "it has none"
    date = getattr(run, "logical_date", None)
    starts = [start for task in dag.task_dict.values() if (start := task.start_date or dag.start_date)]
    if date is not None and starts and min(starts) > date:
        start = min(starts).isoformat()
        return f"its start_date, {start}, is after the run's logical date, {date.isoformat()}"
    return "Airflow saw none as due"
