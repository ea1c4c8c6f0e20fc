"""One campaign, executed once, wherever a try is killed, and whoever else is alive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations_with_replacement

import pytest

pytestmark = pytest.mark.slow

MODES = {
    "no_wait": {},
    "wait": {"wait_for_completion": True, "deferrable": False, "poke_interval": 0.3},
    "deferred": {"wait_for_completion": True, "deferrable": True, "poke_interval": 0.3},
}
#: Stories told at once: most of their time they wait.
AT_ONCE = 6


def all_of(stories, tell):
    """Tell stories side by side; the first that fails is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(tell, stories))


def finish(start, kind, arguments, first_try, **kwargs):
    """Run tries as Airflow would, until one succeeds."""
    for number in range(first_try, first_try + 4):
        one = start(kind, arguments, try_number=number, **kwargs)
        one.until(None)
        if one.outcome == "returned":
            return one
    raise AssertionError(f"no try succeeded: {one.outcome} {one.result}")


@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
@pytest.mark.parametrize("kind", ["create", "clone"])
@pytest.mark.parametrize(
    ("mode", "staged"), [("no_wait", False), ("wait", False), ("deferred", False), ("no_wait", True)]
)
def test_killed_at_any_boundary(task, start, assert_sent_once, tmp_path, kind, mode, staged, stored):
    arguments = {**task[kind], **MODES[mode], "staged": staged}

    def kwargs(run_id):
        return {"run_id": run_id, "store": str(tmp_path / run_id) if stored else None}

    # Nothing waits for this time-out, and no reply is late on a slow machine.
    dry = finish(start, kind, arguments, 1, timeout=8, **kwargs("dry"))
    assert_sent_once("dry")
    assert "POST all: out" in dry.labels
    assert stored == ("state: after" in dry.labels)
    assert staged == ("PUT one: out" in dry.labels)

    def story(number):
        run_id = f"killed at {number}"
        first = start(kind, arguments, die_at=number, timeout=8, **kwargs(run_id))
        first.until(None)
        # How often a waiting try looks is a matter of time.
        if mode == "no_wait":
            assert (first.outcome, first.labels) == ("killed", dry.labels[:number])
        finish(start, kind, arguments, 2, **kwargs(run_id))
        assert_sent_once(run_id)

    all_of(range(len(dry.labels)), story)


@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
@pytest.mark.parametrize("kind", ["status", "update"])
def test_an_activation_killed_at_any_boundary(sandbox, task, start, tmp_path, kind, stored):
    """The server is slower than the retry: a PUT is carried out when the next try runs already."""

    def story(number):
        draft = sandbox.create(status="draft", **task["create"])
        arguments = {"campaign_uuid": draft["uuid"], "status": "active"}
        store = str(tmp_path / draft["uuid"]) if stored else None
        first = start(kind, arguments, run_id="run", store=store, die_at=number)
        first.until(None)
        finish(start, kind, arguments, 2, run_id="run", store=store)
        assert len(sandbox.executions(campaign_uuid=draft["uuid"])) == 1
        return first

    dry = story(None)
    assert dry.outcome == "returned"
    assert "PUT one: out" in dry.labels
    sandbox.fault(method="PUT", times=None, delay=0.7)
    all_of(range(len(dry.labels)), story)


def test_two_attempts_alive_at_once(task, start, assert_sent_once):
    """Every pair of boundaries at which two staged attempts can stand side by side.

    One of each two mirrored pairs is enough: a staged attempt does not care which try it is.
    """
    kind, arguments = "clone", {**task["clone"], "staged": True}
    dry = finish(start, kind, arguments, 1, run_id="dry", timeout=8)

    def story(pair):
        i, j = pair
        run_id = f"{i} and {j}"
        # Paused processes stay well within the lease, which grows with the time-out.
        pair = [
            start(kind, arguments, run_id=run_id, step=True, timeout=8, try_number=number)
            for number in (1, 2)
        ]
        for one, boundary in zip(pair, (i, j), strict=True):
            one.until(boundary)
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda one: one.go_on(), pair))
        assert [one.outcome for one in pair] == ["returned", "returned"], [one.result for one in pair]
        assert pair[0].result == pair[1].result
        assert_sent_once(run_id)

    all_of(combinations_with_replacement(range(len(dry.labels)), 2), story)


def test_an_attempt_that_sleeps_longer_than_its_lease(task, start, assert_sent_once):
    """It is taken for dead, another one goes on; awake again, it sends nothing.

    But for one gap, which the docs name: asleep when it has looked at its clock, before its PUT is out.
    """
    arguments = {**task["create"], "staged": True}
    dry = finish(start, "create", arguments, 1, run_id="dry", timeout=8)
    gap = dry.labels.index("PUT one: before")

    def story(number):
        run_id = f"asleep at {number}"
        sleeper = start("create", arguments, run_id=run_id, step=True)
        sleeper.until(number)
        finish(start, "create", arguments, 2, run_id=run_id)
        sleeper.go_on()
        assert_sent_once(run_id)

    all_of([number for number in range(len(dry.labels)) if number != gap], story)
