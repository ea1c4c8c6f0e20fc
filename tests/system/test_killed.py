"""Whatever dies or is ended by a person, in a real Airflow: one campaign, sent once, and rightly stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil
import pytest

from tests.system.running import RunningAirflow
from tests.system.task import Task

Start = Callable[[str], Task]
PLACES = pytest.mark.parametrize("place", ["worker", "deferred"])


def until_waiting(task: Task, place: str) -> None:
    """Wait until the task waits for its campaign."""
    if place == "deferred":
        task.until_state("deferred")
    task.until_watched()


def until_let_go(task: Task, place: str) -> None:
    """Wait until the first try's process, or its trigger, has ended, and has done all that it would do."""
    if place == "worker":
        pid = task.until_executed()
        task.until("its process has ended", lambda: not psutil.pid_exists(pid))
    task.until_quiet()


def assert_goes_on_to_success(task: Task, *, tries: int) -> None:
    """After all that: the same campaign, never stopped, and the task succeeds with it."""
    assert task.campaign["status"] == "active"
    task.finish()
    task.until_state("success")
    assert task.instance()["try_number"] == tries
    assert task.campaign["status"] == "finished"
    assert task.stops == 0


def test_the_task_process_is_killed_while_it_waits(start: Start) -> None:
    task = start("killed_waiting")
    until_waiting(task, "worker")
    task.kill()
    task.until_executed(2)
    task.until_watched()
    assert_goes_on_to_success(task, tries=2)


def test_the_task_process_is_killed_between_the_post_and_its_reply(start: Start, sandboxes) -> None:
    sandboxes["killed_posting"].fault("POST", "/campaigns", delay_after=1000)
    task = start("killed_posting")
    task.until("has posted", task.sandbox.campaigns)
    task.kill()
    task.until_executed(2)
    task.until_watched()
    assert_goes_on_to_success(task, tries=2)


@PLACES
def test_marked_as_failed(start: Start, place: str) -> None:
    task = start(f"mark_failed_{place}")
    until_waiting(task, place)
    task.mark_failed()
    task.until("has stopped its campaign", lambda: task.campaign["status"] == "stopped")
    until_let_go(task, place)
    assert task.stops == 1
    assert task.instance()["state"] == "failed"


@PLACES
def test_cleared(start: Start, place: str) -> None:
    task = start(f"clear_{place}")
    until_waiting(task, place)
    task.clear()
    task.until_executed(2)
    until_waiting(task, place)
    assert_goes_on_to_success(task, tries=2)


@PLACES
def test_marked_as_failed_without_stop_on_kill(start: Start, place: str) -> None:
    task = start(f"let_it_go_{place}")
    until_waiting(task, place)
    task.mark_failed()
    until_let_go(task, place)
    assert task.campaign["status"] == "active"
    assert task.stops == 0
    assert task.instance()["state"] == "failed"


@PLACES
def test_marked_as_failed_after_the_campaign_has_finished(start: Start, place: str) -> None:
    task = start(f"finished_{place}")
    if place == "deferred":
        task.until_state("deferred")
    task.until("has posted", task.sandbox.campaigns)
    task.until_quiet()
    task.finish()
    task.mark_failed()
    task.until_watched()
    until_let_go(task, place)
    assert task.campaign["status"] == "finished"
    assert task.stops == 0
    assert task.instance()["state"] == "failed"


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_the_triggerer_is_ended_and_another_one_started(
    start: Start, airflow: RunningAirflow, how: str
) -> None:
    task = start(f"triggerer_{how}")
    until_waiting(task, "deferred")
    deadline = task.instance()["trigger"]["kwargs"]
    airflow.signal("triggerer", signal.Signals[how])
    task.until_quiet()
    airflow.start("triggerer")
    task.until_watched()
    assert task.instance()["trigger"]["kwargs"] == deadline
    assert_goes_on_to_success(task, tries=1)
