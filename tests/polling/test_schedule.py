"""When the poller polls: as often as asked, never more often than the shortest interval, and at deadlines."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from airflow_provider_bm.polling.timing import PollTiming
from airflow_provider_bm.polling.waiter import CampaignWaiter
from airflow_provider_bm.waiting.wait import CampaignWait
from tests.polling.helpers import HOUR, LISTS, MINUTE, active, end, finished, results, until
from tests.support.virtual_time import run


def test_polls_at_each_interval(process, frozen, recorded):
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = process.start(uuid)
        await asyncio.sleep(5 * MINUTE + 1)
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"]

    run(main())
    assert recorded.times() == [60, 120, 180, 240, 300, 360]


def test_jitter_delays_rounds_by_different_times(process, frozen, recorded):
    process.timing = replace(process.timing, jitter=0.5)
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = process.start(uuid)
        await asyncio.sleep(20 * MINUTE)
        await end(*tasks)

    run(main())
    assert all(60 <= gap <= 90 for gap in recorded.gaps())
    assert len(set(recorded.gaps())) > 5


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_shortest_interval_is_limited(process, frozen, recorded, interval):
    process.timing = replace(process.timing, min_interval=10)
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = process.start(uuid, interval=interval)
        await asyncio.sleep(35)
        await end(*tasks)

    run(main())
    assert recorded.times() == [10, 20, 30]


def test_short_interval_counts_only_while_its_watcher_is_there(process, frozen, recorded):
    patient, hasty = active(frozen, 2)

    async def main():
        long = process.start(patient, interval=HOUR)
        await asyncio.sleep(30)
        short = process.start(hasty)
        await asyncio.sleep(3 * MINUTE + 1)
        await end(*short)
        await asyncio.sleep(HOUR)
        await end(*long)

    run(main())
    assert recorded.times(hasty) == [60, 120, 180]
    assert recorded.times(patient) == [3600]


def test_watchers_that_come_and_go_do_not_shorten_the_interval(process, frozen, recorded):
    uuids = active(frozen, 10)

    async def main():
        stays = process.start(uuids[0])
        for uuid in 5 * uuids:
            task = process.start(uuid)
            await asyncio.sleep(7)
            await end(*task)
        await end(*stays)

    run(main())
    assert set(recorded.gaps()) == {60}


@pytest.mark.parametrize(("interval", "times"), [(110, [60, 120, 180, 240]), (10 * MINUTE, [])])
def test_longer_interval_is_polled_when_it_would_be_late_in_the_next_round(
    process, frozen, recorded, interval, times
):
    patient, hasty = active(frozen, 2)

    async def main():
        tasks = process.start(hasty) + process.start(patient, interval=interval)
        await asyncio.sleep(4 * MINUTE + 1)
        await end(*tasks)

    run(main())
    assert recorded.times(hasty) == [60, 120, 180, 240]
    assert recorded.times(patient) == times


def test_patient_watcher_is_not_late_when_hasty_ones_have_left(process, frozen, recorded):
    patient, hasty = active(frozen, 2)

    async def main():
        tasks = process.start(patient, interval=650) + process.start(hasty)
        await asyncio.sleep(9 * MINUTE + 1)
        await end(tasks[1])
        await asyncio.sleep(2 * MINUTE)
        await end(tasks[0])

    run(main())
    assert recorded.times(patient) == [650]


def test_deadlines_that_are_close_together_share_the_final_poll(process, frozen, recorded):
    uuids = active(frozen, 20)

    async def main():
        tasks = [
            *(process.start(uuid, interval=HOUR, timeout=100 + 0.2 * n)[0] for n, uuid in enumerate(uuids))
        ]
        assert await results(*tasks) == ["waiting"] * 20

    run(main())
    assert recorded.times() == [105]


def test_final_polls_of_others_do_not_change_the_interval(process, frozen, recorded):
    steady, *others = active(frozen, 8)

    async def main():
        tasks = process.start(steady)
        for number, uuid in enumerate(others):
            tasks += process.start(uuid, interval=HOUR, timeout=20 + 25 * number)
        await asyncio.sleep(4 * MINUTE + 1)
        await end(*tasks)

    run(main())
    assert recorded.times(steady) == [60, 120, 180, 240]
    assert [recorded.times(uuid) for uuid in others[:2]] == [[25], [50]]


@pytest.mark.parametrize("others", [0, 5])
def test_campaign_that_finishes_before_the_deadline_is_done(process, frozen, others):
    uuids = active(frozen, 1 + others)

    async def main():
        task, *rest = [
            *process.start(uuids[0], interval=HOUR, timeout=100),
            *process.start(*uuids[1:], interval=HOUR),
        ]
        await asyncio.sleep(50)
        frozen.clock.advance(60)
        assert await results(task) == ["done"]
        assert process.time() < 110
        await end(*rest)

    run(main())


def test_response_to_a_request_from_before_the_deadline_is_not_final(process, frozen, recorded):
    """It took long, and does not show what happened meanwhile."""
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, delay_after=0.5)

    async def main():
        tasks = process.start(*uuids, timeout=70)
        await asyncio.sleep(60)
        asyncio.get_running_loop().waits_for_threads = False
        await asyncio.sleep(30)
        asyncio.get_running_loop().waits_for_threads = True
        await until(lambda: recorded.lists)
        await asyncio.to_thread(time.sleep, 0.2)
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"] * 2

    run(main())
    assert len(recorded.lists) == 2


def test_deadline_that_has_already_passed_gets_a_final_poll(process, frozen, recorded):
    """After a time without any triggerer."""
    (uuid,) = active(frozen, 1)
    (done,) = finished(frozen, 1)

    async def main():
        tasks = process.start(uuid, done, interval=HOUR, timeout=-HOUR)
        assert await results(*tasks) == ["waiting", "done"]

    run(main())
    assert recorded.times() == [5]


def test_watchers_with_past_deadlines_share_final_polls(process, frozen, recorded):
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = process.start(uuid, interval=HOUR)
        for _ in range(20):
            tasks += process.start(uuid, interval=HOUR, timeout=-1)
            await asyncio.sleep(1)
        assert await results(*tasks[1:]) == ["waiting"] * 20
        await end(*tasks)

    run(main())
    assert min(recorded.gaps()) >= 5


def test_failed_final_poll_is_a_timeout(process, frozen):
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path="/campaigns", times=None, status=503)

    async def main():
        verdicts = await asyncio.gather(*process.start(*uuids, interval=HOUR, timeout=100))
        assert [verdict.state for verdict in verdicts] == ["waiting"] * 2
        assert all("HTTP 503" in verdict.reason for verdict in verdicts)

    run(main())


@pytest.mark.parametrize(("longest", "state"), [(60.0, "done"), (HOUR, None)])
def test_final_poll_does_not_wait_for_the_end_of_a_long_pause(process, frozen, recorded, longest, state):
    """It waits for a minute at most, so that a server that is down is spared a little."""
    process.timing = replace(process.timing, max_pause_before_final_poll=longest)
    (uuid,) = active(frozen, 1)
    frozen.fault(method="GET", path=uuid, times=None, status=503)

    async def main():
        tasks = process.start(uuid, interval=100, timeout=250, max_wait=270)
        await asyncio.sleep(205)
        frozen.clear_faults()
        frozen.clock.advance(60)
        (verdict,) = await asyncio.gather(*tasks)
        assert (verdict and verdict.state) == state

    run(main())
    assert recorded.times() == ([100, 200, 260] if state else [100, 200])[: len(recorded.times())]


def test_campaign_that_always_fails_does_not_delay_final_polls_of_others(process, frozen, recorded):
    """The server is up: it answers for others."""
    bad, good = active(frozen, 2)
    frozen.fault(method="GET", path=bad, times=None, status=504)
    frozen.fault(method="GET", path=LISTS, times=None, status=400)

    async def main():
        tasks = process.start(bad) + process.start(good, interval=90, timeout=200)
        await asyncio.sleep(195)
        frozen.clock.advance(60)
        assert await results(tasks[1]) == ["done"]
        assert process.time() < 210
        await end(tasks[0])

    run(main())


def test_new_watcher_does_not_shorten_the_pause_after_failures(process, frozen, recorded):
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path="/campaigns", times=None, status=503)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(130)
        tasks += process.start(*5 * uuids[:1], timeout=1)
        await asyncio.sleep(2 * MINUTE)
        await end(*tasks)

    run(main())
    # The final poll comes after a minute; the next full round after the doubled pause.
    assert recorded.times() == [60, 120, 180, 240][: len(recorded.times())]


@pytest.mark.parametrize(("failures", "pause"), [(0, 60), (1, 60), (2, 120), (3, 240), (4, 300), (5000, 300)])
def test_pause_after_failures(failures, pause):
    assert PollTiming().pause_after(failures, 60) == pause


def test_pause_is_never_shorter_than_the_interval():
    assert PollTiming().pause_after(10, 900) == 900


def test_doubling_interval(process, frozen, recorded):
    (uuid,) = active(frozen, 1)
    wait = CampaignWait.validated(uuid)

    async def main():
        waiter = CampaignWaiter(wait, interval=MINUTE, max_interval=300, timing=process.timing)
        with process.subscribe(waiter):
            await asyncio.sleep(30 * MINUTE)

    run(main())
    assert recorded.gaps() == [120, 240, 300, 300, 300, 300]


def test_first_poll_at_once_is_shared(process, frozen, recorded):
    """For waits that start in the triggerer, where nobody has polled before."""
    uuids = active(frozen, 20)

    async def wait(uuid):
        waiter = CampaignWaiter(
            CampaignWait.validated(uuid), interval=MINUTE, poll_at_once=True, timing=process.timing
        )
        with process.subscribe(waiter):
            await waiter.verdict()

    async def main():
        tasks = []
        for uuid in uuids:
            tasks.append(asyncio.create_task(wait(uuid)))
            await asyncio.sleep(0.2)
        await asyncio.sleep(2 * MINUTE)
        await end(*tasks)

    run(main())
    assert recorded.times() == [5, 60, 120]
