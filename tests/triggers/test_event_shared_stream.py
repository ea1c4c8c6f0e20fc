"""Triggers for the same campaign or service share polls."""

from __future__ import annotations

import asyncio

from airflow_provider_bm.triggers import BMCampaignTrigger
from tests.triggers.triggerer import HOUR, INTERVAL, hourly, last, run_triggerer


def test_triggers_and_deferred_tasks_share_one_poller(sandbox):
    uuids = [hourly(sandbox) for _ in range(20)]

    async def wait(uuid: str) -> None:
        trigger = BMCampaignTrigger(campaign_uuid=uuid, poke_interval=INTERVAL)
        async for _ in trigger.run():
            pass

    async def main(triggerer):
        for uuid in uuids:
            triggerer.start(campaign_uuid=uuid)
        waiting = [asyncio.create_task(wait(uuid)) for uuid in uuids]
        await triggerer.polls()
        before = len(sandbox.requests("GET"))
        await triggerer.polls(4)
        assert len(sandbox.requests("GET")) - before <= 5
        assert len({each["connection"] for each in sandbox.requests()}) == 1
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run_triggerer(main, sandbox)


def test_triggers_for_the_same_campaign_share_a_stream(sandbox):
    uuids = [hourly(sandbox, schedule_rrule="FREQ=HOURLY;COUNT=3") for _ in range(2)]

    async def main(triggerer):
        for uuid in uuids:
            triggerer.start(campaign_uuid=uuid)
            triggerer.start(campaign_uuid=uuid, event="end")
        triggerer.start(campaign_uuid=uuids[0].upper(), since=sandbox.clock.now())
        await triggerer.polls()
        if triggerer.streams is not None:
            assert len(triggerer.streams._groups) == len(uuids)
        sandbox.clock.advance(HOUR)
        expected = [("execution", uuid, last(sandbox, uuid)) for uuid in uuids]
        assert sorted(await triggerer.next_events()) == sorted([*expected, expected[0]])
        sandbox.clock.advance(2 * HOUR)
        assert sorted(each for each in await triggerer.next_events() if each[0] == "end") == sorted(
            ("end", uuid, last(sandbox, uuid)) for uuid in uuids
        )

    run_triggerer(main, sandbox)


def test_later_trigger_gets_all_campaigns_first(sandbox):
    """Also while nothing happens: a campaign that it has not seen could cause no event later."""
    uuid, other = hourly(sandbox), sandbox.create(status="active")["uuid"]

    async def main(triggerer):
        triggerer.start(event="end")
        await triggerer.polls()
        triggerer.start()
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert sorted(await triggerer.next_events()) == sorted(
            [("execution", uuid, last(sandbox, uuid)), ("end", other, last(sandbox, other))]
        )

    run_triggerer(main, sandbox)


def test_without_shared_streams(sandbox):
    """Airflow 3.0 to 3.2."""
    uuid = hourly(sandbox)

    async def main(triggerer):
        triggerer.streams = None
        triggerer.start(campaign_uuid=uuid)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)
