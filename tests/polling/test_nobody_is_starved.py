"""Whatever fails for some: all others that can be read are read, and in time."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_bm.client import bulk as batch
from airflow_provider_bm.client import retry
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.polling import back_off
from airflow_provider_bm.polling.changes import CampaignEvents
from airflow_provider_bm.sandbox import list_query as listing_module
from tests.polling.helpers import (
    INTERVAL,
    LISTS,
    active,
    end,
    finished,
    rows,
    start,
    states,
    until,
    waiting,
)


@pytest.fixture(autouse=True)
def _no_back_off(monkeypatch):
    monkeypatch.setattr(back_off, "LONGEST", 0.0)


def always_fails(sandbox, *uuids):
    for uuid in uuids:
        sandbox.fault(method="GET", path=uuid, times=None, status=500)


def looks_at(wire, uuid):
    return [one for one in wire.looks if uuid in one.uuids]


async def done_in_time(sandbox, tasks):
    sandbox.clock.advance(60)
    async with asyncio.timeout(10):
        return states(await asyncio.gather(*tasks))


def test_a_rate_limit_that_is_shorter_than_a_round(frozen, monkeypatch, alter):
    monkeypatch.setattr(batch, "LONGEST_URL", 400)
    monkeypatch.setattr(retry, "MOST_TRIES", 1)
    window = {"since": 0.0, "count": 0}

    def limit(sent, reply):
        if sent.method == "GET":
            if sent.at - window["since"] >= 0.2:
                window.update(since=sent.at, count=0)
            window["count"] += 1
            if window["count"] > 3:
                reply.status_code = 429

    alter(limit)
    uuids = active(frozen, 50)

    async def main():
        return await done_in_time(frozen, start(*(waiting(uuid, poke_interval=0.2) for uuid in uuids)))

    assert asyncio.run(main()) == ["done"] * 50


def test_a_list_that_is_longer_than_a_rate_limit_allows(frozen, monkeypatch, alter, observe):
    monkeypatch.setattr(retry, "MOST_TRIES", 1)
    monkeypatch.setattr(listing_module, "MAX_PAGE_SIZE", 2)
    window = {"since": 0.0, "count": 0}

    def limit(sent, reply):
        if sent.method == "GET":
            if sent.at - window["since"] >= 0.15:
                window.update(since=sent.at, count=0)
            window["count"] += 1
            if window["count"] > 5:
                reply.status_code = 429

    alter(limit)
    uuids = active(frozen, 30)

    async def main():
        with observe(CampaignEvents(interval=0.2, listing=CampaignFilter.of())):
            await asyncio.sleep(0.5)
            tasks = start(*(waiting(uuid, poke_interval=0.2) for uuid in uuids[:2]))
            return await done_in_time(frozen, tasks)

    assert asyncio.run(main()) == ["done"] * 2


def test_those_who_ask_for_more_fields(frozen, wire):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    *bad, other = active(frozen, 4)
    always_fails(frozen, *bad)

    async def main():
        tasks = start(*map(waiting, bad), waiting(other, fields=["messages"]))
        await until(lambda: len(looks_at(wire, other)) >= 3)
        assert await done_in_time(frozen, tasks[3:]) == ["done"]
        await end(*tasks[:3])

    asyncio.run(main())


def test_a_list_beside_campaigns_that_cannot_be_read(frozen, wire, observe):
    """Event watchers never give up, so that these fail for ever."""
    frozen.fault(method="GET", path=LISTS, nth=1, status=400)
    bad = active(frozen, 3)
    always_fails(frozen, *bad)

    async def main():
        listing = CampaignEvents(interval=INTERVAL, listing=CampaignFilter.of(status="active"))
        with observe(listing):
            single = [CampaignEvents(interval=INTERVAL, campaign_uuid=uuid) for uuid in bad]
            with observe(single[0]), observe(single[1]), observe(single[2]):
                await until(lambda: len([one for one in wire.lists if "status" in one.query]) >= 4)
                assert not listing.looks.empty()

    asyncio.run(main())


def test_campaigns_that_left_a_list(frozen, wire, observe):
    uuids = sorted(active(frozen, 8))
    # Those that fail come first by their UUID.
    bad, good = uuids[:3], uuids[3:]

    async def main():
        watcher, ended = CampaignEvents(interval=INTERVAL, listing=CampaignFilter.of(status="active")), set()
        with observe(watcher):
            await watcher.looks.get()
            frozen.fault(method="GET", path=LISTS, nth=2, times=1, status=400)
            always_fails(frozen, *bad)
            frozen.clock.advance(60)
            async with asyncio.timeout(10):
                while ended < {*good}:
                    ended |= {sight.uuid for sight in (await watcher.looks.get()).news if sight.finished}
        assert not ended & {*bad}

    asyncio.run(main())


@pytest.mark.parametrize("status", [403, 404, 409])
def test_a_list_that_is_refused_is_the_affair_of_who_asks_for_it(
    frozen, wire, alter, observe, caplog, status
):
    def refuse(sent, reply):
        if "status" in sent.query:
            reply.status_code = status

    alter(refuse)
    uuids = active(frozen, 3)

    async def main():
        with observe(CampaignEvents(interval=INTERVAL, listing=CampaignFilter.of(status="active"))):
            tasks = start(*map(waiting, uuids))
            await until(lambda: len(looks_at(wire, uuids[0])) >= 4)
            assert await done_in_time(frozen, tasks) == ["done"] * 3

    asyncio.run(main())
    assert f"HTTP {status}" in caplog.text


def test_what_nobody_foresaw_in_a_list_is_its_own(frozen, monkeypatch, wire, observe):
    def surprise(self, campaign):
        raise ArithmeticError("who would have thought")

    monkeypatch.setattr(CampaignFilter, "check", surprise)
    uuids = active(frozen, 3)

    async def main():
        with observe(CampaignEvents(interval=INTERVAL, listing=CampaignFilter.of(status="active"))):
            tasks = start(*map(waiting, uuids))
            await until(lambda: len(looks_at(wire, uuids[0])) >= 4)
            assert await done_in_time(frozen, tasks) == ["done"] * 3

    asyncio.run(main())


def test_a_number_without_end_in_a_list(frozen, wire, alter, observe):
    def grow(sent, reply):
        if "webpush_title" in sent.query:
            held = reply.json()
            for row in held["data"]:
                row["webpush_title"] = 10**400
            reply._content = json.dumps(held).encode()

    alter(grow)
    frozen.ignore_filters = True
    uuids = active(frozen, 3)

    async def main():
        listing = CampaignFilter.of(filters={"webpush_title": "5"})
        with observe(CampaignEvents(interval=INTERVAL, listing=listing)):
            tasks = start(*map(waiting, uuids))
            await until(lambda: len(looks_at(wire, uuids[0])) >= 4)
            assert await done_in_time(frozen, tasks) == ["done"] * 3

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [{"status": None}, {"status": 7}, {"uuid": "one"}, {"uuid": None}])
def test_a_row_that_is_no_campaign(frozen, wire, alter, observe, caplog, wrong):
    bad, *good = active(frozen, 5)

    alter(lambda sent, reply: spoil(sent, reply) if "page_number" in sent.query else None)

    def spoil(sent, reply):
        held = reply.json()
        for row in held["data"]:
            if row["uuid"] == bad:
                row.update(wrong)
        reply._content = json.dumps(held).encode()

    async def main():
        watcher, ended = CampaignEvents(interval=INTERVAL, listing=CampaignFilter.of()), set()
        with observe(watcher):
            tasks = start(*map(waiting, [bad, *good]))
            await watcher.looks.get()
            # It is read by itself, where it is as it should be.
            assert await done_in_time(frozen, tasks) == ["done"] * 5
            async with asyncio.timeout(10):
                while ended < {*good}:
                    ended |= {sight.uuid for sight in (await watcher.looks.get()).news if sight.finished}

    asyncio.run(main())
    assert "A row of a list is left out" in caplog.text


def test_lists_that_are_too_much_with_all_their_messages(frozen, wire, monkeypatch, alter):
    """Say nothing of lists without them."""
    monkeypatch.setattr(batch, "LONGEST_URL", 400)

    def too_much(sent, reply):
        if "fields" in sent.query and "in(uuid)" in sent.query:
            reply.status_code = 504

    alter(too_much)
    plain, heavy = active(frozen, 12), active(frozen, 12)

    async def main():
        tasks = start(*map(waiting, plain), *(waiting(uuid, fields=["messages"]) for uuid in heavy))
        await until(lambda: len(looks_at(wire, heavy[0])) >= 8)
        assert await done_in_time(frozen, tasks) == ["done"] * 24

    asyncio.run(main())
    assert not [one for one in wire.singles if "fields" not in one.query]
    assert len([one for one in wire.lists if "fields" in one.query]) <= 2 * 2 + 2


def test_a_list_without_an_end(frozen, wire, alter):
    uuids = active(frozen, 3)
    row = rows(frozen)[uuids[0]]

    def again(sent, reply):
        if "page_number" in sent.query:
            pagination = {"total": 9, "count": 1, "perPage": 1, "totalPages": 10**9}
            pagination["currentPage"] = int(sent.query["page_number"])
            reply._content = json.dumps({"data": [row], "meta": {"pagination": pagination}}).encode()

    alter(again)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(looks_at(wire, uuids[2])) >= 4)
        assert await done_in_time(frozen, tasks[1:]) == ["done"] * 2
        await end(tasks[0])

    asyncio.run(main())
    assert len(wire.lists) < 40


def test_lists_may_be_forbidden_where_single_looks_are_not(sandbox, wire):
    sandbox.fault(method="GET", path=LISTS, times=None, status=403)
    uuids = finished(sandbox, 3)

    async def main():
        return states(await asyncio.gather(*start(*map(waiting, uuids))))

    assert asyncio.run(main()) == ["done"] * 3
    assert len(wire.lists) == 1


def test_one_campaign_with_a_retry_after_holds_up_no_other(frozen, wire, monkeypatch):
    monkeypatch.setattr(retry, "LONGEST_TIME", 0.01)
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 4)
    frozen.fault(method="GET", path=bad, times=None, status=503, headers={"Retry-After": "600"})

    async def main():
        tasks = start(*map(waiting, [*good, bad]))
        await until(lambda: len(looks_at(wire, good[0])) >= 4)
        await end(*tasks)

    asyncio.run(main())


def test_a_list_that_wants_time_is_given_it(frozen, wire, monkeypatch):
    monkeypatch.setattr(retry, "LONGEST_TIME", 0.01)
    uuids = active(frozen, 3)
    frozen.fault(method="GET", path=LISTS, status=504, headers={"Retry-After": "0.5"})

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 2)
        await end(*tasks)

    asyncio.run(main())
    assert not wire.singles
    assert wire.gaps()[0] >= 0.5
