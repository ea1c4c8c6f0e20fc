"""Many campaigns with few requests, one connection, one thread, and an event loop that is never blocked."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.polling.helpers import MINUTE, active, end, finished, poller_threads, results
from tests.support.virtual_time import run

MAX_URL = 2000


def wait_for(process, uuids, **arguments):
    async def main():
        return await asyncio.gather(*process.start(*uuids, **arguments))

    return run(main())


def test_one_round_for_all(process, frozen, recorded):
    uuids = finished(frozen, 120)
    # Some campaigns have several waits.
    verdicts = wait_for(process, [*uuids, *uuids[:30]])
    assert [verdict.state for verdict in verdicts] == ["done"] * 150
    assert sorted(uuid for request in recorded.lists for uuid in request.campaigns) == sorted(uuids)
    assert len(recorded.reads) == len(recorded.lists) == 3
    assert 0.9 * MAX_URL < max(len(request.url) for request in recorded) <= MAX_URL
    journal = frozen.requests()
    assert len({request["connection"] for request in journal}) == 1
    assert len(frozen.requests(path="access-token")) == 1


def test_each_watcher_gets_the_fields_it_asked_for(process, frozen, recorded):
    plain, full = finished(frozen, 4), finished(frozen, 3)

    async def main():
        tasks = process.start(*plain)
        for fields in (["tasks", "messages"], ["messages", "tasks", "tasks"]):
            tasks += process.start(*full, fields=fields)
        assert await results(*tasks) == ["done"] * 10

    run(main())
    assert {request.query.get("fields"): sorted(request.campaigns) for request in recorded.lists} == {
        None: sorted(plain),
        "messages,tasks": sorted(full),
    }
    assert len(recorded.reads) == 2


def test_single_campaign_is_read_by_itself(process, frozen, recorded):
    (uuid,) = finished(frozen, 1)
    wait_for(process, [uuid, uuid])
    assert [request.campaigns for request in recorded.singles] == [[uuid]]
    assert not recorded.lists


@pytest.mark.parametrize("slow", ["access-token", "/campaigns$"])
def test_slow_server_does_not_block_the_event_loop(process, frozen, slow):
    uuids = finished(frozen, 3)
    frozen.fault(path=slow, delay=0.3)
    longest = 0.0

    async def main():
        nonlocal longest
        tasks = process.start(*uuids, interval=0.1)
        while not all(task.done() for task in tasks):
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert await results(*tasks) == ["done"] * 3

    asyncio.run(main())
    # Blocked by a response, the loop would be late by all of its delay.
    assert longest < 0.3


def test_one_thread_for_all_watchers(process, frozen):
    uuids = active(frozen, 60)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(3 * MINUTE)
        threads = poller_threads()
        await end(*tasks)
        return threads

    (thread,) = run(main())
    assert thread is not threading.main_thread()
