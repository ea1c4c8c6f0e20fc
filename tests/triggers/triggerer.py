"""A triggerer that runs event triggers on the test's own loop, and what they watch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.triggers import BMCampaignEventTrigger

try:
    from airflow.triggers.shared_stream import SharedStreamManager
except ImportError:  # before Airflow 3.3
    SharedStreamManager = None

HOUR = timedelta(hours=1)
INTERVAL = 0.1


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
