"""Run DAGs in a real Airflow: `run_dag` for a DAG made in the test, `run_dag_file` for one in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leaks
from tests.support.harness import DagRunner, make_database


@pytest.fixture(scope="session")
def airflow_db(airflow_home: Path) -> Path:
    """The metadata database of the suite, made once."""
    make_database()
    return airflow_home / "airflow.db"


@pytest.fixture
def dag_runner(airflow_db: Path) -> Iterator[DagRunner]:
    """Runs DAGs and forgets them after the test, once their traces were searched for secrets."""
    runner = DagRunner()
    yield runner
    home = Path(os.environ["AIRFLOW_HOME"])
    found = leaks.GUARD.search_files(*home.glob("airflow.db*"), home / "logs")
    runner.forget()
    if found:
        pytest.fail("secrets were written:\n" + "\n".join(map(str, found)), pytrace=False)


@pytest.fixture
def run_dag(dag_runner: DagRunner):
    """`run_dag(dag, logical_date=None, conf=None)`: one run, from start to end, in this process.

    Returns a :class:`tests.support.harness.Run`. Deferred tasks run their trigger in line.
    """
    return dag_runner.run


@pytest.fixture
def run_dag_file(dag_runner: DagRunner):
    """`run_dag_file(path, dag_id, logical_date=None, conf=None)`: the same for a DAG in a file."""
    return dag_runner.run_file
