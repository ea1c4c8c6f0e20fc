"""A campaign is sent once wherever a try is killed or paused, and if two tries run at the same time."""

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
#: Number of scenarios that run in parallel. They spend most of their time waiting.
PARALLEL_SCENARIOS = 6


def run_scenarios(scenario, cases):
    """Call `scenario` with each case in parallel, and raise the first error."""
    with ThreadPoolExecutor(PARALLEL_SCENARIOS) as pool:
        list(pool.map(scenario, cases))


def run_until_success(start, kind, arguments, first_try, **kwargs):
    """Run tries, as Airflow's retries would, until one succeeds; return it."""
    for number in range(first_try, first_try + 4):
        attempt = start(kind, arguments, try_number=number, **kwargs)
        attempt.run_until(None)
        if attempt.outcome == "returned":
            return attempt
    raise AssertionError(f"no try succeeded: {attempt.outcome} {attempt.result}")


@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
@pytest.mark.parametrize("kind", ["create", "clone"])
@pytest.mark.parametrize(
    ("mode", "staged"), [("no_wait", False), ("wait", False), ("deferred", False), ("no_wait", True)]
)
def test_campaign_is_sent_once_wherever_the_first_try_is_killed(
    task, start, assert_sent_once, tmp_path, kind, mode, staged, stored
):
    arguments = {**task[kind], **MODES[mode], "staged": staged}

    def kwargs(run_id):
        return {"run_id": run_id, "store": str(tmp_path / run_id) if stored else None}

    # No request reaches this timeout, even on a slow machine.
    reference = run_until_success(start, kind, arguments, 1, timeout=8, **kwargs("reference"))
    assert_sent_once("reference")
    assert "POST campaigns: sent" in reference.labels
    assert stored == ("state: after" in reference.labels)
    assert staged == ("PUT campaign: sent" in reference.labels)

    def scenario(boundary):
        run_id = f"killed at {boundary}"
        first = start(kind, arguments, kill_at=boundary, timeout=8, **kwargs(run_id))
        first.run_until(None)
        # The number of polls, and so of boundaries, depends on timing.
        if mode == "no_wait":
            assert (first.outcome, first.labels) == ("killed", reference.labels[:boundary])
        run_until_success(start, kind, arguments, 2, **kwargs(run_id))
        assert_sent_once(run_id)

    run_scenarios(scenario, range(len(reference.labels)))


@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
@pytest.mark.parametrize("kind", ["status", "update"])
def test_draft_is_activated_once_wherever_the_first_try_is_killed(
    sandbox, task, start, tmp_path, kind, stored
):
    """Worst case: the server processes the PUT of a killed try while the next try is running."""

    def scenario(boundary):
        draft = sandbox.create(status="draft", **task["create"])
        arguments = {"campaign_uuid": draft["uuid"], "status": "active"}
        store = str(tmp_path / draft["uuid"]) if stored else None
        first = start(kind, arguments, run_id="run", store=store, kill_at=boundary)
        first.run_until(None)
        run_until_success(start, kind, arguments, 2, run_id="run", store=store)
        assert len(sandbox.executions(campaign_uuid=draft["uuid"])) == 1
        return first

    reference = scenario(None)
    assert reference.outcome == "returned"
    assert "PUT campaign: sent" in reference.labels
    sandbox.fault(method="PUT", times=None, delay=0.7)
    run_scenarios(scenario, range(len(reference.labels)))


def test_campaign_is_sent_once_if_two_tries_run_at_the_same_time(task, start, assert_sent_once):
    """Two staged tries are paused at every pair of boundaries, then both continue.

    Mirrored pairs are left out: staged tries behave the same whatever their try number.
    """
    kind, arguments = "clone", {**task["clone"], "staged": True}
    reference = run_until_success(start, kind, arguments, 1, run_id="reference", timeout=8)

    def scenario(boundaries):
        i, j = boundaries
        run_id = f"{i} and {j}"
        # The lease grows with the timeout, so that paused processes stay within it.
        tries = [
            start(kind, arguments, run_id=run_id, step=True, timeout=8, try_number=number)
            for number in (1, 2)
        ]
        for attempt, boundary in zip(tries, boundaries, strict=True):
            attempt.run_until(boundary)
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda attempt: attempt.resume(), tries))
        outcomes = [attempt.outcome for attempt in tries]
        assert outcomes == ["returned", "returned"], [attempt.result for attempt in tries]
        assert tries[0].result == tries[1].result
        assert_sent_once(run_id)

    run_scenarios(scenario, combinations_with_replacement(range(len(reference.labels)), 2))


def test_campaign_is_sent_once_if_a_try_is_paused_longer_than_its_lease(task, start, assert_sent_once):
    """The next try takes over when the lease expires; the first one sends nothing when it resumes.

    Except in one documented gap: paused after its last check of the clock, before it sends its PUT.
    """
    arguments = {**task["create"], "staged": True}
    reference = run_until_success(start, "create", arguments, 1, run_id="reference", timeout=8)
    gap = reference.labels.index("PUT campaign: before")

    def scenario(boundary):
        run_id = f"paused at {boundary}"
        paused = start("create", arguments, run_id=run_id, step=True)
        paused.run_until(boundary)
        run_until_success(start, "create", arguments, 2, run_id=run_id)
        paused.resume()
        assert_sent_once(run_id)

    run_scenarios(scenario, [boundary for boundary in range(len(reference.labels)) if boundary != gap])
