"""Nothing blocks the event loop: all HTTP is in one thread."""

from __future__ import annotations

import asyncio
import threading

from tests.polling.helpers import (
    LISTS,
    active,
    end,
    event_of,
    finished,
    poller_threads,
    start,
    states,
    until,
    waiting,
)


def test_a_slow_server_does_not_hold_it_up(sandbox, wire):
    uuids = finished(sandbox, 8)
    sandbox.fault(method="POST", path="access-token", delay=0.5)
    sandbox.fault(method="GET", path=LISTS, delay=0.5)
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async def main():
        ticker = asyncio.create_task(tick())
        events = await asyncio.gather(*start(*map(waiting, uuids)))
        await end(ticker)
        return events

    assert states(asyncio.run(main())) == ["done"] * 8
    # There is time for 200; a loop that is blocked by both replies has a handful.
    assert ticks > 40
    (thread,) = {one.thread for one in wire}
    assert thread.name.startswith("bm-poller")
    assert thread is not threading.main_thread()


def test_one_thread_for_however_many(frozen, wire):
    uuids = active(frozen, 60)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 6)
        running = poller_threads()
        frozen.clock.advance(60)
        await asyncio.gather(*tasks)
        return running

    (thread,) = asyncio.run(main())
    assert {one.thread for one in wire} == {thread}


def test_two_event_loops_do_not_disturb_each_other(frozen, wire):
    uuids = active(frozen, 4)

    def other():
        async def main():
            task = asyncio.create_task(event_of(waiting(uuids[0])))
            await until(lambda: len({one.thread for one in wire}) == 2)
            await end(task)

        asyncio.run(main())

    async def main():
        tasks = start(*map(waiting, uuids))
        await asyncio.sleep(0)
        await asyncio.to_thread(other)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 4
    assert len({one.thread for one in wire}) == 2
