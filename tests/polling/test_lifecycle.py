"""Watchers come and go, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from pathlib import Path

import pytest

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.polling.watcher import Watcher
from tests.polling.helpers import (
    LISTS,
    MINUTE,
    active,
    end,
    eventually,
    finished,
    poller_threads,
    pollers,
    results,
    until,
)
from tests.support.virtual_time import VirtualTimeLoop, run


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_cancelled_wait_is_not_polled_any_more(process, frozen, recorded):
    uuids = active(frozen, 5)

    async def main():
        cancelled, *others = process.start(*uuids)
        await asyncio.sleep(MINUTE + 1)
        await end(cancelled)
        await asyncio.sleep(2 * MINUTE)
        assert recorded.times(uuids[0]) == [60]
        frozen.clock.advance(60)
        assert await results(*others) == ["done"] * 4

    run(main())


def test_last_watcher_closes_session_and_thread(process, frozen):
    uuids = active(frozen, 2)
    gc.collect()
    files = open_files()

    async def main():
        first, last = process.start(*uuids)
        await asyncio.sleep(MINUTE + 1)
        await end(first)
        assert len(pollers()) == len(poller_threads()) == 1
        await end(last)
        assert not pollers()
        await until(lambda: not poller_threads())
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert not run(main())
    assert eventually(lambda: open_files() <= files)


@pytest.mark.parametrize(
    ("path", "effect"),
    [
        (LISTS, {}),
        (LISTS, {"status": 503}),
        (LISTS, {"status": 400}),  # the campaigns would be read one by one
        (LISTS, {"drop": True}),
        ("access-token", {}),
    ],
)
def test_nothing_is_sent_after_the_last_watcher_has_left(process, frozen, recorded, path, effect):
    """Only the request that is on its way is completed: no retry, page or single campaign follows."""
    uuids = active(frozen, 3)
    frozen.fault(path=path, times=None, delay=0.3, **effect)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(MINUTE)
        await until(lambda: [request for request in recorded if (path != LISTS) or request.is_list])
        sent = len(recorded)
        await end(*tasks)
        assert poller_threads()
        return sent

    sent = run(main())
    assert eventually(lambda: not poller_threads())
    assert len(recorded) == sent


def test_wait_between_retries_ends_at_once(process, frozen, recorded):
    def connect(settings, *, sleep, check):
        return BMClient(settings, sleep=lambda _: sleep(30), check=check)

    process.connect = connect
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, times=None, status=503)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(MINUTE)
        await until(lambda: recorded.lists)
        await asyncio.to_thread(time.sleep, 0.1)
        assert poller_threads()
        await end(*tasks)

    run(main())
    assert eventually(lambda: not poller_threads())
    assert len(recorded.reads) == 1


def test_new_watcher_while_the_last_one_leaves(process, frozen, recorded):
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, delay=0.2)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(MINUTE)
        await until(lambda: recorded.reads)
        for task in tasks:
            task.cancel()
        later = process.start(*uuids)
        await end(*tasks)
        frozen.clock.advance(60)
        assert await results(*later) == ["done"] * 2

    run(main())


def test_many_watchers_leave_nothing_behind(process, frozen):
    uuids = active(frozen, 20)
    logging.disable(logging.WARNING)  # log records are kept for the search for secrets

    async def wave(size):
        tasks = process.start(*(uuids[number % len(uuids)] for number in range(size)))
        await asyncio.sleep(0)
        await end(*tasks)
        await asyncio.sleep(1)

    def counts():
        gc.collect()
        watchers = sum(Watcher in type(thing).__mro__ for thing in gc.get_objects())
        return threading.active_count(), open_files(), len(asyncio.all_tasks()), len(pollers()), watchers

    async def main():
        await wave(100)
        await until(lambda: not poller_threads())
        before = counts()
        for size in (300, 300, *20 * [1]):
            await wave(size)
        await until(lambda: not poller_threads())
        assert counts() == before
        assert before[3:] == (0, 0)

    try:
        run(main())
    finally:
        logging.disable(logging.NOTSET)


def test_consecutive_waits_leave_nothing_behind(process, frozen):
    """Each has a poller, a thread and a connection of its own."""
    (uuid,) = finished(frozen, 1)

    def usage():
        gc.collect()
        return open_files(), threading.active_count()

    async def main():
        first = None
        for _ in range(15):
            assert await results(*process.start(uuid)) == ["done"]
            await until(lambda: not poller_threads())
            first = first or usage()
        # The event loop's executor may have added a few threads.
        await until(lambda: all(now - then < 10 for now, then in zip(usage(), first, strict=True)))

    run(main())


@pytest.mark.filterwarnings("ignore:.*was never awaited")
def test_poller_disappears_with_a_loop_that_is_closed(process, frozen, recorded):
    """Without cancelling anything: nobody should, but tests and notebooks do."""
    uuids = active(frozen, 2)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)  # "Task was destroyed but it is pending!"
    loop = VirtualTimeLoop()
    try:

        async def main():
            tasks = process.start(*uuids)
            await asyncio.sleep(MINUTE + 1)
            return tasks

        tasks = loop.run_until_complete(main())
        loop.close()
        tasks.clear()
        process.loop = None

        def is_gone():
            gc.collect()
            return not pollers() and not poller_threads()

        assert eventually(is_gone)
    finally:
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
    assert len(recorded.reads) == 1
