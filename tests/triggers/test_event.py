"""BMCampaignEventTrigger against the sandbox: one event for each execution or end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_bm.client import bulk as batch
from airflow_provider_bm.exceptions import BMPayloadError
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.triggers import BMCampaignEventTrigger
from tests.support.run_dag import load_dag
from tests.triggers.triggerer import HOUR, INTERVAL, AssetState, hourly, last, run_triggerer
from tools.airflow_env import ROOT


@pytest.mark.parametrize("watched", ["one", "all"])
def test_one_event_for_each_execution(sandbox, watched):
    uuid = hourly(sandbox)

    async def main(triggerer):
        triggerer.start(campaign_uuid=uuid if watched == "one" else None)
        assert await triggerer.next_events() == [], "it executed before the first poll"
        for _ in range(3):
            sandbox.clock.advance(HOUR)
            assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_one_event_for_the_end(sandbox):
    recurring, once = hourly(sandbox), sandbox.create(status="active")["uuid"]
    sandbox.create(status="finished", last_dt="2026-01-01T00:00:00+00:00")

    async def main(triggerer):
        triggerer.start(event="end")
        triggerer.start(event="end", campaign_uuid=once)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("end", once, last(sandbox, once))] * 2
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == []
        assert last(sandbox, recurring)

    run_triggerer(main, sandbox)


def test_only_campaigns_that_match_the_filter(sandbox):
    storm = hourly(sandbox, name="Storm, every hour")
    hourly(sandbox, name="Sunshine")

    async def main(triggerer):
        triggerer.start(filters={"startswith(name)": "Storm"}, sending_type="sms")
        await triggerer.polls()
        # Created and finished between two polls.
        new = sandbox.create(name="Storm", status="active")["uuid"]
        sandbox.create(name="No storm", status="active")
        sandbox.clock.advance(HOUR)
        assert sorted(await triggerer.next_events()) == sorted(
            ("execution", uuid, last(sandbox, uuid)) for uuid in (storm, new)
        )

    run_triggerer(main, sandbox)


def test_campaign_that_leaves_the_list_is_followed_to_its_end(sandbox):
    ends, deleted = (sandbox.create(status="active")["uuid"] for _ in range(2))

    async def main(triggerer):
        triggerer.start(event="end", status="active")
        await triggerer.polls()
        sandbox.delete_campaign(deleted)
        sandbox.clock.advance(HOUR)
        assert sandbox.campaigns(status="active") == []
        assert await triggerer.next_events() == [("end", ends, last(sandbox, ends))]
        # After three polls, the other one is treated as deleted.
        assert len(sandbox.requests("GET", f"campaigns/{deleted}")) == 3
        before = len(sandbox.requests("GET", "campaigns/"))
        await triggerer.polls()
        assert len(sandbox.requests("GET", "campaigns/")) == before

    run_triggerer(main, sandbox)


def test_unreadable_campaigns_that_left_the_list_hide_no_event(sandbox, monkeypatch):
    monkeypatch.setattr(batch, "MAX_URL_LENGTH", 0)  # each is read by itself
    left = [sandbox.create(status="active")["uuid"] for _ in range(4)]

    async def main(triggerer):
        triggerer.start(status="active")
        await triggerer.polls()
        sandbox.fault("GET", "|".join(f"campaigns/{uuid}" for uuid in left), times=None, status=500)
        sandbox.clock.advance(HOUR)
        new = hourly(sandbox)
        await triggerer.polls(8)
        assert await triggerer.next_events() == [("execution", new, last(sandbox, new))]

    run_triggerer(main, sandbox)


def test_server_that_ignores_the_filter_causes_no_event(sandbox, caplog):
    uuid = hourly(sandbox, name="Sunshine")
    sandbox.ignore_filters = True

    async def main(triggerer):
        triggerer.start(filters={"startswith(name)": "Storm"})
        triggerer.start(campaign_uuid=uuid)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))], (
            "the other trigger is not affected"
        )
        assert "it does not support the filter" in caplog.text

    run_triggerer(main, sandbox)


def test_since_in_the_past(sandbox):
    uuid = hourly(sandbox)
    before = sandbox.clock.now()
    sandbox.clock.advance(HOUR)

    async def main(triggerer):
        triggerer.start(AssetState(), campaign_uuid=uuid, since=before)
        triggerer.start(AssetState(), campaign_uuid=uuid, since=before + HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_since_in_the_future(sandbox):
    uuid = hourly(sandbox)

    async def main(triggerer):
        triggerer.start(campaign_uuid=uuid, since=sandbox.clock.now() + 1.5 * HOUR)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == []
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_server_clock_that_is_behind(sandbox):
    sandbox.clock.set(datetime.now(UTC) - timedelta(minutes=2))
    hourly(sandbox)

    async def main(triggerer):
        triggerer.start()
        assert await triggerer.next_events() == []
        new = sandbox.create(status="active")["uuid"]
        assert await triggerer.next_events() == [("execution", new, last(sandbox, new))]

    run_triggerer(main, sandbox)


def test_campaign_that_was_missing_for_some_polls_causes_no_second_event(sandbox):
    uuid = sandbox.create(status="active")["uuid"]
    sandbox.execution_seconds = 36_000

    async def main(triggerer):
        triggerer.start(status="active", event="execution")
        await triggerer.polls()
        new = sandbox.create(status="active")["uuid"]
        assert await triggerer.next_events() == [("execution", new, last(sandbox, new))]
        sandbox.stop_campaign(new)
        sandbox.fault("GET", f"campaigns/{new}", times=10, status=404)
        await triggerer.polls(16)
        sandbox.start_campaign(new)
        assert await triggerer.next_events() == []
        assert uuid

    run_triggerer(main, sandbox)


def test_server_that_is_down_delays_events_only(sandbox):
    uuid = hourly(sandbox)

    async def main(triggerer):
        triggerer.start(campaign_uuid=uuid)
        await triggerer.polls()
        sandbox.fault("GET", times=None, status=503)
        sandbox.clock.advance(HOUR)
        await triggerer.polls(60)
        sandbox.clear_faults()
        await triggerer.polls(5)  # the pauses are five minutes by now
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)


def test_invalid_connection_is_tolerated(sandbox, monkeypatch):
    uuid, right = hourly(sandbox), sandbox.connection_json()
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout="soon"))

    async def main(triggerer):
        triggerer.start(AssetState(), campaign_uuid=uuid, since=sandbox.clock.now() - HOUR)
        await triggerer.polls(5)
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", right)
        assert [event for event, _, _ in await triggerer.next_events()] == ["execution"]

    run_triggerer(main, sandbox)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"campaign_uuid": "x"}, "campaign_uuid"),
        ({"event": "start"}, "event"),
        ({"status": "paused"}, "status"),
        ({"filters": {"like(name)": "x"}}, "filters"),
        ({"filters": {"startswith(nmae)": "Storm"}}, "nmae"),
        ({"since": "2026-01-01"}, "since"),
        ({"poke_interval": 0}, "poke_interval"),
        ({"service_uuid": ""}, "service_uuid"),
        ({"campaign_uuid": "1592695e-c1b1-11ee-b153-774c9d3a7957", "status": "active"}, "campaign_uuid"),
    ],
)
def test_invalid_arguments_are_rejected_when_the_dag_is_parsed(arguments, field):
    with pytest.raises(BMPayloadError, match=field):
        BMCampaignEventTrigger(**arguments)


def test_serialized_arguments_make_the_same_trigger():
    trigger = BMCampaignEventTrigger(
        status=["active", "stopped"], filters={"isnull(last_dt)": None}, since="2026-01-01T01:00:00+01:00"
    )
    path, kwargs = trigger.serialize()
    again = BMCampaignEventTrigger(**kwargs)
    assert again.serialize() == (path, kwargs)
    assert kwargs["since"] == "2026-01-01T00:00:00+00:00"
    assert BMCampaignEventTrigger.hash(path, kwargs) == BMCampaignEventTrigger.hash(*again.serialize())


def test_example_dag(sandbox, monkeypatch):
    dag = load_dag(ROOT / "dags_examples" / "after_each_execution.py", "after_each_execution")
    (asset,) = dag.schedule
    ((_, kwargs),) = [watcher.trigger.serialize() for watcher in asset.watchers]
    uuid = hourly(sandbox, name="[9059298471715294] Good morning")  # as an operator names it

    async def main(triggerer):
        triggerer.start(**{**kwargs, "poke_interval": INTERVAL})
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == [("execution", uuid, last(sandbox, uuid))]

    run_triggerer(main, sandbox)
    assert asset.uri == f"bm://{sandbox.service_uuid}/campaigns"
    event = SimpleNamespace(extra={"payload": {"campaign": sandbox.campaigns()[0]}})
    carry_on = dag.get_task("carry_on").python_callable
    assert carry_on(triggering_asset_events={asset.name: [event]}) == [uuid]


def test_campaign_that_only_another_trigger_follows_causes_no_event(sandbox):
    """They share the list, but not the campaigns that have left it."""
    uuid, storms = hourly(sandbox, name="Storm 1"), {"startswith(name)": "Storm"}

    async def main(triggerer):
        triggerer.start(event="end", filters=storms)
        await triggerer.polls()
        await asyncio.to_thread(BMHook().update_campaign, uuid, {"name": "Calm"})
        await triggerer.polls()
        triggerer.start(event="execution", filters=storms)
        await triggerer.polls()
        sandbox.clock.advance(HOUR)
        assert await triggerer.next_events() == []

    run_triggerer(main, sandbox)
