"""What is wrong with one campaign is the affair of those who wait for it."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES
from tests.polling.helpers import (
    LISTS,
    active,
    end,
    events_of,
    finished,
    page,
    rows,
    start,
    states,
    until,
    waiting,
)


def one_then_the_others(sandbox, bad, good):
    """Wait for all; once the bad one has ended, the others finish."""

    async def main():
        first, *others = start(waiting(bad), *map(waiting, good))
        event = await asyncio.wait_for(first, 10)
        await asyncio.sleep(0.15)
        assert not any(task.done() for task in others)
        sandbox.clock.advance(60)
        return event, await asyncio.gather(*others)

    return asyncio.run(main())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "effect", [{"status": 403}, {"status": 302, "headers": {"Location": "/elsewhere"}}], ids=["403", "302"]
)
def test_what_is_forbidden_to_some_who_ask_for_more(frozen, alter, effect, count):
    """For good, in lists and alone, but only with the messages."""

    def refuse(sent, reply):
        if "fields" in sent.query:
            reply.status_code = effect["status"]
            reply.headers.update(effect.get("headers", {}))

    alter(refuse)
    bad, good = active(frozen, count), active(frozen, 3)

    async def main():
        others = start(*map(waiting, good))
        events = await asyncio.gather(*start(*(waiting(uuid, fields=["messages"]) for uuid in bad)))
        await asyncio.sleep(0.15)
        assert not any(task.done() for task in others)
        frozen.clock.advance(60)
        return events, await asyncio.gather(*others)

    events, others = asyncio.run(main())
    assert states(events) == ["error"] * count
    assert states(others) == ["done"] * 3


def test_what_is_forbidden_to_some_is_not_to_whose_turn_it_is_not(frozen, alter, wire):
    def refuse(sent, reply):
        if "fields" in sent.query:
            reply.status_code = 403

    alter(refuse)
    patient, *bad = active(frozen, 3)

    async def main():
        (other,) = start(waiting(patient, poke_interval=1000))
        events = await asyncio.gather(*start(*(waiting(uuid, fields=["messages"]) for uuid in bad)))
        await asyncio.sleep(0.15)
        assert not other.done()
        await end(other)
        return events

    assert states(asyncio.run(main())) == ["error"] * 2


@pytest.mark.parametrize("place", [0, 3])
def test_a_list_is_forbidden_since_one_of_its_campaigns_is(frozen, alter, place):
    """Whether it is the first that is then asked for by itself, or the last."""
    uuids = active(frozen, 4)

    def refuse(sent, reply):
        if uuids[place] in sent.uuids:
            reply.status_code = 403

    alter(refuse)

    async def main():
        tasks = start(*map(waiting, uuids))
        bad = tasks.pop(place)
        event = await asyncio.wait_for(bad, 10)
        await asyncio.sleep(0.15)
        assert not any(task.done() for task in tasks)
        frozen.clock.advance(60)
        return event, await asyncio.gather(*tasks)

    event, others = asyncio.run(main())
    assert (event["state"], event["permanent"]) == ("error", True)
    assert states(others) == ["done"] * 3


def test_one_that_is_redirected_among_those_that_are_read_alone(frozen):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 5)
    frozen.fault(method="GET", path=bad, times=None, status=302, headers={"Location": "/elsewhere"})
    event, others = one_then_the_others(frozen, bad, good)
    assert states([event, *others]) == ["error", *["done"] * 4]


def test_it_does_not_exist(frozen):
    bad, *good = active(frozen, 5)
    frozen.fault(method="GET", path=bad, times=None, status=404)
    held = [row for uuid, row in rows(frozen).items() if uuid != bad]
    frozen.fault(method="GET", path=LISTS, times=1, status=200, body=page(held))
    event, others = one_then_the_others(frozen, bad, good)
    assert event["state"] == "failed"
    assert "does not exist, or no longer" in event["reason"]
    assert states(others) == ["done"] * 4


def test_its_status_was_never_heard_of(frozen):
    bad, *good = active(frozen, 5)
    changed = rows(frozen) | {bad: {**rows(frozen)[bad], "status": "paused_by_moon"}}
    frozen.fault(method="GET", path=LISTS, times=1, status=200, body=page(list(changed.values())))
    event, others = one_then_the_others(frozen, bad, good)
    assert event["state"] == "failed"
    assert "unknown status" in event["reason"]
    assert states(others) == ["done"] * 4


def test_its_last_execution_is_no_time(frozen):
    bad, *good = active(frozen, 5)
    changed = rows(frozen) | {bad: {**rows(frozen)[bad], "last_dt": "soon"}}
    frozen.fault(method="GET", path=LISTS, times=None, status=200, body=page(list(changed.values())))

    async def main():
        first, *others = start(
            waiting(bad, executed_after="2026-01-01T00:00:00Z"), waiting(bad), *map(waiting, good)
        )
        event = await asyncio.wait_for(first, 10)
        assert not any(task.done() for task in others)
        await end(*others)
        return event

    event = asyncio.run(main())
    assert (event["state"], event["permanent"]) == ("error", False)
    assert "'soon'" in event["reason"]


def test_it_is_forbidden(frozen):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 5)
    frozen.fault(method="GET", path=bad, times=None, status=403)
    event, others = one_then_the_others(frozen, bad, good)
    assert (event["state"], event["permanent"]) == ("error", True)
    assert "HTTP 403" in event["reason"]
    assert states(others) == ["done"] * 4


@pytest.mark.parametrize("status", [500, 504])
def test_it_always_fails_and_so_does_each_list_with_it(frozen, wire, status, monkeypatch):
    frozen.fault(method="GET", path=LISTS, times=None, status=status)
    bad, *good = active(frozen, 5)
    frozen.fault(method="GET", path=bad, times=None, status=status)
    monkeypatch.setattr("airflow_provider_bm.polling.back_off.LONGEST", 0.1)
    event, others = one_then_the_others(frozen, bad, good)
    assert (event["state"], event["permanent"]) == ("error", False)
    assert f"HTTP {status}" in event["reason"]
    assert states(others) == ["done"] * 4
    tries = [one for one in wire.singles if bad in one.uuids]
    assert len(tries) == 2 * (TOLERATED_FAILURES + 1)


def test_those_between_whom_others_are_read_do_not_fail_in_a_row(frozen, wire, caplog):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    uuids = active(frozen, 10)
    for number in (1, 3, 5):
        frozen.fault(method="GET", path=uuids[number], times=None, status=500)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len([one for one in wire.singles if one.uuids == [uuids[0]]]) >= 2)
        await end(*tasks)

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if "in a row" in record.getMessage()]
    assert {line.split()[1] for line in told} == {uuids[number] for number in (1, 3, 5)}


@pytest.mark.parametrize("bad_ones", [1, 2, 3, 4, 7])
def test_however_many_always_fail_the_others_are_read(frozen, bad_ones):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, good = active(frozen, bad_ones), active(frozen, 20)
    for uuid in bad:
        frozen.fault(method="GET", path=uuid, times=None, status=500)

    async def main():
        # The bad ones come first, where they can do most harm.
        tasks = start(*map(waiting, [*bad, *good]))
        frozen.clock.advance(60)
        async with asyncio.timeout(15):
            events = await asyncio.gather(*tasks[bad_ones:])
        await end(*tasks)
        return events

    assert states(asyncio.run(main())) == ["done"] * 20


def test_those_who_failed_come_last(frozen, wire, caplog):
    """So that one more that fails keeps no other from being read."""
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    *bad, turning_bad, good = active(frozen, 4)

    def fails(uuid):
        frozen.fault(method="GET", path=uuid, times=None, status=500)

    def rounds():
        return len([one for one in wire.singles if good in one.uuids])

    async def main():
        for uuid in bad:
            fails(uuid)
        tasks = start(*map(waiting, [*bad, turning_bad, good]))
        await until(lambda: rounds() >= 2)
        fails(turning_bad)
        await until(lambda: rounds() >= 4)
        await end(*tasks)

    asyncio.run(main())
    assert f"Polling campaign {bad[0]} failed" in caplog.text
    assert f"Polling campaign {good} failed" not in caplog.text


def test_one_that_is_always_a_gateways_time_out_starves_nobody(frozen):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 12)
    frozen.fault(method="GET", path=bad, times=None, status=502)

    async def main():
        first, *others = start(*map(waiting, [bad, *good]))
        frozen.clock.advance(60)
        async with asyncio.timeout(10):
            events = await asyncio.gather(*others)
        await end(first)
        return events

    assert states(asyncio.run(main())) == ["done"] * 11


def test_wrong_arguments_are_ones_own(frozen):
    (uuid,) = finished(frozen, 1)
    wrong = [waiting("../../other"), waiting(uuid, fields=["money"]), waiting(uuid, failed_status=["gone"])]
    *failed, done = events_of(*wrong, waiting(uuid))
    assert states(failed) == ["error"] * 3
    assert all(event["permanent"] for event in failed)
    assert done["state"] == "done"


def test_what_nobody_foresaw_is_ones_own(frozen):
    """A deadline without a zone: the trigger that has it fails, and no other."""
    uuids = finished(frozen, 2)
    wrong, done = events_of(waiting(uuids[0], deadline="2026-01-01T00:00:00"), waiting(uuids[1]))
    assert isinstance(wrong, TypeError)
    assert done["state"] == "done"
