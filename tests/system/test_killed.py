"""Killed processes and tasks ended by a person, in a real Airflow: the campaign is sent once."""

from __future__ import annotations

import signal

import pytest

from tests.system.running import RunningAirflow
from tests.system.task import Task


def scenario(*dag_ids: str) -> pytest.MarkDecorator:
    """Parametrize a test with the tasks of these DAGs."""
    return pytest.mark.parametrize("task", dag_ids, indirect=True)


def assert_succeeds_with_the_same_campaign(task: Task, *, tries: int) -> None:
    """Finish the campaign, and check that the task succeeds and never stopped or repeated it."""
    assert task.campaign["status"] == "active"
    task.finish_campaign()
    task.wait_for_state("success")
    # 3.3.2 may resume a deferred task before it has recorded the deferral, and then needs one more try.
    assert task.instance()["try_number"] in (tries, tries + 1)
    assert task.campaign["status"] == "finished"
    assert task.stop_requests == 0


@scenario("killed_waiting")
def test_task_process_killed_while_it_waits(task: Task) -> None:
    task.wait_until_waiting()
    task.kill()
    task.wait_for_process(2)
    task.wait_until_waiting()
    assert_succeeds_with_the_same_campaign(task, tries=2)


@scenario("killed_posting")
def test_task_process_killed_before_the_response_to_its_post(task: Task) -> None:
    task.wait_until("has posted", task.sandbox.campaigns)
    task.kill()
    task.wait_for_process(2)
    task.wait_until_waiting()
    assert_succeeds_with_the_same_campaign(task, tries=2)


@scenario("mark_failed_worker", "mark_failed_deferred")
def test_marking_the_task_as_failed_stops_the_campaign(task: Task) -> None:
    task.wait_until_waiting()
    task.mark("failed")
    task.wait_until("has stopped its campaign", lambda: task.campaign["status"] == "stopped")
    task.wait_until_first_try_ended()
    assert task.stop_requests == 1
    assert task.instance()["state"] == "failed"


@scenario("clear_worker", "clear_deferred")
def test_clearing_the_task_neither_stops_nor_repeats_the_campaign(task: Task) -> None:
    task.wait_until_waiting()
    task.clear()
    task.wait_for_process(2)
    task.wait_until_waiting()
    assert_succeeds_with_the_same_campaign(task, tries=2)


@scenario("no_stop_on_kill_worker", "no_stop_on_kill_deferred")
def test_marking_the_task_as_failed_without_stop_on_kill_keeps_the_campaign(task: Task) -> None:
    task.wait_until_waiting()
    task.mark("failed")
    task.wait_until_first_try_ended()
    assert task.campaign["status"] == "active"
    assert task.stop_requests == 0
    assert task.instance()["state"] == "failed"


@scenario("finished_worker", "finished_deferred")
def test_marking_the_task_as_failed_after_the_campaign_has_finished(task: Task) -> None:
    task.wait_until("has posted", task.sandbox.campaigns)
    if task.deferred:
        task.wait_for_state("deferred")
    task.wait_until_idle()
    task.finish_campaign()
    task.mark("failed")
    task.wait_for_poll()
    task.wait_until_first_try_ended()
    assert task.campaign["status"] == "finished"
    assert task.stop_requests == 0
    assert task.instance()["state"] == "failed"


@scenario("triggerer_SIGTERM", "triggerer_SIGKILL")
def test_deadline_stays_the_same_after_a_restart_of_the_triggerer(
    task: Task, airflow: RunningAirflow
) -> None:
    task.wait_until_waiting()
    airflow.signal("triggerer", signal.Signals[task.dag_id.removeprefix("triggerer_")])
    task.wait_until_idle()
    airflow.start("triggerer")
    task.wait_for_poll()
    deadlines = task.find_in_logs(r"Watching campaign .+ until (20\S+\+00:00)")
    # One of the old triggerer and one of the new; perhaps an earlier one, of a try that 3.3.2 has lost.
    assert len(deadlines) >= 2
    assert deadlines[-1] == deadlines[-2]
    assert_succeeds_with_the_same_campaign(task, tries=1)
