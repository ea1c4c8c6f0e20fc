"""BMCampaignEventTrigger against the sandbox: one event for each execution or end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest

from airflow_provider_bm.client import bulk as batch
from airflow_provider_bm.exceptions import BMPayloadError
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.triggers import BMCampaignEventTrigger
from tests.support.harness import load_dag
from tests.triggers.triggerer import HOUR, INTERVAL, Notes, hourly, last, story
from tools.airflow_env import ROOT


@pytest.mark.parametrize("question", ["one", "all"])
def test_each_execution_once(sandbox, question):
    uuid = hourly(sandbox)

    async def tell(triggerer):
        triggerer.start(campaign_uuid=uuid if question == "one" else None)
        assert await triggerer.take() == [], "what was before the first look is no news"
        for _ in range(3):
            sandbox.clock.advance(HOUR)
            assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_the_end_once(sandbox):
    recurring, once = hourly(sandbox), sandbox.create(status="active")["uuid"]
    sandbox.create(status="finished", last_dt="2026-01-01T00:00:00+00:00")

    async def tell(triggerer):
        triggerer.start(event="end")
        triggerer.start(event="end", campaign_uuid=once)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("end", once, last(sandbox, once))] * 2
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == []
        assert last(sandbox, recurring)

    story(tell, sandbox)


def test_those_that_match(sandbox):
    storm = hourly(sandbox, name="Storm, every hour")
    hourly(sandbox, name="Sunshine")

    async def tell(triggerer):
        triggerer.start(filters={"startswith(name)": "Storm"}, sending_type="sms")
        await triggerer.rounds()
        # From its first execution to its end between two looks: seen for the first time with both.
        new = sandbox.create(name="Storm", status="active")["uuid"]
        sandbox.create(name="No storm", status="active")
        sandbox.clock.advance(HOUR)
        assert sorted(await triggerer.take()) == sorted(
            ("execution", uuid, last(sandbox, uuid)) for uuid in (storm, new)
        )

    story(tell, sandbox)


def test_a_campaign_that_leaves_the_list_is_watched_to_its_end(sandbox):
    ends, deleted = (sandbox.create(status="active")["uuid"] for _ in range(2))

    async def tell(triggerer):
        triggerer.start(event="end", status="active")
        await triggerer.rounds()
        sandbox.delete_campaign(deleted)
        sandbox.clock.advance(HOUR)
        assert sandbox.campaigns(status="active") == []
        assert await triggerer.take() == [("end", ends, last(sandbox, ends))]
        # And then no longer: after three looks, the other was deleted.
        await triggerer.until(lambda: len(sandbox.requests("GET", f"campaigns/{deleted}")) == 3)
        before = len(sandbox.requests("GET", "campaigns/"))
        await triggerer.rounds()
        assert len(sandbox.requests("GET", "campaigns/")) == before

    story(tell, sandbox)


def test_campaigns_that_left_the_list_and_cannot_be_read_hide_nothing(sandbox, monkeypatch):
    monkeypatch.setattr(batch, "LONGEST_URL", 0)  # each is read by itself
    left = [sandbox.create(status="active")["uuid"] for _ in range(4)]

    async def tell(triggerer):
        triggerer.start(status="active")
        await triggerer.rounds()
        sandbox.fault("GET", "|".join(f"campaigns/{uuid}" for uuid in left), times=None, status=500)
        sandbox.clock.advance(HOUR)
        new = hourly(sandbox)
        await triggerer.rounds(8)
        assert await triggerer.take() == [("execution", new, last(sandbox, new))]

    story(tell, sandbox)


def test_a_server_that_ignores_the_filter_is_not_believed(sandbox, caplog):
    uuid = hourly(sandbox, name="Sunshine")
    sandbox.ignore_filters = True

    async def tell(triggerer):
        triggerer.start(filters={"startswith(name)": "Storm"})
        triggerer.start(campaign_uuid=uuid)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))], "the other one goes on"
        assert "it does not know the filter" in caplog.text

    story(tell, sandbox)


def test_since(sandbox):
    uuid = hourly(sandbox)
    before = sandbox.clock.now()
    sandbox.clock.advance(HOUR)

    async def tell(triggerer):
        triggerer.start(Notes(), campaign_uuid=uuid, since=before)
        triggerer.start(Notes(), campaign_uuid=uuid, since=before + HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_since_tomorrow(sandbox):
    uuid = hourly(sandbox)

    async def tell(triggerer):
        triggerer.start(campaign_uuid=uuid, since=sandbox.clock.now() + 1.5 * HOUR)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == []
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_a_server_whose_clock_is_behind(sandbox):
    sandbox.clock.set(datetime.now(UTC) - timedelta(minutes=2))
    hourly(sandbox)

    async def tell(triggerer):
        triggerer.start()
        assert await triggerer.take() == []
        new = sandbox.create(status="active")["uuid"]
        assert await triggerer.take() == [("execution", new, last(sandbox, new))]

    story(tell, sandbox)


def test_a_campaign_that_was_missing_for_a_moment(sandbox):
    uuid = sandbox.create(status="active")["uuid"]
    sandbox.execution_seconds = 36_000

    async def tell(triggerer):
        triggerer.start(status="active", event="execution")
        await triggerer.rounds()
        new = sandbox.create(status="active")["uuid"]
        assert await triggerer.take() == [("execution", new, last(sandbox, new))]
        sandbox.stop_campaign(new)
        sandbox.fault("GET", f"campaigns/{new}", times=10, status=404)
        await triggerer.rounds(16)
        sandbox.start_campaign(new)
        assert await triggerer.take() == []
        assert uuid

    story(tell, sandbox)


def test_a_server_that_is_down_is_asked_less_and_less(sandbox):
    uuid = hourly(sandbox)

    async def tell(triggerer):
        triggerer.start(campaign_uuid=uuid)
        await triggerer.rounds()
        sandbox.clock.resume()  # the journal has its time
        sandbox.fault("GET", times=None, status=503)
        before = len(sandbox.requests("GET"))
        await triggerer.until(lambda: len(sandbox.requests("GET")) >= before + 8)
        # Each look is two tries.
        asked = [datetime.fromisoformat(each["dt"]) for each in sandbox.requests("GET")[before::2]]
        gaps = [(after - one).total_seconds() for one, after in pairwise(asked)]
        assert [gap >= INTERVAL * 2**number for number, gap in enumerate(gaps)] == [True] * 3
        sandbox.clear_faults()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)


def test_a_connection_that_is_wrong_for_a_while(sandbox, monkeypatch):
    uuid, right = hourly(sandbox), sandbox.connection_json()
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout="soon"))

    async def tell(triggerer):
        triggerer.start(Notes(), campaign_uuid=uuid, since=sandbox.clock.now() - HOUR)
        await asyncio.sleep(5 * INTERVAL)
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", right)
        assert [event for event, _, _ in await triggerer.take()] == ["execution"]

    story(tell, sandbox)


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
def test_wrong_arguments_are_found_where_the_dag_is_parsed(arguments, field):
    with pytest.raises(BMPayloadError, match=field):
        BMCampaignEventTrigger(**arguments)


def test_arguments_survive_airflow():
    trigger = BMCampaignEventTrigger(
        status=["active", "stopped"], filters={"isnull(last_dt)": None}, since="2026-01-01T01:00:00+01:00"
    )
    path, kwargs = trigger.serialize()
    again = BMCampaignEventTrigger(**kwargs)
    assert again.serialize() == (path, kwargs)
    assert kwargs["since"] == "2026-01-01T00:00:00+00:00"
    assert BMCampaignEventTrigger.hash(path, kwargs) == BMCampaignEventTrigger.hash(*again.serialize())


def test_the_example(sandbox, monkeypatch):
    dag = load_dag(ROOT / "dags_examples" / "after_each_execution.py", "after_each_execution")
    (asset,) = dag.schedule
    ((_, kwargs),) = [watcher.trigger.serialize() for watcher in asset.watchers]
    uuid = hourly(sandbox, name="Good morning")

    async def tell(triggerer):
        triggerer.start(**{**kwargs, "poke_interval": INTERVAL})
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == [("execution", uuid, last(sandbox, uuid))]

    story(tell, sandbox)
    assert asset.uri == f"bm://{sandbox.service_uuid}/campaigns"
    event = SimpleNamespace(extra={"payload": {"campaign": sandbox.campaigns()[0]}})
    carry_on = dag.get_task("carry_on").python_callable
    assert carry_on(triggering_asset_events={asset.name: [event]}) == [uuid]


def test_a_list_does_not_hear_of_what_only_another_follows(sandbox):
    """They share the list, but not what has left it."""
    uuid, storms = hourly(sandbox, name="Storm 1"), {"startswith(name)": "Storm"}

    async def tell(triggerer):
        triggerer.start(event="end", filters=storms)
        await triggerer.rounds()
        await asyncio.to_thread(BMHook().update_campaign, uuid, {"name": "Calm"})
        await triggerer.rounds()
        triggerer.start(event="execution", filters=storms)
        await triggerer.rounds()
        sandbox.clock.advance(HOUR)
        assert await triggerer.take() == []

    story(tell, sandbox)
