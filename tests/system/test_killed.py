"""Whatever dies or is ended by a person, in a real Airflow: one campaign, sent once, and rightly stopped."""

from __future__ import annotations

import signal

import pytest

from tests.system.running import RunningAirflow
from tests.system.task import Task


def scenario(*dag_ids: str) -> pytest.MarkDecorator:
    """Run a test with the task of each of these DAGs."""
    return pytest.mark.parametrize("task", dag_ids, indirect=True)


def assert_goes_on_to_success(task: Task, *, tries: int) -> None:
    """After all that: the same campaign, never stopped, and the task succeeds with it."""
    assert task.campaign["status"] == "active"
    task.finish()
    task.until_state("success")
    # 3.3.2 may resume a deferred task before it has noticed that it deferred, and then needs one more.
    assert task.instance()["try_number"] in (tries, tries + 1)
    assert task.campaign["status"] == "finished"
    assert task.stops == 0


@scenario("killed_waiting")
def test_the_task_process_is_killed_while_it_waits(task: Task) -> None:
    task.until_waiting()
    task.kill()
    task.until_executed(2)
    task.until_waiting()
    assert_goes_on_to_success(task, tries=2)


@scenario("killed_posting")
def test_the_task_process_is_killed_between_the_post_and_its_reply(task: Task) -> None:
    task.until("has posted", task.sandbox.campaigns)
    task.kill()
    task.until_executed(2)
    task.until_waiting()
    assert_goes_on_to_success(task, tries=2)


@scenario("mark_failed_worker", "mark_failed_deferred")
def test_marked_as_failed(task: Task) -> None:
    task.until_waiting()
    task.mark_failed()
    task.until("has stopped its campaign", lambda: task.campaign["status"] == "stopped")
    task.until_let_go()
    assert task.stops == 1
    assert task.instance()["state"] == "failed"


@scenario("clear_worker", "clear_deferred")
def test_cleared(task: Task) -> None:
    task.until_waiting()
    task.clear()
    task.until_executed(2)
    task.until_waiting()
    assert_goes_on_to_success(task, tries=2)


@scenario("let_it_go_worker", "let_it_go_deferred")
def test_marked_as_failed_without_stop_on_kill(task: Task) -> None:
    task.until_waiting()
    task.mark_failed()
    task.until_let_go()
    assert task.campaign["status"] == "active"
    assert task.stops == 0
    assert task.instance()["state"] == "failed"


@scenario("finished_worker", "finished_deferred")
def test_marked_as_failed_after_the_campaign_has_finished(task: Task) -> None:
    task.until("has posted", task.sandbox.campaigns)
    if task.deferred:
        task.until_state("deferred")
    task.until_quiet()
    task.finish()
    task.mark_failed()
    task.until_watched()
    task.until_let_go()
    assert task.campaign["status"] == "finished"
    assert task.stops == 0
    assert task.instance()["state"] == "failed"


@scenario("triggerer_SIGTERM", "triggerer_SIGKILL")
def test_the_triggerer_is_ended_and_another_one_started(task: Task, airflow: RunningAirflow) -> None:
    task.until_waiting()
    airflow.signal("triggerer", signal.Signals[task.dag_id.removeprefix("triggerer_")])
    task.until_quiet()
    airflow.start("triggerer")
    task.until_watched()
    deadlines = task.logged(r"Watching campaign \S+ until (20\S+\+00:00)")
    # Of the old triggerer and the new one; there may be an earlier one, of a try that 3.3.2 has lost.
    assert len(deadlines) >= 2
    assert deadlines[-1] == deadlines[-2]
    assert_goes_on_to_success(task, tries=1)
