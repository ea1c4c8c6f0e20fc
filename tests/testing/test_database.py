"""A test refuses a database with a running scheduler, which would run the test's tasks."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from airflow.jobs.job import Job
from airflow.providers.common.compat.sdk import DAG
from airflow.utils.session import create_session

from airflow_provider_bm.testing import _compat, database


@pytest.fixture
def configured_database(tmp_path):
    """A temporary database in place of the one that this machine's Airflow is configured with."""
    with database.use_database(database.create_database(tmp_path)):
        yield


def add_scheduler(seen: timedelta, state: str = "running") -> None:
    with create_session() as session:
        job = Job(state=state)
        job.job_type, job.hostname = "SchedulerJob", "worker-7"
        job.latest_heartbeat = datetime.now(UTC) - seen
        session.add(job)


@pytest.mark.parametrize(
    ("seen", "state", "alive"), [(5, "running", True), (600, "running", False), (5, "success", False)]
)
@pytest.mark.usefixtures("configured_database")
def test_dag_test_is_refused_where_a_scheduler_runs(seen, state, alive):
    add_scheduler(timedelta(seconds=seen), state)
    assert _compat.scheduler_host() == ("worker-7" if alive else None)
    if alive:
        with database.no_scheduler(), pytest.raises(RuntimeError, match=r"on worker-7.*Use bm_run_dag"):
            DAG("never", schedule=None).test()


def test_a_database_without_tables_has_no_scheduler(tmp_path):
    with database.use_database(tmp_path / "nothing.db"):
        assert _compat.scheduler_host() is None


def test_creating_a_database_leaves_logging_alone(tmp_path):
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    database.create_database(tmp_path)
    assert (root.level, root.handlers) == before
