"""When it is looked: in time for everybody, never more often than the shortest interval, and at deadlines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from airflow_provider_bm.polling import poller, watcher
from airflow_provider_bm.triggers import campaign as triggers
from airflow_provider_bm.waiting import wait as waiting_module
from tests.polling.helpers import INTERVAL, LISTS, active, end, events_of, start, states, until, waiting


def after(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def looks_at(wire, uuid):
    return [one for one in wire.looks if uuid in one.uuids]


def test_a_short_interval_joins_and_leaves(frozen, wire):
    patient, hasty = active(frozen, 2)

    async def main():
        (long,) = start(waiting(patient, poke_interval=3600))
        await asyncio.sleep(0.05)
        (short,) = start(waiting(hasty))
        await until(lambda: len(looks_at(wire, hasty)) >= 3)
        await end(short)
        looks = len(wire.looks)
        await asyncio.sleep(0.4)
        # One may have been on its way.
        assert len(wire.looks) <= looks + 1
        assert not long.done()
        await end(long)

    asyncio.run(main())
    assert not looks_at(wire, patient)


def test_those_who_come_and_go_do_not_make_it_faster(frozen, wire):
    uuids = active(frozen, 10)

    async def main():
        stays = start(waiting(uuids[0], poke_interval=0.25))
        while len(wire.looks) < 3:
            tasks = []
            for uuid in uuids:
                tasks += start(waiting(uuid, poke_interval=0.25))
                await asyncio.sleep(0.02)
            for task in tasks:
                await end(task)
        await end(*stays)

    asyncio.run(main())
    assert min(wire.gaps()) >= 0.25


def test_nobody_waits_longer_than_asked_since_others_are_hastier(frozen, wire):
    """Whoever would be late in the next round has a look in this one."""
    patient, hasty, other = active(frozen, 3)

    async def main():
        tasks = start(
            waiting(hasty, poke_interval=0.15),
            waiting(other, poke_interval=0.15),
            waiting(patient, poke_interval=0.15 * 1.9),
        )
        await until(lambda: len(looks_at(wire, hasty)) >= 6)
        await end(*tasks)

    asyncio.run(main())
    asked = [patient in one.uuids for one in wire.looks]
    assert all(asked[:5])


def test_who_was_left_out_is_not_late_when_the_hasty_have_left(frozen, wire):
    patient, hasty = active(frozen, 2)

    async def main():
        tasks = start(waiting(patient, poke_interval=2), waiting(hasty, poke_interval=0.3))
        await until(lambda: len(looks_at(wire, hasty)) >= 3)
        await end(tasks[1])
        await until(lambda: looks_at(wire, patient))
        await end(tasks[0])

    asyncio.run(main())
    assert min(wire.gaps()) >= 0.3
    # It is not waited for its interval once more.
    assert wire.gaps()[-1] < 2


def test_rounds_are_not_all_the_same_time_apart(frozen, wire, monkeypatch):
    """So that many pollers do not ask at once."""
    monkeypatch.setattr(poller, "_JITTER", 20.0)
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = start(waiting(uuid))
        await until(lambda: len(wire.looks) >= 10)
        await end(*tasks)

    asyncio.run(main())
    assert max(wire.gaps()) - min(wire.gaps()) > 4 * INTERVAL


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_no_interval_is_too_short(frozen, wire, monkeypatch, interval):
    monkeypatch.setattr(watcher, "SHORTEST_INTERVAL", 0.15)
    (uuid,) = active(frozen, 1)

    async def main():
        (task,) = start(waiting(uuid, poke_interval=interval))
        await until(lambda: len(wire.looks) >= 3)
        await end(task)

    asyncio.run(main())
    assert min(wire.gaps()) >= 0.15


def test_who_waits_much_longer_is_asked_for_seldom(frozen, wire):
    patient, hasty = active(frozen, 2)

    async def main():
        tasks = start(waiting(hasty), waiting(patient, poke_interval=0.5))
        await until(lambda: len(looks_at(wire, patient)) >= 2)
        await end(*tasks)

    asyncio.run(main())
    rounds = [number for number, one in enumerate(wire.looks) if patient in one.uuids]
    assert rounds[1] - rounds[0] >= 3


def test_deadlines_share_their_last_looks(frozen, wire, monkeypatch):
    monkeypatch.setattr(poller, "_LAST_LOOKS", 0.5)
    uuids = active(frozen, 20)
    events = events_of(
        *(
            waiting(uuid, poke_interval=3600, deadline=after(0.1 + 0.02 * number))
            for number, uuid in enumerate(uuids)
        )
    )
    assert states(events) == ["timeout"] * 20
    assert all(event["reason"].startswith("Last seen: status active") for event in events)
    assert len(wire.looks) <= 2


def test_last_looks_of_some_change_nothing_for_the_rest(frozen, wire):
    """Neither do they put off a round, nor do they make it come sooner for those who still wait."""
    steady, *others = active(frozen, 12)

    async def main():
        deadlines = [after(0.05 + 0.15 * number) for number in range(len(others))]
        tasks = start(
            *(
                waiting(uuid, poke_interval=3600, deadline=deadline)
                for uuid, deadline in zip(others, deadlines, strict=True)
            ),
            waiting(steady, poke_interval=0.4),
        )
        await until(lambda: len(looks_at(wire, steady)) >= 4)
        await end(*tasks)

    asyncio.run(main())
    steady_looks = [one.at for one in looks_at(wire, steady)]
    assert len(wire.looks) > 4
    assert wire.looks.index(looks_at(wire, steady)[0]) < wire.looks.index(looks_at(wire, others[-1])[-1])
    assert all(later - earlier >= 0.4 for earlier, later in pairwise(steady_looks))


@pytest.mark.parametrize("others", [0, 5])
def test_what_happened_before_the_deadline_counts(frozen, others):
    uuids = active(frozen, 1 + others)

    async def main():
        tasks = start(
            waiting(uuids[0], poke_interval=3600, deadline=after(0.2)),
            *(waiting(uuid, poke_interval=3600) for uuid in uuids[1:]),
        )
        await asyncio.sleep(0.05)
        frozen.clock.advance(60)
        event = await asyncio.wait_for(tasks[0], 5)
        await end(*tasks)
        return event

    assert asyncio.run(main())["state"] == "done"


def test_an_answer_from_before_the_deadline_is_not_the_last(frozen, wire):
    """It was on its way for long; what came to pass meanwhile is not in it."""
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, delay_after=1.5)

    async def main():
        deadline = after(1.4)
        tasks = start(*(waiting(uuid, deadline=deadline) for uuid in uuids))
        await until(lambda: wire.lists)
        await asyncio.sleep(0.1)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_a_deadline_that_has_passed_already(frozen):
    """As after a time without any triggerer."""
    uuids = active(frozen, 2)
    frozen.create(status="finished")
    events = events_of(*(waiting(uuid, poke_interval=3600, deadline=after(-3600)) for uuid in uuids))
    assert states(events) == ["timeout"] * 2
    assert all(event["campaign"]["status"] == "active" for event in events)


def test_a_deadline_joins_a_poller_that_sleeps(frozen):
    patient, hasty = active(frozen, 2)

    async def main():
        tasks = start(waiting(patient, poke_interval=60))
        await asyncio.sleep(0.05)
        tasks += start(waiting(hasty, poke_interval=3600, deadline=after(0.1)))
        event = await asyncio.wait_for(tasks[1], 10)
        await end(*tasks)
        return event

    assert asyncio.run(main())["reason"].startswith("Last seen")


def test_those_whose_deadline_has_passed_come_one_by_one(frozen, wire, monkeypatch):
    """And share their looks all the same."""
    monkeypatch.setattr(poller, "_LAST_LOOKS", 0.2)
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = start(waiting(uuid, poke_interval=3600))
        for _ in range(20):
            tasks += start(waiting(uuid, poke_interval=3600, deadline=after(-1)))
            await asyncio.sleep(0.03)
        await asyncio.gather(*tasks[1:])
        await end(*tasks)

    asyncio.run(main())
    assert len(wire.looks) >= 2
    assert min(wire.gaps()) >= 0.2


def test_the_api_does_not_answer(frozen, monkeypatch):
    monkeypatch.setattr(triggers, "GRACE", timedelta(seconds=0.2))
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, delay=0.8)
    events = events_of(*(waiting(uuid, deadline=after(0.2)) for uuid in uuids))
    assert states(events) == ["timeout"] * 2
    assert all("It could not be looked at in time. It was never seen." in event["reason"] for event in events)


def test_a_failing_last_look_is_a_time_out(frozen):
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path="/campaigns", times=None, status=503)
    events = events_of(*(waiting(uuid, poke_interval=3600, deadline=after(0.1)) for uuid in uuids))
    assert states(events) == ["timeout"] * 2
    assert all("It was never seen" in event["reason"] for event in events)


@pytest.mark.parametrize("spare", [0.2, 60.0])
def test_a_last_look_after_one_that_failed(frozen, wire, monkeypatch, spare):
    """Of long pauses it need not wait for the end; of such as a server that is down is owed, it does."""
    monkeypatch.setattr(triggers, "GRACE", timedelta(seconds=0.8))
    monkeypatch.setattr(poller, "_LONGEST_SPARED", spare)
    (uuid,) = active(frozen, 1)
    frozen.fault(method="GET", path=uuid, times=2, status=503)

    async def main():
        (task,) = start(waiting(uuid, poke_interval=3, deadline=after(4.5)))
        await until(lambda: len(wire.looks) >= 2)
        frozen.clock.advance(60)
        return await task

    event = asyncio.run(main())
    assert event["state"] == ("done" if spare < 1 else "timeout")
    assert all(gap >= min(spare, 3) for gap in wire.gaps(2))


def test_last_looks_at_a_server_that_is_down_do_not_look_for_all(frozen, wire, monkeypatch):
    monkeypatch.setattr(poller, "_LONGEST_SPARED", 0.2)
    steady, *others = active(frozen, 4)
    frozen.fault(method="GET", path="/campaigns", times=None, status=503)

    async def main():
        tasks = start(
            waiting(steady, poke_interval=1.0),
            *(
                waiting(uuid, deadline=after(2.6 + 0.4 * number), poke_interval=1.0)
                for number, uuid in enumerate(others)
            ),
        )
        await until(lambda: all(task.done() for task in tasks[1:]))
        await end(*tasks)

    asyncio.run(main())
    assert len(wire.looks) > 4
    assert min(wire.gaps(2)) >= 0.2
    assert len(looks_at(wire, steady)) <= 4


def test_one_that_always_fails_does_not_put_off_last_looks(frozen, monkeypatch):
    """The server is there, it answers others."""
    monkeypatch.setattr(waiting_module, "TOLERATED_FAILURES", 1000)
    monkeypatch.setattr(triggers, "GRACE", timedelta(seconds=0.95))
    bad, good = active(frozen, 2)
    frozen.fault(method="GET", path=bad, times=None, status=504)
    frozen.fault(method="GET", path=LISTS, times=None, status=400)

    async def main():
        tasks = start(waiting(bad, poke_interval=3), waiting(good, poke_interval=3, deadline=after(7.8)))
        await until(lambda: [one for one in frozen.requests("GET") if good in one["path"]])
        frozen.clock.advance(60)
        event = await tasks[1]
        await end(tasks[0])
        return event

    assert asyncio.run(main())["state"] == "done"
