"""No event twice, also when triggerers restart and notes cannot be kept."""

from __future__ import annotations

import asyncio
import gc
import weakref
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.polling.changes import Look, Sight
from airflow_provider_bm.triggers import BMCampaignEventTrigger
from tests.triggers.triggerer import HOUR, Notes, hourly, last, story

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"


def test_since_where_nothing_can_be_noted(sandbox, caplog):
    """It would be told again at each start: Airflow may start a watcher anew whenever it reads a DAG file."""
    uuid = hourly(sandbox)
    before = sandbox.clock.now() - HOUR

    async def tell(triggerer):
        for _ in range(2):
            triggerer.start(campaign_uuid=uuid, since=before)
            assert await triggerer.take() == []
            await triggerer.end()
        assert "does not count" in caplog.text

    story(tell, sandbox)


@pytest.mark.parametrize("event", ["execution", "end"])
def test_a_restart_tells_what_was_missed_and_nothing_twice(sandbox, event):
    notes = Notes()
    uuid, old = sandbox.create(status="draft")["uuid"], sandbox.create(status="active")["uuid"]

    async def tell(triggerer):
        triggerer.start(notes, event=event)
        assert await triggerer.take() == []
        await triggerer.end()
        triggerer.start(notes, event=event)
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == ([("end", old, last(sandbox, old))] if event == "end" else [])
        await triggerer.end()
        missed = sandbox.create(status="active")["uuid"]
        sandbox.clock.advance(HOUR)
        triggerer.start(notes, event=event)
        assert await triggerer.take() == [(event, missed, last(sandbox, missed))]
        await triggerer.end()
        triggerer.start(notes, event=event)
        assert await triggerer.take() == []
        assert sandbox.campaigns(uuid=uuid)

    story(tell, sandbox)


def test_a_restart_where_nothing_can_be_noted(sandbox):
    """Before Airflow 3.3: never twice; what happens meanwhile is not told."""
    uuid = hourly(sandbox)

    async def tell(triggerer):
        triggerer.start(None)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert len(await triggerer.take()) == 1
        await triggerer.end()
        sandbox.clock.advance(HOUR)
        triggerer.start(None)
        assert await triggerer.take() == []
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_killed_between_noting_and_telling(sandbox, monkeypatch):
    notes, uuid = Notes(), hourly(sandbox)

    async def tell(triggerer):
        triggerer.start(notes)
        await triggerer.rounds()
        told = asyncio.Event()

        async def noted(self, key, value):
            self[key] = value
            told.set()
            await asyncio.sleep(1000)

        with monkeypatch.context() as patch:
            patch.setattr(Notes, "aset", noted)
            sandbox.clock.advance(HOUR)
            await told.wait()
            await triggerer.end()
        assert triggerer.told == []
        triggerer.start(notes)
        assert await triggerer.take() == []
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_notes_that_cannot_be_kept_for_a_while(sandbox, caplog):
    notes, uuids = Notes(), [hourly(sandbox) for _ in range(3)]

    async def tell(triggerer):
        triggerer.start(notes)
        await triggerer.rounds()
        notes.broken = True
        sandbox.clock.advance(HOUR)
        await triggerer.until(lambda: "the API server is away" in caplog.text)
        assert await triggerer.take() == [], "nothing is told that is not noted"
        notes.broken = False
        assert sorted(await triggerer.take()) == sorted(
            ("execution", uuid, last(sandbox, uuid)) for uuid in uuids
        )

    story(tell, sandbox)


def test_what_left_the_list_is_followed_after_a_restart(sandbox):
    notes = Notes()
    uuids = [sandbox.create(status="active")["uuid"] for _ in range(3)]

    async def tell(triggerer):
        for event in ("end", "execution"):
            triggerer.start(notes, event=event, status="active")
        await triggerer.rounds()
        await triggerer.end()
        sandbox.clock.advance(HOUR)
        sandbox.start_campaign(uuids[0])
        sandbox.clock.advance(HOUR)
        assert sandbox.campaigns(status="active") == []
        for event in ("end", "execution"):
            triggerer.start(notes, event=event, status="active")
        assert sorted(await triggerer.take()) == sorted(
            [
                *(("end", uuid, last(sandbox, uuid)) for uuid in uuids),
                ("execution", uuids[0], last(sandbox, uuids[0])),
            ]
        )

    story(tell, sandbox)


def test_several_assets_with_the_same_watcher(sandbox, caplog):
    """Airflow gives them one trigger, and no way to tell their states apart."""
    uuid = hourly(sandbox)

    class Two(Notes):
        async def aget(self, key: str, default: Any = None) -> Any:
            raise ValueError("Task has 2 concrete inlets and outlets")

    async def tell(triggerer):
        triggerer.start(Two())
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]
        assert "Give one another poke_interval" in caplog.text

    story(tell, sandbox)


def test_looks_do_not_pile_up_while_nothing_can_be_noted():
    notes = Notes()
    notes.broken = True
    trigger = BMCampaignEventTrigger(campaign_uuid=UUID)
    trigger.asset_state_store = notes
    kept: list[weakref.ref[Sight]] = []

    async def looks():
        for _ in range(50):
            sight = Sight.of({"uuid": UUID, "status": "active", "last_dt": None})
            kept.append(weakref.ref(sight))
            yield Look(at=datetime.now(UTC), sights=[sight], news=[])
        gc.collect()
        assert len([one for one in kept if one() is not None]) <= 3

    async def main():
        return [event async for event in trigger.filter_shared_stream(looks())]

    assert asyncio.run(main()) == []
    assert len(kept) == 50


def test_executions_while_nothing_could_be_noted_from_the_start(sandbox, caplog):
    notes, uuid = Notes(), hourly(sandbox)
    notes.broken = True

    async def tell(triggerer):
        triggerer.start(notes)
        await triggerer.until(lambda: "the API server is away" in caplog.text)
        sandbox.clock.advance(HOUR)
        first = ("execution", uuid, last(sandbox, uuid))
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == []
        notes.broken = False
        assert await triggerer.take() == [first, ("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_watchers_of_several_services_on_one_asset_have_notes_of_their_own(sandbox):
    other = sandbox.add_service()
    sandbox.add_client(sandbox.client_id, sandbox.client_secret, [sandbox.service_uuid, other])
    storms, notes = {"startswith(name)": "Storm"}, Notes()
    here, _ = hourly(sandbox, name="Storm here"), hourly(sandbox, name="Storm there", service_uuid=other)

    async def tell(triggerer):
        triggerer.start(notes, filters=storms, service_uuid=sandbox.service_uuid)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert [uuid for _, uuid, _ in await triggerer.take()] == [here]
        # What it sees first is not news, whatever the other one has begun with.
        triggerer.start(notes, filters=storms, service_uuid=other)
        assert await triggerer.take() == []
        await triggerer.rounds(6)
        await triggerer.end()
        # It is not there in the other service; here it is followed, though it has left the list.
        await asyncio.to_thread(BMHook().update_campaign, here, {"name": "Calm"})
        triggerer.start(notes, filters=storms, service_uuid=sandbox.service_uuid)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert [uuid for _, uuid, _ in await triggerer.take()] == [here]

    story(tell, sandbox)
