"""Watchers share what they ask."""

from __future__ import annotations

import asyncio

from airflow_provider_bm.triggers import BMCampaignTrigger
from tests.triggers.triggerer import HOUR, INTERVAL, hourly, last, story


def test_watchers_and_waiting_tasks_share_one_poller(sandbox):
    uuids = [hourly(sandbox) for _ in range(20)]

    async def wait(uuid: str) -> None:
        trigger = BMCampaignTrigger(campaign_uuid=uuid, poke_interval=INTERVAL)
        async for _ in trigger.run():
            pass

    async def tell(triggerer):
        for uuid in uuids:
            triggerer.start(campaign_uuid=uuid)
        waiting = [asyncio.create_task(wait(uuid)) for uuid in uuids]
        await triggerer.rounds()
        before = len(sandbox.requests("GET"))
        await triggerer.rounds(4)
        asked = sandbox.requests("GET")[before:]
        assert len(asked) <= 8
        assert len({each["connection"] for each in sandbox.requests()}) == 1
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    story(tell, sandbox)


def test_who_asks_the_same_question_shares_the_answers(sandbox):
    uuids = [hourly(sandbox, schedule_rrule="FREQ=HOURLY;COUNT=3") for _ in range(2)]

    async def tell(triggerer):
        for uuid in uuids:
            triggerer.start(campaign_uuid=uuid)
            triggerer.start(campaign_uuid=uuid, event="end")
        triggerer.start(campaign_uuid=uuids[0].upper(), since=sandbox.clock.now())
        await triggerer.rounds()
        if triggerer.streams is not None:
            assert len(triggerer.streams._groups) == len(uuids)
        sandbox.clock.advance(HOUR)
        told = [("execution", uuid, last(sandbox, uuid)) for uuid in uuids]
        assert sorted(await triggerer.take()) == sorted([*told, told[0]])
        sandbox.clock.advance(2 * HOUR)
        assert sorted(each for each in await triggerer.take() if each[0] == "end") == sorted(
            ("end", uuid, last(sandbox, uuid)) for uuid in uuids
        )

    story(tell, sandbox)


def test_who_comes_later_sees_everything_first(sandbox):
    """Also while nothing happens: what it has not seen would be no news to it later."""
    uuid, other = hourly(sandbox), sandbox.create(status="active")["uuid"]

    async def tell(triggerer):
        triggerer.start(event="end")
        await triggerer.rounds()
        triggerer.start()
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert sorted(await triggerer.take()) == sorted(
            [("execution", uuid, last(sandbox, uuid)), ("end", other, last(sandbox, other))]
        )

    story(tell, sandbox)


def test_without_a_manager_of_streams_it_does_the_same(sandbox):
    """Airflow 3.0 to 3.2, and whoever runs a trigger by hand."""
    uuid = hourly(sandbox)

    async def tell(triggerer):
        triggerer.streams = None
        triggerer.start(campaign_uuid=uuid)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)
