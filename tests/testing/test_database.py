"""Where a test's tasks are kept: never where a scheduler would take them over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.jobs.job import Job
from airflow.providers.common.compat.sdk import DAG
from airflow.utils.session import create_session

from airflow_provider_bm.testing import database


@pytest.fixture
def usual(tmp_path, monkeypatch):
    """Stands for the database that this machine's Airflow has."""
    empty = database.make_database(tmp_path)
    with database.own_database(empty), monkeypatch.context() as patch:
        patch.setattr(database, "_own", [])
        yield


def scheduler(seen: timedelta, state: str = "running") -> None:
    with create_session() as session:
        job = Job(state=state)
        job.job_type, job.hostname = "SchedulerJob", "worker-7"
        job.latest_heartbeat = datetime.now(UTC) - seen
        session.add(job)


@pytest.mark.parametrize(
    ("seen", "state", "alive"), [(5, "running", True), (600, "running", False), (5, "success", False)]
)
@pytest.mark.usefixtures("usual")
def test_a_scheduler_would_take_the_tasks_over(seen, state, alive):
    scheduler(timedelta(seconds=seen), state)
    assert database.scheduler_at() == ("worker-7" if alive else None)
    if alive:
        with database.no_scheduler(), pytest.raises(RuntimeError, match=r"on worker-7.*Use bm_run_dag"):
            DAG("never", schedule=None).test()


def test_a_database_without_tables_has_none(tmp_path, monkeypatch):
    with database._in_use(tmp_path / "nothing.db"):
        assert database.scheduler_at() is None
