"""Triggers that wait as in a triggerer, and what they send."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from airflow_provider_bm.polling import registry
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.triggers import BMCampaignTrigger

LISTS = r"/campaigns$"
#: Seconds between two looks, unless a test says otherwise.
INTERVAL = 0.04


class Sent(NamedTuple):
    """A request as it left."""

    method: str
    url: str
    thread: threading.Thread
    at: float

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def uuids(self) -> list[str]:
        """The campaigns that it asks for."""
        path = urlsplit(self.url).path
        if path.endswith("/campaigns"):
            return self.query.get("in(uuid)", "").split(",")
        return [path.rpartition("/")[2]]


class Wire(list[Sent]):
    """All requests that left, in their order."""

    @property
    def lists(self) -> list[Sent]:
        return [one for one in self if urlsplit(one.url).path.endswith("/campaigns")]

    @property
    def singles(self) -> list[Sent]:
        return [one for one in self if "/campaigns/" in urlsplit(one.url).path]

    @property
    def looks(self) -> list[Sent]:
        return [one for one in self if one.method == "GET"]

    def gaps(self, requests_a_round: int = 1) -> list[float]:
        """Seconds between the first requests of rounds."""
        first = [one.at for one in self.looks][::requests_a_round]
        return [later - earlier for earlier, later in pairwise(first)]


def active(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.create(status="active")["uuid"] for _ in range(count)]


def finished(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.create(status="finished")["uuid"] for _ in range(count)]


def waiting(uuid: str, **arguments: Any) -> BMCampaignTrigger:
    return BMCampaignTrigger(campaign_uuid=uuid, **{"poke_interval": INTERVAL, **arguments})


async def event_of(trigger: BMCampaignTrigger) -> dict[str, Any]:
    """What a trigger says, as Airflow runs it."""
    events = trigger.run()
    event = await anext(events)
    await events.aclose()
    return event.payload


def start(*triggers: BMCampaignTrigger) -> list[asyncio.Task[dict[str, Any]]]:
    return [asyncio.create_task(event_of(trigger)) for trigger in triggers]


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of what another thread does
            await asyncio.sleep(0.005)


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def events_of(*triggers: BMCampaignTrigger) -> list[Any]:
    """What triggers of one process say; those that raise: what."""

    async def main() -> list[Any]:
        async with asyncio.timeout(20):
            return await asyncio.gather(*start(*triggers), return_exceptions=True)

    return asyncio.run(main())


def states(events: list[Any]) -> list[str]:
    return [event["state"] for event in events]


def page(rows: list[dict[str, Any]], pages: int = 1) -> dict[str, Any]:
    """The answer to a list."""
    pagination = {
        "total": len(rows),
        "count": len(rows),
        "perPage": max(1, len(rows)),
        "currentPage": 1,
        "totalPages": pages,
        "links": {},
    }
    return {"data": rows, "meta": {"pagination": pagination}}


def rows(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {row["uuid"]: row for row in sandbox.campaigns()}


def pollers() -> list[Any]:
    """All there are; one may be known by several names."""
    return [*{poller for held in registry._pollers.values() for poller in held.values()}]


def poller_threads() -> list[threading.Thread]:
    gc.collect(0)
    return [thread for thread in threading.enumerate() if thread.name.startswith("bm-poller")]


def eventually(condition: Callable[[], Any], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())
