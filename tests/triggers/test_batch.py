"""Waiting for the campaigns of a batch in the triggerer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_bm import _compat
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.triggers import BMCampaignBatchTrigger
from airflow_provider_bm.triggers.batch import pack_uuids, unpack_uuids

COUNT = 60


@pytest.fixture
def campaigns(sandbox):
    """UUIDs of active campaigns."""
    return [sandbox.create(status="active")["uuid"] for _ in range(COUNT)]


def event_of(uuids, **arguments):
    """Return the event of a trigger that went through the database."""
    trigger = BMCampaignBatchTrigger(campaigns=pack_uuids(uuids), poke_interval=0.2, **arguments)
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_bm.triggers.BMCampaignBatchTrigger"

    async def first():
        async for event in BMCampaignBatchTrigger(**kwargs).run():
            return event.payload

    return asyncio.run(first())


def test_all_have_finished(sandbox, campaigns):
    sandbox.clock.advance(60)
    seen = len(sandbox.requests())
    assert event_of(campaigns) == {"state": "done", "reason": f"{COUNT} campaigns have finished"}
    lists = [each for each in sandbox.requests()[seen:] if "/campaigns" in each["path"]]
    assert len(lists) == 2, "about 45 campaigns with one request"


def test_one_was_stopped_and_one_deleted(sandbox, campaigns):
    BMHook().set_campaign_status(campaigns[0], "stopped")
    BMHook().delete_campaign(campaigns[1])
    sandbox.clock.advance(60)
    event = event_of(campaigns)
    assert event["state"] == "failed"
    assert event["reason"].startswith(f"2 of {COUNT} campaigns did not finish: ")
    assert f"{campaigns[1]} does not exist any more" in event["reason"]
    assert "is stopped" in event["reason"]


def test_the_deadline(campaigns):
    deadline = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    assert event_of(campaigns, deadline=deadline) == {
        "state": "timeout",
        "reason": f"Last seen of {COUNT} campaigns: {COUNT} active.",
    }


def test_a_permanent_error(sandbox, campaigns):
    sandbox.fault(method="GET", status=403, times=None)
    event = event_of(campaigns)
    assert (event["state"], event["permanent"]) == ("error", True)
    assert "HTTP 403" in event["reason"]


@pytest.mark.parametrize(("state", "status"), [("failed", "stopped"), ("running", "active")])
def test_a_killed_task_stops_its_campaigns(sandbox, campaigns, monkeypatch, state, status):
    monkeypatch.setattr(_compat, "task_instance_state", lambda ti: state)
    trigger = BMCampaignBatchTrigger(campaigns=pack_uuids(campaigns), stop_on_kill=True)
    trigger.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    asyncio.run(trigger.on_kill())
    assert {each["status"] for each in sandbox.campaigns()} == {status}


def test_uuids_are_packed(campaigns):
    text = pack_uuids(campaigns)
    assert unpack_uuids(text) == campaigns
    assert len(text) < 22 * COUNT
