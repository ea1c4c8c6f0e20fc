"""A list is believed as far as it goes, and a server that does not know the filter is asked otherwise."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_bm.client import bulk as batch
from airflow_provider_bm.sandbox import list_query as listing
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


def finish_after(sandbox, wire, rounds, uuids):
    """Wait for campaigns, which finish after some rounds."""

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len([one for one in wire.looks if uuids[-1] in one.uuids]) >= rounds)
        sandbox.clock.advance(60)
        return await asyncio.gather(*tasks)

    return asyncio.run(main())


def test_a_server_that_ignores_the_filter_is_asked_so_once(frozen, wire):
    frozen.ignore_filters = True
    finished(frozen, 30)
    uuids = active(frozen, 12)
    events = finish_after(frozen, wire, 3, uuids)
    assert states(events) == ["done"] * 12
    assert [event["campaign"]["uuid"] for event in events] == uuids
    # Once, and never its second page, which would be the whole service.
    assert [one.query["page_number"] for one in wire.lists] == ["1"]
    assert {uuid for one in wire.singles for uuid in one.uuids} == set(uuids)
    assert len(wire.singles) > 2 * 12


def test_it_is_noticed_even_if_what_was_asked_for_comes_first(frozen, wire):
    frozen.ignore_filters = True
    uuids = active(frozen, 5)
    finished(frozen, 20)
    assert states(finish_after(frozen, wire, 3, uuids)) == ["done"] * 5
    assert len(wire.lists) == 1


def test_a_server_that_refuses_the_filter_is_asked_so_once(frozen, wire):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    uuids = active(frozen, 5)
    assert states(finish_after(frozen, wire, 3, uuids)) == ["done"] * 5
    assert len(wire.lists) == 1


def test_what_a_list_lacks_is_read_by_itself(frozen, wire):
    uuids = active(frozen, 9)
    held = list(rows(frozen).values())
    frozen.fault(method="GET", path=LISTS, times=3, status=200, body=page(held[:6]))
    assert states(finish_after(frozen, wire, 3, uuids)) == ["done"] * 9
    assert {uuid for one in wire.singles for uuid in one.uuids} == set(uuids[6:])
    # It lacks less than it has, so it is asked again.
    assert len(wire.lists) >= 3


def test_a_list_that_always_lacks_most_is_given_up(frozen, wire):
    uuids = active(frozen, 9)
    held = list(rows(frozen).values())
    frozen.fault(method="GET", path=LISTS, times=None, status=200, body=page(held[:3]))
    assert states(finish_after(frozen, wire, 4, uuids)) == ["done"] * 9
    assert len(wire.lists) == 2


def test_a_list_that_lagged_behind_is_tried_again_later(frozen, wire, monkeypatch):
    monkeypatch.setattr(batch, "_GIVEN_UP_FOR", 0.1)
    uuids = active(frozen, 9)
    frozen.fault(method="GET", path=LISTS, times=2, status=200, body=page(list(rows(frozen).values())[:1]))

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.lists) >= 5)
        singles = len(wire.singles)
        await until(lambda: len(wire.lists) >= 7)
        assert len(wire.singles) == singles
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 9


def test_a_list_that_lacks_much_now_and_then_is_not_given_up(frozen, wire):
    uuids = active(frozen, 9)
    few = page(list(rows(frozen).values())[:3])
    for nth in (1, 3, 5):
        frozen.fault(method="GET", path=LISTS, nth=nth, status=200, body=few)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.lists) >= 7)
        await end(*tasks)

    asyncio.run(main())


@pytest.mark.parametrize("size", [1, 4, 10])
def test_a_server_that_gives_fewer_for_a_page_is_read_to_the_end(sandbox, wire, monkeypatch, size):
    monkeypatch.setattr(listing, "MAX_PAGE_SIZE", size)
    uuids = finished(sandbox, 10)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 10
    assert not wire.singles
    assert [int(one.query["page_number"]) for one in wire.lists] == list(range(1, -(-10 // size) + 1))


def test_no_page_is_read_that_can_hold_nothing_new(sandbox, wire):
    # A server that ignores the filter, where those that were asked for just happen to come first.
    sandbox.ignore_filters = True
    uuids = finished(sandbox, 5)
    finished(sandbox, 20)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 5
    assert len(wire.looks) == 1


@pytest.mark.parametrize("status", [500, 504, 408])
def test_a_list_that_fails_or_is_too_much_is_read_one_by_one(frozen, wire, status):
    uuids = active(frozen, 6)
    frozen.fault(method="GET", path=LISTS, times=None, status=status)
    assert states(finish_after(frozen, wire, 4, uuids)) == ["done"] * 6
    # Twice in a row in vain, each with its tries.
    assert len(wire.lists) == 2 * 2


def test_a_list_that_takes_too_long_is_read_one_by_one(frozen, wire, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", frozen.connection_json(timeout=0.2))
    uuids = finished(frozen, 4)
    frozen.fault(method="GET", path=LISTS, times=None, delay=0.5)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 4


@pytest.mark.parametrize("effect", [{"garbage": True}, {"html": True, "status": 200}, {"body": "[]"}])
def test_a_list_that_is_no_list_is_read_one_by_one(sandbox, effect):
    uuids = finished(sandbox, 4)
    sandbox.fault(method="GET", path=LISTS, times=None, **effect)
    assert states(events_of(*map(waiting, uuids))) == ["done"] * 4


def test_another_campaign_in_the_answer_is_nobodys(frozen, wire):
    uuids = active(frozen, 3)
    stranger = frozen.create(status="finished")
    frozen.fault(method="GET", path=LISTS, status=200, body=page([stranger, *rows(frozen).values()]))
    assert states(finish_after(frozen, wire, 2, uuids)) == ["done"] * 3
