"""Running a DAG from start to end within a test: ``dag.test()``, the same on Airflow 2.11 and 3.x."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

_BUNDLE: Final = "dags-folder"  # what Airflow 3 calls the configured folder of DAGs


def run_dag(
    dag: Any,
    logical_date: datetime | None = None,
    conf: dict[str, Any] | None = None,
    expect: str | None = "success",
) -> Any:
    """Run a DAG in this process, with all its tasks and their triggers.

    Airflow's database has to be there (``airflow db migrate``).

    :param dag: the DAG object
    :param logical_date: now by default
    :param conf: what "Trigger DAG w/ config" takes
    :param expect: state that the run must end in, or None for any
    :returns: Airflow's ``DagRun``
    :raises AssertionError: if the run ends in another state
    """
    __tracebackhide__ = True
    import airflow

    old = airflow.__version__.startswith("2.")
    if not old:
        _write(dag)
    arguments: dict[str, Any] = {"run_conf": conf}
    if logical_date is not None:
        arguments["execution_date" if old else "logical_date"] = logical_date
    run = dag.test(**arguments)
    state = str(getattr(run.state, "value", run.state))
    if expect is not None and state != expect:
        raise AssertionError(
            f"the run of DAG {dag.dag_id!r} is {state}, not {expect}: {_tasks(run)}. Airflow's log says why."
        )
    return run


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
        bag.sync_to_db(_BUNDLE, None)
    else:
        processing.sync_bag_to_db(bag, _BUNDLE, None)


def _tasks(run: Any) -> str:
    states = [
        (ti.task_id, str(getattr(ti.state, "value", ti.state or "not run")))
        for ti in run.get_task_instances()
    ]
    return ", ".join(
        f"{task} {state}" + (f" ({count}x)" if count > 1 else "")
        for (task, state), count in sorted(Counter(states).items())
    )
