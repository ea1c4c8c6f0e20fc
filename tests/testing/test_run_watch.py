"""The time limit of a run."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from airflow_provider_bm.testing.run_watch import RunTimeout, RunWatch

TASK = SimpleNamespace(task_id="send", map_index=None)


def test_time_limit_starts_with_the_first_task():
    watch = RunWatch()
    with watch.watch(0.1):
        time.sleep(0.5)
    assert not watch.timed_out


def test_a_run_is_ended_after_its_time_limit():
    watch = RunWatch()
    with watch.watch(0.1):
        watch.on_running(TASK)
        time.sleep(60)
        pytest.fail("not interrupted")
    assert watch.timed_out


def test_task_that_catches_the_first_interruption_is_interrupted_again():
    watch = RunWatch(repeat=0.1)
    with watch.watch(0.1):
        watch.on_running(TASK)
        try:
            time.sleep(60)
        except RunTimeout as error:
            watch.on_failed(TASK, error)
        time.sleep(60)
        pytest.fail("not interrupted again")
    assert watch.interrupted == {("send", -1)}
    assert watch.errors == {}


def test_no_task_starts_after_the_time_limit():
    watch = RunWatch()
    watch.timed_out = True
    with pytest.raises(RunTimeout):
        watch.on_running(TASK)
