"""Names of Airflow that the pytest plugin needs, but that are not part of Airflow's public interface.

Each is looked up when it is used. If an Airflow release no longer has a name, the tests that need it fail
with a message, and all other tests run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

#: What Airflow 3 calls the configured folder of DAGs.
BUNDLE: Final = "dags-folder"
#: Airflow considers a scheduler dead after 30 seconds without a heartbeat. This is twice as long.
_ALIVE: Final = timedelta(minutes=1)


class UnsupportedAirflowError(RuntimeError):
    """This Airflow lacks a name that the plugin needs."""


def lookup(name: str, *modules: str) -> Any:
    """Return an attribute of the first of some modules that exists.

    :raises UnsupportedAirflowError: there is no such module or attribute
    """
    for path in modules:
        try:
            module = import_module(path)
        except ImportError:
            continue
        if hasattr(module, name):
            return getattr(module, name)
    from airflow import __version__

    raise UnsupportedAirflowError(
        f"The pytest plugin of airflow-provider-bm does not support Airflow {__version__}, which has no "
        f"{modules[0]}.{name}. Upgrade airflow-provider-bm, or test with an Airflow that it supports."
    )


def is_airflow_2() -> bool:
    """Whether this is Airflow 2, which uses different names and modules."""
    from airflow import __version__

    return __version__.startswith("2.")


@contextmanager
def configured_database() -> Iterator[Any]:
    """Use the database that Airflow's configuration names now, and restore the previous database afterwards.

    The engine and the sessions of the previous database are not changed. Yields Airflow's settings.
    """
    settings: Any = import_module("airflow.settings")
    before = dict(vars(settings))
    try:
        for configure in ("configure_vars", "configure_orm", "configure_adapters"):
            lookup(configure, "airflow.settings")()
        yield settings
    finally:
        ours = dict(vars(settings))
        vars(settings).update(before)
        if ours["Session"] is not before["Session"]:
            ours["Session"].remove()
            ours["engine"].dispose()
        engine = ours.get("async_engine")
        if engine is not None and engine is not before.get("async_engine"):
            engine.sync_engine.dispose()


def create_tables() -> None:
    """Create Airflow's tables in the database in use, as ``airflow db migrate`` does."""
    initdb = lookup("initdb", "airflow.utils.db")
    with pytest.MonkeyPatch.context() as patch:
        # Migrations configure logging, for a command rather than for a test.
        patch.setattr("logging.config.fileConfig", lambda *_, **__: None)
        initdb()


def write_dag(dag: Any) -> None:
    """Write a DAG to the database as if its file had been parsed, which Airflow 3 needs to run it."""
    if is_airflow_2():
        return
    lookup("DagBundlesManager", "airflow.dag_processing.bundles.manager")().sync_bundles_to_db()
    # Before 3.2 they are in airflow.models.
    modules = ("airflow.dag_processing.dagbag", "airflow.models.dagbag")
    bag = lookup("DagBag", *modules)("/dev/null")
    bag.bag_dag(dag)
    if not dag.relative_fileloc:
        dag.relative_fileloc = Path(dag.fileloc).name
    if hasattr(bag, "sync_to_db"):  # 3.0
        bag.sync_to_db(BUNDLE, None)
    else:
        lookup("sync_bag_to_db", *modules)(bag, BUNDLE, None)


def last_run(dag_id: str) -> Any:
    """Return the last run of a DAG, even if it was interrupted in a transaction; None if there is none."""
    from airflow.models.dagrun import DagRun

    session = lookup("Session", "airflow.settings")
    session.remove()
    return session().query(DagRun).filter_by(dag_id=dag_id).order_by(DagRun.id.desc()).first()


@contextmanager
def listening(on_running: Callable[[Any], None], on_failed: Callable[[Any, Any], None]) -> Iterator[None]:
    """Listen to the tasks of this process within this context.

    :param on_running: is called with the task instance when a try starts
    :param on_failed: is called with the task instance and the error when a try has failed
    """
    hookimpl = lookup("hookimpl", "airflow.listeners")

    class Listener:
        @hookimpl  # type: ignore[untyped-decorator]
        def on_task_instance_running(self, task_instance: Any) -> None:
            on_running(task_instance)

        @hookimpl  # type: ignore[untyped-decorator]
        def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
            on_failed(task_instance, error)

    # From 3.2 on, tasks have a separate listener manager.
    manager = lookup("get_listener_manager", "airflow.sdk.listener", "airflow.listeners.listener")()
    listener = Listener()
    manager.add_listener(listener)
    try:
        yield
    finally:
        manager.pm.unregister(listener)


def scheduler_host() -> str | None:
    """Return the host of a scheduler that uses the current database, or None."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            running = session.query(Job.hostname).filter(
                Job.job_type == "SchedulerJob",
                Job.state == "running",
                Job.latest_heartbeat > datetime.now(UTC) - _ALIVE,
            )
            found = running.first()
    except SQLAlchemyError:
        return None  # there are no tables, which dag.test() reports
    return None if found is None else str(found[0] or "an unnamed host")


@contextmanager
def configured_secrets_backends() -> Iterator[None]:
    """Use the secrets backends that Airflow's configuration names now, and later the previous ones."""
    configuration: Any = sys.modules.get("airflow.configuration")
    if configuration is None:  # not imported yet: it reads the configuration when it is
        yield
        return
    # In place, since other modules refer to the list.
    backends = lookup("secrets_backend_list", "airflow.configuration")
    before = list(backends)
    backends[:] = lookup("initialize_secrets_backends", "airflow.configuration")()
    _clear_secrets_backends_cache()
    try:
        yield
    finally:
        backends[:] = before
        _clear_secrets_backends_cache()


def _clear_secrets_backends_cache() -> None:
    sdk = sys.modules.get("airflow.sdk.configuration")
    clear = getattr(sdk, "clear_secrets_backends_cache", None)  # from 3.3 on
    if clear is not None:
        clear()
