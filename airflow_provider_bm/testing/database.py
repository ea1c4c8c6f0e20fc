"""An Airflow database of a test's own, in place of the one that this machine's Airflow has.

Tasks that wait in a database belong to whatever scheduler looks there, and it would run them with the real
connections. So no test writes into a database that anybody else knows.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from .versions import is_airflow_2

#: What Airflow 3 calls the configured folder of DAGs.
BUNDLE: Final = "dags-folder"
_BUNDLES: Final = [
    {"name": BUNDLE, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}
]
#: What Airflow imports instead of arguments that another kind of database needs.
NO_ARGUMENTS: dict[str, Any] = {}
_IMPORTED: Final = f"{__name__}.NO_ARGUMENTS"
#: What ``configure_orm`` sets, as far as a version knows it.
_GLOBALS: Final = ("engine", "Session", "NonScopedSession", "async_engine", "AsyncSession")
#: A scheduler says every few seconds that it is there; this is twice as long as Airflow believes it.
_ALIVE: Final = timedelta(minutes=1)
#: The one that is in use, if it is a test's own.
_own: list[Path] = []


def make_database(folder: Path) -> Path:
    """Make an empty database to copy: half a second, and no ``airflow db migrate`` before."""
    file = folder / "empty.db"
    with _in_use(file) as settings:
        _create(settings.engine)
    return file


@contextmanager
def own_database(empty: Path) -> Iterator[None]:
    """Let Airflow use a new database, which is forgotten afterwards.

    :param empty: see :func:`make_database`
    """
    with TemporaryDirectory(dir=empty.parent) as folder:
        file = Path(folder) / "airflow.db"
        shutil.copy(empty, file)
        with _in_use(file):
            _own.append(file)
            try:
                yield
            finally:
                _own.remove(file)


@contextmanager
def no_scheduler() -> Iterator[None]:
    """Refuse ``dag.test()`` where a scheduler would take the tasks over."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("airflow.models.dag", "airflow.sdk.definitions.dag"):
            dag = vars(sys.modules.get(name, object)).get("DAG")
            if dag is not None and hasattr(dag, "test"):
                patch.setattr(dag, "test", _where_no_scheduler_is(dag.test))
        yield


def _where_no_scheduler_is(test: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(test)
    def checked(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not _own and (host := scheduler_at()) is not None:
            raise RuntimeError(
                f"A scheduler is running on Airflow's database (on {host}): it would take over the tasks "
                "that dag.test() puts there, and send with the real connections. Use bm_run_dag(dag), which "
                "has a database of its own."
            )
        return test(*args, **kwargs)

    return checked


def scheduler_at() -> str | None:
    """Tell on which machine a scheduler runs that looks into the database in use; None if there is none."""
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
        return None  # there are no tables, which dag.test() will say
    return None if found is None else str(found[0] or "a machine without a name")


@contextmanager
def _in_use(file: Path) -> Iterator[Any]:
    # As Airflow does for its own processes when they have been forked. What is there for the other database
    # stays as it is, for those who hold it already, and comes back.
    settings: Any = import_module("airflow.settings")
    with pytest.MonkeyPatch.context() as patch:
        sync, unsync = f"sqlite:///{file}", f"sqlite+aiosqlite:///{file}"
        variables = {
            # For child processes, too.
            "DATABASE__SQL_ALCHEMY_CONN": sync,
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": unsync,
            "DATABASE__SQL_ALCHEMY_ENGINE_ARGS": "{}",
            "DATABASE__SQL_ALCHEMY_CONNECT_ARGS": _IMPORTED,
            "DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC": _IMPORTED,
            # A bundle may be a repository somewhere.
            "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_BUNDLES),
        }
        for name, value in variables.items():
            patch.setenv(f"AIRFLOW__{name}", value)
        patch.setattr(settings, "SQL_ALCHEMY_CONN", sync)
        patch.setattr(settings, "SQL_ALCHEMY_CONN_ASYNC", unsync, raising=False)
        for name in _GLOBALS:
            patch.setattr(settings, name, None, raising=False)
        settings.configure_orm()
        settings.configure_adapters()
        try:
            yield settings
        finally:
            settings.Session.remove()
            settings.engine.dispose()
            if getattr(settings, "async_engine", None) is not None:
                settings.async_engine.sync_engine.dispose()


def _create(engine: Any) -> None:
    from airflow.models.base import Base

    db: Any = import_module("airflow.utils.db")
    try:
        db.import_all_models()
        if is_airflow_2():
            # A note of a run has a user, whose table is elsewhere.
            import_module("airflow.providers.fab.auth_manager.models")
        Base.metadata.create_all(engine)
        db.add_default_pool_if_not_exists()
        db.synchronize_log_template()
    except Exception as error:
        why = str(error).partition("\n")[0]  # the rest is SQL
        raise RuntimeError(
            "The tests' own Airflow database, a sqlite file, could not be made. It may be that Airflow's "
            "tables are for the database that is configured here: let AIRFLOW_HOME be an empty folder for "
            f"the tests, and set no AIRFLOW__DATABASE__… ({type(error).__name__}: {why})"
        ) from error
