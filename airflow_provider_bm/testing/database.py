"""An Airflow database for each test, instead of the one that this machine's Airflow is configured with.

Any scheduler of a database would run the tasks in it, with the real connections. So tests do not write to a
database that a scheduler might use.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from ._compat import BUNDLE, UnsupportedAirflowError, configured_database, create_tables, scheduler_host

_BUNDLES: Final = [
    {"name": BUNDLE, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}
]
#: Airflow imports this instead of arguments for a different kind of database.
NO_ARGUMENTS: dict[str, Any] = {}
_IMPORTED: Final = f"{__name__}.NO_ARGUMENTS"
#: The test's own database, while it is in use.
_in_use: list[Path] = []


def create_database(folder: Path) -> Path:
    """Create an empty database to copy. Takes about a second, and needs no ``airflow db migrate``."""
    file = folder / "empty.db"
    with use_database(file):
        try:
            create_tables()
        except UnsupportedAirflowError:
            raise
        except Exception as error:
            why = str(error).partition("\n")[0]  # the rest is SQL
            raise RuntimeError(
                "The Airflow database for the tests, a sqlite file, could not be created. Airflow's tables "
                "may depend on the database that is configured here: set AIRFLOW_HOME to an empty folder "
                f"for the tests, and no AIRFLOW__DATABASE__… ({type(error).__name__}: {why})"
            ) from error
    return file


@contextmanager
def own_database(empty: Path) -> Iterator[Path]:
    """Let Airflow use a new database, which is deleted afterwards. Yields its path.

    :param empty: see :func:`create_database`
    """
    with TemporaryDirectory(dir=empty.parent) as folder:
        file = Path(folder) / "airflow.db"
        shutil.copy(empty, file)
        with use_database(file):
            _in_use.append(file)
            try:
                yield file
            finally:
                _in_use.remove(file)


@contextmanager
def no_scheduler() -> Iterator[None]:
    """Refuse ``dag.test()`` on a database whose scheduler would run the tasks as well."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("airflow.models.dag", "airflow.sdk.definitions.dag"):
            dag = vars(sys.modules.get(name, object)).get("DAG")
            if dag is not None and hasattr(dag, "test"):
                patch.setattr(dag, "test", _unless_scheduler_runs(dag.test))
        yield


def _unless_scheduler_runs(test: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(test)
    def checked(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not _in_use and (host := scheduler_host()) is not None:
            raise RuntimeError(
                f"A scheduler is running on Airflow's database (on {host}). It would run the tasks of "
                "dag.test() as well, and send with the real connections. Use bm_run_dag(dag), which has "
                "its own database."
            )
        return test(*args, **kwargs)

    return checked


@contextmanager
def use_database(file: Path) -> Iterator[None]:
    """Let Airflow use a SQLite file as its database."""
    url, async_url = f"sqlite:///{file}", f"sqlite+aiosqlite:///{file}"
    variables = {  # which child processes inherit
        "DATABASE__SQL_ALCHEMY_CONN": url,
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": async_url,
        "DATABASE__SQL_ALCHEMY_ENGINE_ARGS": "{}",
        "DATABASE__SQL_ALCHEMY_CONNECT_ARGS": _IMPORTED,
        "DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC": _IMPORTED,
        "DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        # A bundle may be a remote repository.
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_BUNDLES),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"AIRFLOW__{name}", value)
        with configured_database():
            yield
