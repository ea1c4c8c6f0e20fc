"""Waits that start or end in the triggerer of a real Airflow, ended by a person, a crash or a race."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS
from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow
from tests.system.scenarios import ENDED_CREATES, SENSORS, console_link
from tests.system.task import Task

if not HAS_TRIGGERER_TASKS:
    pytest.skip("Airflow before 3.3 neither starts nor ends tasks in the triggerer", allow_module_level=True)

#: Seconds for which the first request of a race is held, so that the scheduler is paused before the reply.
HELD = 6.0


class Waits:
    """The tasks of this module. Only waiting for a worker takes one, so they all wait at the same time."""

    def __init__(self, airflow: RunningAirflow, sandboxes: dict[str, Sandbox]) -> None:
        self.tasks = {
            dag_id: Task(airflow, sandboxes[dag_id], dag_id) for dag_id in (*SENSORS, *ENDED_CREATES)
        }

    def waiting(self, *dag_ids: str) -> Sequence[Task]:
        """Return tasks as soon as they wait for their campaigns."""
        tasks = [self.tasks[dag_id] for dag_id in dag_ids]
        for task in tasks:
            task.wait_until_waiting()
        return tasks


@pytest.fixture(scope="module")
def waits(airflow: RunningAirflow, sandboxes: dict[str, Sandbox]) -> Waits:
    """The tasks, started, except those of the race."""
    waits = Waits(airflow, sandboxes)
    for dag_id, task in waits.tasks.items():
        if "race" not in dag_id:
            task.start()
    return waits


def assert_succeeds(task: Task) -> None:
    """Finish the campaign, and check that the task succeeds, and what it leaves."""
    assert task.campaign["status"] == "active"
    task.finish_campaign()
    task.wait_for_state("success")
    assert task.stop_requests == 0
    assert_results(task)


def assert_results(task: Task) -> None:
    campaign, xcoms = task.campaign, task.xcoms()
    assert campaign["status"] == "finished"
    if task.dag_id in SENSORS:
        assert xcoms["return_value"]["uuid"] == campaign["uuid"]
        assert xcoms["return_value"]["status"] == "finished"
    else:
        assert xcoms["return_value"] == campaign["uuid"]
        assert xcoms["campaign"]["status"] == "finished"
        assert xcoms["sent"] is True
    link = console_link(task.dag_id, campaign["uuid"])
    assert xcoms["campaign_link"] == link
    assert task.links() == {"BM campaign": link}


def test_marking_the_task_as_failed_stops_the_campaign_that_it_created(waits: Waits) -> None:
    sensor, create = waits.waiting("sensor_mark_failed", "ended_mark_failed")
    for task in (sensor, create):
        task.mark("failed")
    create.wait_until("has stopped its campaign", lambda: create.campaign["status"] == "stopped")
    for task in (sensor, create):
        task.wait_until_idle()
        assert task.instance()["state"] == "failed"
    assert create.stop_requests == 1
    assert sensor.stop_requests == 0
    assert sensor.campaign["status"] == "active"


def test_marking_the_task_as_success_stops_no_campaign(waits: Waits) -> None:
    tasks = waits.waiting("sensor_mark_success", "ended_mark_success")
    for task in tasks:
        task.mark("success")
    for task in tasks:
        task.wait_until_idle()
        assert task.instance()["state"] == "success"
        assert task.campaign["status"] == "active"
        assert task.stop_requests == 0


def test_clearing_the_task_continues_with_the_same_campaign(waits: Waits) -> None:
    tasks = waits.waiting("sensor_clear", "ended_clear")
    for task in tasks:
        task.clear()
    for task in tasks:
        task.wait_until("is in its second try", lambda task=task: task.instance()["try_number"] > 1)
        task.wait_until_waiting()
        assert_succeeds(task)
    assert tasks[0].tries_on_workers() == set()


def test_failed_wait_fails_on_a_worker_without_retries(waits: Waits) -> None:
    for task in waits.waiting("sensor_failed", "ended_failed"):
        task.sandbox.stop_campaign(task.campaign["uuid"])
        task.wait_for_state("failed")
        assert task.instance()["try_number"] == 1
        assert task.tries_on_workers() == {1}
        assert task.find_in_logs(rf"Campaign {task.campaign['uuid']} 'Storm' is stopped")
        assert task.stop_requests == 0


def test_failed_wait_with_soft_fail_is_skipped_in_the_triggerer(waits: Waits) -> None:
    (task,) = waits.waiting("sensor_soft_fail")
    task.sandbox.stop_campaign(task.campaign["uuid"])
    task.wait_for_state("skipped")
    assert task.tries_on_workers() == set()
    assert task.stop_requests == 0


def test_wait_that_ends_before_airflow_has_noticed_that_it_deferred(
    waits: Waits, airflow: RunningAirflow
) -> None:
    """While the scheduler is paused, it does not learn that the worker processes have ended."""
    (started,) = racing = [waits.tasks["sensor_race_failed"]]
    started.start()
    started.wait_until_waiting()
    for dag_id in ("ended_race", "sensor_race", "ended_race_failed"):
        racing.append(task := waits.tasks[dag_id])
        task.sandbox.fault("GET", "/campaigns", delay=HELD)
        task.start()
    for task in racing:
        task.wait_until("executes", lambda task=task: task.sandbox.requests("GET"))
    with airflow.paused("scheduler"):
        for task in racing:
            task.wait_until_waiting()
            if task.dag_id.endswith("failed"):
                task.sandbox.stop_campaign(task.campaign["uuid"])
                task.wait_for_state("scheduled")
            else:
                task.finish_campaign()
                task.wait_for_state("success")
    started, ended, sensor, failed = racing
    for task in (started, failed):
        task.wait_for_state("failed")
        assert task.stop_requests == 0
        assert task.campaign["status"] == "stopped"
    assert started.instance()["try_number"] == 1
    for task in (ended, sensor):
        assert task.instance()["state"] == "success"
        assert task.instance()["try_number"] == 1
        assert_results(task)


def test_deadline_and_results_are_the_same_after_a_restart_of_the_triggerer(
    waits: Waits, airflow: RunningAirflow
) -> None:
    names = ("sensor_started", "sensor_ended", "ended")
    tasks = waits.waiting(*(f"{name}_triggerer_SIGKILL" for name in names))
    airflow.signal("triggerer", signal.SIGKILL)
    for task in tasks:
        task.wait_until_idle()
    airflow.start("triggerer")
    for task in tasks:
        task.wait_for_poll()
        deadlines = task.find_in_logs(r"Watching campaign .+ until (20\S+\+00:00)")
        assert len(deadlines) >= 2
        assert deadlines[-1] == deadlines[-2]
        assert_succeeds(task)
    assert tasks[0].tries_on_workers() == set()
