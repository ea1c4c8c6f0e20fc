"""Those who wait come and go, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from pathlib import Path

import pytest

from airflow_provider_bm.client import retry
from airflow_provider_bm.polling.watcher import Watcher
from airflow_provider_bm.sandbox import list_query as listing
from tests.polling.helpers import (
    LISTS,
    active,
    end,
    event_of,
    eventually,
    finished,
    poller_threads,
    pollers,
    start,
    states,
    until,
    waiting,
)


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_one_is_cancelled_and_the_others_go_on(frozen, wire):
    uuids = active(frozen, 5)

    async def main():
        cancelled, *others = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 2)
        await end(cancelled)
        looks = len(wire.looks)
        await until(lambda: len(wire.looks) >= looks + 2)
        assert uuids[0] not in wire.looks[-1].uuids
        frozen.clock.advance(60)
        return await asyncio.gather(*others)

    assert states(asyncio.run(main())) == ["done"] * 4


def test_the_last_one_closes_session_and_thread(frozen, wire):
    uuids = active(frozen, 2)
    gc.collect()
    files = open_files()

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 2)
        await end(tasks[0])
        assert poller_threads()
        assert len(pollers()) == 1
        await end(tasks[1])
        assert not pollers()
        await until(lambda: not poller_threads())
        await asyncio.sleep(0.05)
        return open_files(), asyncio.all_tasks() - {asyncio.current_task()}

    # One end of the connection is ours, and the loop has some of its own.
    now, tasks = asyncio.run(main())
    assert not tasks
    assert eventually(lambda: open_files() <= files)
    assert now <= files + 3


@pytest.mark.parametrize("effect", [{"status": 503}, {}, {"drop": True}])
def test_cancelled_in_a_request_it_ends_with_the_reply(frozen, wire, effect):
    """No further one is sent: no try, no page, no single campaign."""
    uuids = active(frozen, 3)
    frozen.fault(method="GET", path=LISTS, times=None, delay=0.3, **effect)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire.looks)
        await end(*tasks)
        assert poller_threads()

    asyncio.run(main())
    assert eventually(lambda: not poller_threads())
    assert len(wire.looks) == 1


@pytest.mark.parametrize("on_its_way", ["the token", "a look whose token is refused"])
def test_cancelled_beside_the_token_it_sends_nothing_else(frozen, wire, on_its_way):
    uuids = active(frozen, 2)

    async def main():
        if on_its_way == "the token":
            frozen.fault(method="POST", path="access-token", delay=0.3)
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire)
        if on_its_way != "the token":
            await until(lambda: wire.looks)
            looks = len(wire.looks)
            frozen.fault(method="GET", path=LISTS, delay=0.3, revoke_token=True)
            await until(lambda: len(wire.looks) > looks)
            await asyncio.sleep(0.1)
        sent = len(wire)
        await end(*tasks)
        await asyncio.sleep(0.6)
        assert len(wire) == sent

    asyncio.run(main())


def test_cancelled_between_pages_it_reads_no_further(frozen, wire, monkeypatch):
    monkeypatch.setattr(listing, "MAX_PAGE_SIZE", 1)
    uuids = active(frozen, 4)
    frozen.fault(method="GET", path=LISTS, times=None, delay=0.2)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire.looks)
        await end(*tasks)

    asyncio.run(main())
    assert eventually(lambda: not poller_threads())
    assert len(wire.looks) == 1


def test_cancelled_before_the_single_looks_it_makes_none(frozen, wire):
    uuids = active(frozen, 4)
    frozen.fault(method="GET", path=LISTS, times=None, delay=0.2, status=400)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire.looks)
        await end(*tasks)

    asyncio.run(main())
    assert eventually(lambda: not poller_threads())
    assert len(wire.looks) == 1


def test_cancelled_in_a_wait_between_tries_it_ends_at_once(frozen, wire, monkeypatch):
    monkeypatch.setattr(retry, "_FIRST_WAIT", 30.0)
    monkeypatch.setattr(retry, "_LONGEST_WAIT", 30.0)
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, times=None, status=503)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire.looks)
        await asyncio.sleep(0.1)
        assert poller_threads()
        await end(*tasks)

    asyncio.run(main())
    assert eventually(lambda: not poller_threads())
    assert len(wire.looks) == 1


def test_who_comes_while_the_last_one_closes_is_served(frozen, wire):
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, delay=0.3)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire.looks)
        for task in tasks:
            task.cancel()
        later = start(*map(waiting, uuids))
        await end(*tasks)
        frozen.clock.advance(60)
        return await asyncio.gather(*later)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_ten_thousand_leave_nothing(frozen):
    uuids = active(frozen, 50)
    some = [waiting(uuid, deadline="2100-01-01T00:00:00Z") for uuid in uuids]
    logging.disable(logging.WARNING)  # what is logged is kept for the search for secrets

    async def wave(size):
        tasks = [asyncio.create_task(event_of(some[n % len(some)])) for n in range(size)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def counts():
        gc.collect()
        return (
            threading.active_count(),
            open_files(),
            len(asyncio.all_tasks()),
            len(pollers()),
            sum(Watcher in type(one).__mro__ for one in gc.get_objects()),
        )

    async def many(waves):
        for _ in range(waves):
            await wave(600)
        for _ in range(200):
            await wave(1)
        await until(lambda: not poller_threads())
        return counts(), len(gc.get_objects())

    async def main():
        await many(1)  # what is loaded and cached once
        before, objects = await many(1)
        after, more_objects = await many(16)
        assert after == before
        assert before[3] == 0
        # Far less than one for each.
        assert more_objects - objects < 1000

    try:
        asyncio.run(main())
    finally:
        logging.disable(logging.NOTSET)


def test_rounds_leave_nothing(sandbox, wire):
    """Those who come one after the other, each for a poller, a thread and a connection of its own."""
    (uuid,) = finished(sandbox, 1)
    one = waiting(uuid)

    async def main():
        assert (await event_of(one))["state"] == "done"
        await until(lambda: not poller_threads())
        gc.collect()
        before = open_files(), threading.active_count()
        for _ in range(5):
            assert (await event_of(one))["state"] == "done"
        await until(lambda: not poller_threads())
        await until(lambda: (open_files(), threading.active_count()) <= before)

    asyncio.run(main())
    assert len(wire.looks) == 6


def test_a_loop_that_is_closed_takes_its_poller_with_it(frozen, wire):
    """Without cancelling anything: nobody should, but tests and notebooks do."""
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, nth=2, times=None, delay=0.2)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)  # "Task was destroyed but it is pending!"
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(event_of(waiting(uuid))) for uuid in uuids]
    try:
        loop.run_until_complete(until(lambda: len(wire.looks) >= 2))
        loop.close()
        tasks.clear()

        def nothing_is_left():
            gc.collect()
            return not pollers() and not poller_threads()

        assert eventually(nothing_is_left)
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
    time.sleep(0.1)
    assert len(wire.looks) == 2
