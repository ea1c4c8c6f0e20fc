"""A passing error is put up with a set number of rounds in a row, and never makes anyone ask faster."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_bm.client import retry
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.polling import back_off, poller
from airflow_provider_bm.polling.changes import CampaignEvents
from airflow_provider_bm.triggers import subscription as service
from airflow_provider_bm.waiting import wait as waiting_module
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES
from tests.polling.helpers import (
    INTERVAL,
    LISTS,
    active,
    end,
    event_of,
    events_of,
    finished,
    pollers,
    start,
    states,
    until,
    waiting,
)

TRIES = 2  # of each request, as conftest says
NAME = contextvars.ContextVar("name", default="nobody")


@pytest.fixture
def no_growth(monkeypatch):
    monkeypatch.setattr(back_off, "LONGEST", 0.0)


@pytest.fixture
def told(caplog):
    """Warnings, each with the name of whom it was logged for."""
    found = []

    def note(record):
        if record.levelno >= logging.WARNING:
            found.append((NAME.get(), record.getMessage()))
        return True

    loggers = [logging.getLogger(f"airflow_provider_bm.{name}") for name in ("waiting", "polling.poller")]
    for logger in loggers:
        logger.addFilter(note)
    yield found
    for logger in loggers:
        logger.removeFilter(note)


@pytest.mark.parametrize(
    ("effect", "says"),
    [
        ({"drop": True}, "the connection broke"),
        ({"status": 503}, "HTTP 503"),
        ({"status": 429, "headers": {"Retry-After": "0"}}, "HTTP 429"),
    ],
)
def test_it_is_put_up_with_for_a_while(frozen, wire, no_growth, told, effect, says):
    uuids = active(frozen, 3)
    frozen.fault(method="GET", path="/campaigns", times=None, **effect)

    async def named(name, uuid):
        NAME.set(name)
        return await event_of(waiting(uuid))

    async def main():
        return await asyncio.gather(*(named(f"w{i}", uuid) for i, uuid in enumerate(uuids)))

    events = asyncio.run(main())
    assert [(event["state"], event["permanent"]) for event in events] == [("error", False)] * 3
    assert all(says in event["reason"] for event in events)
    assert len(wire.looks) == TRIES * (TOLERATED_FAILURES + 1)
    for name, uuid in zip(["w0", "w1", "w2"], uuids, strict=True):
        own = [message for whose, message in told if whose == name]
        assert len(own) == TOLERATED_FAILURES
        assert all(f"Polling campaign {uuid} failed ({n} in a row" in own[n - 1] for n in range(1, 6))
    assert {whose for whose, _ in told} == {"w0", "w1", "w2"}


def test_what_concerns_all_is_logged_for_none_of_them(frozen, wire, no_growth, told, monkeypatch):
    uuids = active(frozen, 2)
    monkeypatch.setattr(poller, "_CONNECTION_AGE", 0.0)
    NAME.set("a trigger")

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: wire.looks)
        monkeypatch.delenv("AIRFLOW_CONN_BM_DEFAULT")
        await until(lambda: told)
        await end(*tasks)

    contextvars.copy_context().run(asyncio.run, main())
    NAME.set("nobody")
    assert {whose for whose, _ in told} == {"nobody"}
    assert "could not be read again" in told[0][1]


def test_one_good_round_starts_the_count_anew(frozen, wire, no_growth):
    uuids = active(frozen, 2)
    failing = TRIES * TOLERATED_FAILURES
    frozen.fault(method="GET", path=LISTS, nth=1, times=failing, status=503)
    frozen.fault(method="GET", path=LISTS, nth=failing + 2, times=failing, status=503)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) > 2 * failing + 1)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_the_pauses_grow(frozen, wire):
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, nth=1, times=4 * TRIES, status=503)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) > 4 * TRIES)
        await end(*tasks)

    asyncio.run(main())
    gaps = wire.gaps(TRIES)
    assert len(gaps) == 4
    assert all(
        gap >= least
        for gap, least in zip(gaps, [INTERVAL, 2 * INTERVAL, 4 * INTERVAL, 8 * INTERVAL], strict=True)
    )


@pytest.mark.parametrize("effect", [{"status": 500}, {"status": 200, "html": True}, {"status": 503}])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_the_pauses_grow_however_it_is_down(frozen, wire, count, effect):
    """Also if that might be the affair of each campaign."""
    uuids = active(frozen, count)
    frozen.fault(method="GET", times=None, **effect)

    async def main():
        tasks = start(*map(waiting, uuids))
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    # Others are between the requests of a round.
    pauses = sorted(wire.gaps())[-TOLERATED_FAILURES:]
    assert [pause >= INTERVAL * 2**number for number, pause in enumerate(pauses)] == [True] * 5


@pytest.mark.parametrize("effect", [{"status": 500}, {"status": 200, "html": True}])
def test_the_pauses_grow_for_lists(frozen, wire, observe, effect):
    frozen.fault(method="GET", times=None, **effect)

    async def main():
        with observe(CampaignEvents(interval=INTERVAL, listing=CampaignFilter.of())):
            await until(lambda: len(wire.lists) > 4 * TRIES)

    asyncio.run(main())
    assert [gap >= INTERVAL * 2**number for number, gap in enumerate(wire.gaps(TRIES))] == [True] * 4


def test_one_that_never_gets_well_slows_nobody_down(frozen, wire, monkeypatch):
    """An event trigger, say, that never gives up. Doubled each time, the pauses would be minutes long."""
    monkeypatch.setattr(waiting_module, "TOLERATED_FAILURES", 1000)
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 4)
    frozen.fault(method="GET", path=bad, times=None, status=503)

    async def main():
        tasks = start(*map(waiting, [bad, *good]))
        await until(lambda: len([one for one in wire.looks if good[0] in one.uuids]) >= 14)
        await end(*tasks)

    asyncio.run(main())


def test_nor_do_its_own_failures_put_off_anybodys_last_look(frozen, wire, monkeypatch):
    """It is alone in most of its rounds, and they fail all."""
    monkeypatch.setattr(waiting_module, "TOLERATED_FAILURES", 1000)
    bad, good = active(frozen, 2)
    frozen.fault(method="GET", path=bad, times=None, status=500)
    frozen.fault(method="GET", path=LISTS, times=None, status=400)

    async def main():
        deadline = (datetime.now(UTC) + timedelta(seconds=1.2)).isoformat()
        tasks = start(waiting(bad), waiting(good, poke_interval=60, deadline=deadline))
        await until(lambda: len([one for one in wire.looks if bad in one.uuids]) >= 4 * TRIES)
        frozen.clock.advance(60)
        event = await asyncio.wait_for(tasks[1], 10)
        await end(tasks[0])
        return event

    assert states([asyncio.run(main())]) == ["done"]


def test_a_failure_of_its_own_does_not_put_off_the_last_look(frozen, wire):
    (uuid,) = active(frozen, 1)
    frozen.fault(method="GET", path=uuid, times=TRIES, status=500)

    async def main():
        deadline = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        (task,) = start(waiting(uuid, poke_interval=0.6, deadline=deadline))
        await until(lambda: len(wire.looks) >= TRIES)
        frozen.clock.advance(60)
        return await asyncio.wait_for(task, 10)

    assert states([asyncio.run(main())]) == ["done"]


def test_nobody_makes_the_pauses_shorter(frozen, wire, monkeypatch):
    """Neither a deadline, nor one who joins."""
    uuids = active(frozen, 2)
    monkeypatch.setattr(poller, "_LAST_LOOKS", 0.0)
    frozen.fault(method="GET", path="/campaigns", times=None, status=503)

    async def main():
        tasks = start(*(waiting(uuid, poke_interval=0.3) for uuid in uuids))
        await until(lambda: len(wire.looks) >= 2 * TRIES)
        soon = (datetime.now(UTC) + timedelta(seconds=0.05)).isoformat()
        tasks += start(*(waiting(uuids[0], poke_interval=0.3, deadline=soon) for _ in range(5)))
        await until(lambda: len(wire.looks) >= 3 * TRIES)
        await end(*tasks)

    asyncio.run(main())
    assert wire.gaps(TRIES)[0] >= 0.3
    assert wire.gaps(TRIES)[1] >= 0.6


def test_no_round_comes_before_the_server_wants_it(frozen, wire, monkeypatch):
    """It asks for a longer wait than a call has time."""
    monkeypatch.setattr(retry, "LONGEST_TIME", 0.2)
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, status=429, headers={"Retry-After": "1"})
    frozen.clock.advance(60)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 2
    assert len(wire.looks) == 2
    assert wire.gaps()[0] >= 1


def test_retry_after_a_year_is_not_kept_to(frozen, monkeypatch):
    monkeypatch.setattr(retry, "LONGEST_TIME", 0.2)
    monkeypatch.setattr(poller, "_LONGEST_RETRY_AFTER", 0.3)
    uuids = active(frozen, 2)
    frozen.fault(method="GET", path=LISTS, status=429, headers={"Retry-After": "31536000"})
    frozen.clock.advance(60)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 2


def test_a_gateways_404_does_not_make_campaigns_missing(frozen, wire):
    uuids = active(frozen, 4)
    frozen.fault(method="GET", path="/campaigns", times=12, status=404, html=True)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) > 14)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 4


def test_a_connection_that_cannot_be_read_at_once(frozen, monkeypatch):
    """Airflow's API server may just be starting; whoever waits in a trigger has looked before."""
    uuids, right, tries = finished(frozen, 2), service.get_async_connection, iter(range(100))

    async def restarting(conn_id):
        if next(tries) < 3:
            raise ConnectionError("the API server is restarting")
        return await right(conn_id)

    monkeypatch.setattr(service, "get_async_connection", restarting)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 2


def test_whoever_joins_later_puts_up_with_as_much(frozen, no_growth, monkeypatch, observe):
    """An event watcher, which never gives up, keeps the poller alive meanwhile."""
    uuids, reads = active(frozen, 2), []

    async def away(conn_id):
        reads.append(conn_id)
        raise ConnectionError("the secrets backend is away")

    monkeypatch.setattr(service, "get_async_connection", away)

    async def main():
        with observe(CampaignEvents(interval=INTERVAL, campaign_uuid=uuids[0])):
            await until(lambda: len(reads) > TOLERATED_FAILURES)
            before = len(reads)
            (task,) = start(waiting(uuids[1]))
            with pytest.raises(ConnectionError):
                await task
            return len(reads) - before

    assert asyncio.run(main()) > TOLERATED_FAILURES


def test_a_connection_that_is_not_handed_out(frozen, monkeypatch):
    monkeypatch.setattr(poller, "_LONGEST_READ", 0.05)
    uuids, right, tries = finished(frozen, 2), service.get_async_connection, iter(range(100))

    async def hanging(conn_id):
        if next(tries) < 2:
            await asyncio.sleep(1000)
        return await right(conn_id)

    monkeypatch.setattr(service, "get_async_connection", hanging)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 2


def test_an_outage_of_days_is_survived(frozen, no_growth):
    """Event triggers never give up, and keep a poller alive through it: the doublings must not overflow."""
    uuids = finished(frozen, 2)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(pollers)
        (one,) = pollers()
        one._failures = 5000
        async with asyncio.timeout(5):
            return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_the_connection_is_read_again_after_a_failure(frozen, wire, monkeypatch):
    """A person may have mended it."""
    uuids = finished(frozen, 2)
    nobody_there = frozen.connection_json(api_url="http://127.0.0.1:1/news/v1")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", nobody_there)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 2)
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", frozen.connection_json())
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_a_failing_token_endpoint_passes_too(frozen, no_growth):
    frozen.fault(method="POST", path="access-token", times=TRIES * TOLERATED_FAILURES, status=503)
    uuids = finished(frozen, 3)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 3
