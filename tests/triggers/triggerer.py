"""A triggerer that runs event triggers on a virtual clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.triggers import BMCampaignEventTrigger
from tests.support.virtual_time import run

try:
    from airflow.triggers.shared_stream import SharedStreamManager
except ImportError:  # before Airflow 3.3
    SharedStreamManager = None

HOUR = timedelta(hours=1)
INTERVAL = 60.0


class AssetState(dict[str, Any]):
    """An asset's state as in Airflow 3.3: it survives restarts of the triggerer."""

    def __init__(self) -> None:
        self.is_broken = False

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        if self.is_broken:
            raise RuntimeError("the API server is away")
        self[key] = value


class Triggerer:
    """Runs triggers as a triggerer does, with Airflow's manager of shared streams if it has one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.streams = None if SharedStreamManager is None else SharedStreamManager()
        self.sent: list[tuple[str, str, str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, state: AssetState | None = None, **arguments: Any) -> None:
        """Start a trigger from its serialized form."""
        _, kwargs = BMCampaignEventTrigger(**{"poke_interval": INTERVAL, **arguments}).serialize()
        trigger = BMCampaignEventTrigger(**kwargs)
        trigger.asset_state_store = state
        self.tasks.append(asyncio.create_task(self._run(trigger)))

    async def _run(self, trigger: BMCampaignEventTrigger) -> None:
        key, number = trigger.shared_stream_key(), id(trigger)
        if self.streams is None or key is None:
            await self._collect(trigger.run())
            return
        try:
            stream = self.streams.subscribe(trigger_id=number, trigger=trigger, key=key)
            await self._collect(trigger.filter_shared_stream(stream))
        finally:
            await self.streams.unsubscribe(number, key)

    async def _collect(self, events: AsyncIterator[TriggerEvent]) -> None:
        async for event in events:
            campaign = event.payload["campaign"]
            self.sent.append((event.payload["event"], campaign["uuid"], campaign["last_dt"]))

    async def polls(self, number: int = 3) -> None:
        """Wait for this number of intervals."""
        await asyncio.sleep(number * 1.1 * INTERVAL + 1)
        assert not [task for task in self.tasks if task.done()], "a trigger has ended"

    async def next_events(self) -> list[tuple[str, str, str]]:
        """Return the events of the next polls, each once."""
        await self.polls()
        sent, self.sent = self.sent, []
        return sent

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []


def run_triggerer(main: Callable[[Triggerer], Awaitable[None]], sandbox: Sandbox) -> None:
    """Run a test's coroutine with a triggerer that ends with it."""

    async def with_triggerer() -> None:
        triggerer = Triggerer(sandbox)
        try:
            await main(triggerer)
        finally:
            await triggerer.stop()

    run(with_triggerer())
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
