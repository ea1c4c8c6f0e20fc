"""BMCampaignEventTrigger against the sandbox: one event for each execution or end, and none twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_bm.client import batch, retry
from airflow_provider_bm.exceptions import BMPayloadError
from airflow_provider_bm.sandbox import Sandbox
from tests.support.harness import load_dag
from tools.airflow_env import ROOT, is_airflow_2

if is_airflow_2():
    pytest.skip("Airflow 2 has no event triggers", allow_module_level=True)

from airflow.triggers.base import TriggerEvent

from airflow_provider_bm.triggers import BMCampaignEventTrigger, BMCampaignTrigger

try:
    from airflow.triggers.shared_stream import SharedStreamManager
except ImportError:  # before Airflow 3.3
    SharedStreamManager = None

HOUR = timedelta(hours=1)
INTERVAL = 0.1


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "MOST_TRIES", 2)


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.clock.freeze()
    return sandbox


class Notes(dict[str, Any]):
    """An asset's state, as Airflow 3.3 keeps it: it outlives triggerers."""

    def __init__(self) -> None:
        self.broken = False

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        if self.broken:
            raise RuntimeError("the API server is away")
        self[key] = value


class Triggerer:
    """Runs triggers on this loop, as a triggerer does: by Airflow's manager of streams, where it has one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.streams = None if SharedStreamManager is None else SharedStreamManager()
        self.told: list[tuple[str, str, str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, notes: Notes | None = None, **arguments: Any) -> None:
        """Start a watcher, made of what Airflow keeps of it."""
        _, kwargs = BMCampaignEventTrigger(**{"poke_interval": INTERVAL, **arguments}).serialize()
        trigger = BMCampaignEventTrigger(**kwargs)
        trigger.asset_state_store = notes
        self.tasks.append(asyncio.create_task(self._run(trigger)))

    async def _run(self, trigger: BMCampaignEventTrigger) -> None:
        key, number = trigger.shared_stream_key(), id(trigger)
        if self.streams is None or key is None:
            await self._tell(trigger.run())
            return
        try:
            stream = self.streams.subscribe(trigger_id=number, trigger=trigger, key=key)
            await self._tell(trigger.filter_shared_stream(stream))
        finally:
            await self.streams.unsubscribe(number, key)

    async def _tell(self, events: AsyncIterator[TriggerEvent]) -> None:
        async for event in events:
            campaign = event.payload["campaign"]
            self.told.append((event.payload["event"], campaign["uuid"], campaign["last_dt"]))

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(8):
            while not condition():
                assert not [task for task in self.tasks if task.done()], "a watcher has ended"
                await asyncio.sleep(0.01)

    async def rounds(self, number: int = 3) -> None:
        """Let everybody look some times more."""
        for _ in range(number):
            before = len(self.sandbox.requests("GET"))
            await self.until(lambda before=before: len(self.sandbox.requests("GET")) > before)
            await asyncio.sleep(INTERVAL / 2)

    async def take(self) -> list[tuple[str, str, str]]:
        """What was told until the next looks, once."""
        await self.rounds()
        told, self.told = self.told, []
        return told

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []


def story(tell: Callable[[Triggerer], Awaitable[None]], sandbox: Sandbox) -> None:
    """Run a test's coroutine, with a triggerer that ends with it."""

    async def run() -> None:
        triggerer = Triggerer(sandbox)
        try:
            async with asyncio.timeout(30):
                await tell(triggerer)
        finally:
            await triggerer.end()

    asyncio.run(run())
    for thread in threading.enumerate():
        if thread.name.startswith("bm-poller"):
            thread.join(5)
            assert not thread.is_alive()


def hourly(sandbox: Sandbox, **fields: Any) -> str:
    fields = {"status": "active", "schedule_type": "scheduled", "schedule_rrule": "FREQ=HOURLY", **fields}
    return str(sandbox.create(**fields)["uuid"])


def last(sandbox: Sandbox, uuid: str) -> str:
    (campaign,) = sandbox.campaigns(uuid=uuid)
    return str(campaign["last_dt"])


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
        # And then no longer.
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


def test_a_server_whose_clock_is_behind(sandbox):
    sandbox.clock.set(datetime.now(UTC) - timedelta(minutes=2))
    hourly(sandbox)

    async def tell(triggerer):
        triggerer.start()
        assert await triggerer.take() == []
        new = sandbox.create(status="active")["uuid"]
        assert await triggerer.take() == [("execution", new, last(sandbox, new))]

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
