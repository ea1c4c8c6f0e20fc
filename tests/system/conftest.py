"""One real Airflow for all system tests, and a sandbox of its own for each of their DAGs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_bm.sandbox import Sandbox
from tests.support import leaks
from tests.system.running import RunningAirflow
from tests.system.scenarios import SCENARIOS, connection_id
from tests.system.task import Task


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """By DAG. Their clocks stand still: a campaign goes on until the test says otherwise."""
    with contextlib.ExitStack() as stack:
        found = {}
        for dag_id in SCENARIOS:
            found[dag_id] = stack.enter_context(Sandbox(port=0, execution_seconds=60))
            found[dag_id].clock.freeze()
        yield found


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, sandboxes: dict[str, Sandbox]
) -> Iterator[RunningAirflow]:
    connections = {
        f"AIRFLOW_CONN_{connection_id(dag_id).upper()}": sandbox.connection_json(timeout=2)
        for dag_id, sandbox in sandboxes.items()
    }
    running = RunningAirflow(tmp_path_factory.mktemp("airflow"), connections)
    with running.running():
        running.until("Airflow is up", lambda: running.healthy() and running.dag_ids() == set(SCENARIOS))
        yield running
    if found := leaks.GUARD.search_files(running.home.path):
        pytest.fail("secrets were written:\n" + "\n".join(map(str, found)), pytrace=False)


@pytest.fixture
def start(airflow: RunningAirflow, sandboxes: dict[str, Sandbox]) -> Callable[[str], Task]:
    """`start(dag_id)`: run that DAG, once."""
    return lambda dag_id: Task(airflow, sandboxes[dag_id], dag_id).start()
