"""One real Airflow for all system tests, and one sandbox for each of their DAGs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_bm.sandbox import Sandbox
from tests.support import leaks
from tests.system.approval import Approval
from tests.system.running import RunningAirflow
from tests.system.scenarios import (
    CATCH_UP,
    ENDED_CREATES,
    EVENTS,
    SCENARIOS,
    SENSORS,
    WATCHED,
    connection_id,
    console_link,
    dag_ids,
    watched_campaign,
)
from tests.system.task import Task

#: Number of tasks that run in parallel. Airflow has four workers.
PARALLEL_TASKS = 3


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """Sandboxes by DAG. Their clocks are frozen: a campaign is active until the test advances the clock."""
    with contextlib.ExitStack() as stack:
        found = {}
        for dag_id in (*SCENARIOS, *ENDED_CREATES, *SENSORS, *CATCH_UP, EVENTS, "approval"):
            found[dag_id] = stack.enter_context(Sandbox(port=0, execution_seconds=60))
            found[dag_id].clock.freeze()
        # The request is processed, but its response does not arrive during the test.
        found["killed_posting"].fault("POST", "/campaigns", delay_after=1000)
        for dag_id in SENSORS:
            found[dag_id].create(uuid=watched_campaign(dag_id), name="Storm", status="active")
        for uuid in WATCHED:
            found[EVENTS].create(
                uuid=uuid,
                name="Watched",
                status="active",
                schedule_type="scheduled",
                schedule_rrule="FREQ=DAILY",
            )
        yield found


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, sandboxes: dict[str, Sandbox]
) -> Iterator[RunningAirflow]:
    connections = {
        f"AIRFLOW_CONN_{connection_id(dag_id).upper()}": sandbox.connection_json(
            timeout=300, console_url=console_link(dag_id, "{campaign_uuid}")
        )
        for dag_id, sandbox in sandboxes.items()
    }
    running = RunningAirflow(tmp_path_factory.mktemp("airflow"), connections)
    with running.running():
        running.wait_until("Airflow is up", lambda: running.healthy() and running.dag_ids() == dag_ids())
        yield running
    if found := leaks.GUARD.search_files(running.home.path):
        pytest.fail("secrets were written:\n" + "\n".join(map(str, found)), pytrace=False)


@pytest.fixture(scope="session")
def tasks(
    request: pytest.FixtureRequest, airflow: RunningAirflow, sandboxes: dict[str, Sandbox]
) -> dict[str, Task]:
    """The tasks of all selected tests, in order, not started yet."""
    parameters = (item.callspec.params for item in request.session.items if hasattr(item, "callspec"))
    dag_ids = [each["task"] for each in parameters if "task" in each]
    return {dag_id: Task(airflow, sandboxes[dag_id], dag_id) for dag_id in dag_ids if dag_id in sandboxes}


@pytest.fixture
def task(request: pytest.FixtureRequest, tasks: dict[str, Task]) -> Task:
    """The running task of a DAG; see `scenario` in test_killed.py.

    To save time, the tasks of the next tests are started as well, but one worker is left for retries.
    """
    remaining = list(tasks)[list(tasks).index(request.param) :]
    for dag_id in remaining[:PARALLEL_TASKS]:
        tasks[dag_id].start()
    return tasks[request.param]


@pytest.fixture
def approval(
    airflow: RunningAirflow, sandboxes: dict[str, Sandbox], request: pytest.FixtureRequest
) -> Callable[..., Approval]:
    """Start a run of a DAG with an approval. Its id is the name of the test."""

    def start(dag_id: str = "approval") -> Approval:
        return Approval(airflow, sandboxes["approval"], request.node.name, dag_id)

    return start
