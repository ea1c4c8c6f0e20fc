"""No event twice, even if triggerers restart and the asset's state cannot be written."""

from __future__ import annotations

import asyncio
import gc
import weakref
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.polling.changes import CampaignSnapshot, PollResult
from airflow_provider_bm.triggers import BMCampaignEventTrigger
from tests.triggers.triggerer import HOUR, AssetState, hourly, last, run_triggerer

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"


def test_since_is_ignored_where_nothing_can_be_recorded(sandbox, caplog):
    """Events would be sent again at each start, which Airflow may do whenever it parses a DAG file."""
    uuid = hourly(sandbox)
    before = sandbox.clock.now() - HOUR

    async def main(triggerer):
        for _ in range(2):
            triggerer.start(campaign_uuid=uuid, since=before)
            assert await triggerer.next_events() == []
            await triggerer.stop()
        assert "is ignored" in caplog.text

    run_triggerer(main, sandbox)


@pytest.mark.parametrize("event", ["execution", "end"])
def test_restart_sends_missed_events_and_none_twice(sandbox, event):
    state = AssetState()
    uuid, old = sandbox.create(status="draft")["uuid"], sandbox.create(status="active")["uuid"]

    async def main(triggerer):
        triggerer.start(state, event=event)
        assert await triggerer.next_events() == []
        await triggerer.stop()
        triggerer.start(state, event=event)
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == ([("end", old, last(sandbox, old))] if event == "end" else [])
        await triggerer.stop()
        missed = sandbox.create(status="active")["uuid"]
        sandbox.clock.advance(HOUR)
        triggerer.start(state, event=event)
        assert await triggerer.next_events() == [(event, missed, last(sandbox, missed))]
        await triggerer.stop()
        triggerer.start(state, event=event)
        assert await triggerer.next_events() == []
        assert sandbox.campaigns(uuid=uuid)

    run_triggerer(main, sandbox)


def test_restart_where_nothing_can_be_recorded(sandbox):
    """Before Airflow 3.3: no event twice; what happens meanwhile causes none."""
    uuid = hourly(sandbox)

    async def main(triggerer):
        triggerer.start(None)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert len(await triggerer.next_events()) == 1
        await triggerer.stop()
        sandbox.clock.advance(HOUR)
        triggerer.start(None)
        assert await triggerer.next_events() == []
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_triggerer_killed_between_record_and_event(sandbox, monkeypatch):
    state, uuid = AssetState(), hourly(sandbox)

    async def main(triggerer):
        triggerer.start(state)
        await triggerer.polls()
        recorded = asyncio.Event()

        async def record(self, key, value):
            self[key] = value
            recorded.set()
            await asyncio.sleep(10**6)

        with monkeypatch.context() as patch:
            patch.setattr(AssetState, "aset", record)
            sandbox.clock.advance(HOUR)
            await recorded.wait()
            await triggerer.stop()
        assert triggerer.sent == []
        triggerer.start(state)
        assert await triggerer.next_events() == []
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_asset_state_that_cannot_be_written_for_a_while(sandbox, caplog):
    state, uuids = AssetState(), [hourly(sandbox) for _ in range(3)]

    async def main(triggerer):
        triggerer.start(state)
        await triggerer.polls()
        state.is_broken = True
        sandbox.clock.advance(HOUR)
        await triggerer.polls()
        assert "the API server is away" in caplog.text
        assert await triggerer.next_events() == [], "an event that is not recorded is not sent"
        state.is_broken = False
        assert sorted(await triggerer.next_events()) == sorted(
            ("execution", uuid, last(sandbox, uuid)) for uuid in uuids
        )

    run_triggerer(main, sandbox)


def test_campaigns_that_left_the_list_are_followed_after_a_restart(sandbox):
    state = AssetState()
    uuids = [sandbox.create(status="active")["uuid"] for _ in range(3)]

    async def main(triggerer):
        for event in ("end", "execution"):
            triggerer.start(state, event=event, status="active")
        await triggerer.polls()
        await triggerer.stop()
        sandbox.clock.advance(HOUR)
        sandbox.start_campaign(uuids[0])
        sandbox.clock.advance(HOUR)
        assert sandbox.campaigns(status="active") == []
        for event in ("end", "execution"):
            triggerer.start(state, event=event, status="active")
        assert sorted(await triggerer.next_events()) == sorted(
            [
                *(("end", uuid, last(sandbox, uuid)) for uuid in uuids),
                ("execution", uuids[0], last(sandbox, uuids[0])),
            ]
        )

    run_triggerer(main, sandbox)


def test_several_assets_with_the_same_trigger(sandbox, caplog):
    """Airflow runs one trigger for them, and cannot distinguish their states."""
    uuid = hourly(sandbox)

    class Two(AssetState):
        async def aget(self, key: str, default: Any = None) -> Any:
            raise ValueError("Task has 2 concrete inlets and outlets")

    async def main(triggerer):
        triggerer.start(Two())
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]
        assert "a different poke_interval" in caplog.text

    run_triggerer(main, sandbox)


def test_results_do_not_accumulate_while_nothing_can_be_recorded():
    state = AssetState()
    state.is_broken = True
    trigger = BMCampaignEventTrigger(campaign_uuid=UUID)
    trigger.asset_state_store = state
    kept: list[weakref.ref[CampaignSnapshot]] = []

    async def results():
        for _ in range(50):
            snapshot = CampaignSnapshot.of({"uuid": UUID, "status": "active", "last_dt": None})
            kept.append(weakref.ref(snapshot))
            yield PollResult(at=datetime.now(UTC), snapshots=[snapshot], changes=[])
        gc.collect()
        assert len([reference for reference in kept if reference() is not None]) <= 3

    async def main():
        return [event async for event in trigger.filter_shared_stream(results())]

    assert asyncio.run(main()) == []
    assert len(kept) == 50


def test_executions_before_anything_could_be_recorded(sandbox, caplog):
    state, uuid = AssetState(), hourly(sandbox)
    state.is_broken = True

    async def main(triggerer):
        triggerer.start(state)
        await triggerer.polls()
        assert "the API server is away" in caplog.text
        sandbox.clock.advance(HOUR)
        first = ("execution", uuid, last(sandbox, uuid))
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == []
        state.is_broken = False
        assert await triggerer.next_events() == [first, ("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_each_service_of_an_asset_has_its_own_records(sandbox):
    other = sandbox.add_service()
    sandbox.add_client(sandbox.client_id, sandbox.client_secret, [sandbox.service_uuid, other])
    storms, state = {"startswith(name)": "Storm"}, AssetState()
    here, _ = hourly(sandbox, name="Storm here"), hourly(sandbox, name="Storm there", service_uuid=other)

    async def main(triggerer):
        triggerer.start(state, filters=storms, service_uuid=sandbox.service_uuid)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert [uuid for _, uuid, _ in await triggerer.next_events()] == [here]
        # Executions before its first poll are not events, whatever the other service has recorded.
        triggerer.start(state, filters=storms, service_uuid=other)
        assert await triggerer.next_events() == []
        await triggerer.polls(6)
        await triggerer.stop()
        # It does not exist in the other service. Here it is followed although it has left the list.
        await asyncio.to_thread(BMHook().update_campaign, here, {"name": "Calm"})
        triggerer.start(state, filters=storms, service_uuid=sandbox.service_uuid)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert [uuid for _, uuid, _ in await triggerer.next_events()] == [here]

    run_triggerer(main, sandbox)
