"""A process that waits for campaigns of the sandbox, on a virtual clock."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from airflow_provider_bm.campaigns.wait_condition import Verdict
from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.polling import registry
from airflow_provider_bm.polling.timing import PollTiming
from airflow_provider_bm.polling.waiter import CampaignWaiter
from airflow_provider_bm.polling.watcher import Watcher
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.waiting.wait import CampaignWait

LISTS = r"/campaigns$"
MINUTE = 60.0
HOUR = 3600.0


class Recorded(NamedTuple):
    """A request as it was sent."""

    method: str
    url: str
    at: float

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and self.path.endswith("/campaigns")

    @property
    def campaigns(self) -> list[str]:
        """The campaigns that it reads."""
        return self.query.get("in(uuid)", "").split(",") if self.is_list else [self.path.rpartition("/")[2]]


class Requests(list[Recorded]):
    """All requests in their order."""

    @property
    def reads(self) -> list[Recorded]:
        return [request for request in self if request.method == "GET"]

    @property
    def lists(self) -> list[Recorded]:
        return [request for request in self if request.is_list]

    @property
    def singles(self) -> list[Recorded]:
        return [request for request in self.reads if not request.is_list]

    def of(self, uuid: str) -> list[Recorded]:
        return [request for request in self.reads if uuid in request.campaigns]

    def times(self, uuid: str | None = None) -> list[float]:
        """Different times at which campaigns (or this one) were read, since the process started."""
        reads = self.reads if uuid is None else self.of(uuid)
        return sorted({round(request.at, 1) for request in reads})

    def gaps(self, uuid: str | None = None) -> list[float]:
        return [round(later - earlier, 1) for earlier, later in pairwise(self.times(uuid))]


class PollingProcess:
    """Waits for campaigns of a sandbox, as a triggerer does.

    :ivar settings: what the connection contains; changed by tests
    :ivar read_error: raised when the connection is read
    :ivar reads: how often the connection was read
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.settings = BMSettings(
            api_url=sandbox.api_url,
            token_url=sandbox.token_url,
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
            service_uuid=sandbox.service_uuid,
        )
        self.read_error: Exception | None = None
        self.reads = 0
        self.timing = PollTiming(jitter=0.0)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._started_at = 0.0

    def time(self) -> float:
        """Virtual seconds since the first subscription."""
        return 0.0 if self.loop is None else self.loop.time() - self._started_at

    async def read_settings(self) -> BMSettings:
        self.reads += 1
        if self.read_error is not None:
            raise self.read_error
        return self.settings

    def connect(
        self, settings: BMSettings, *, sleep: Callable[[float], None], check: Callable[[], None]
    ) -> BMClient:
        """Create a client that retries without pauses."""
        return BMClient(settings, sleep=lambda _: check(), check=check)

    def subscribe(
        self, watcher: Watcher, service: str | None = None, connection: str = "bm"
    ) -> AbstractContextManager[None]:
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
            self._started_at = self.loop.time()
        return registry.subscribe(
            watcher,
            key=(connection, service),
            settings=self.read_settings,
            connect=self.connect,
            timing=self.timing,
        )

    async def wait(
        self,
        uuid: str,
        *,
        interval: float = MINUTE,
        timeout: float | None = None,  # noqa: ASYNC109 - of the wait
        fields: Any = (),
        max_wait: float | None = None,
        service: str | None = None,
        **condition: Any,
    ) -> Verdict | None:
        """Wait for a campaign, as a trigger does."""
        wait = CampaignWait.validated(uuid, fields=fields, **condition)
        deadline = None if timeout is None else datetime.now(UTC) + timedelta(seconds=timeout)
        waiter = CampaignWaiter(wait, interval=interval, deadline=deadline, timing=self.timing)
        with self.subscribe(waiter, service):
            return await waiter.verdict(max_wait)

    def start(self, *uuids: str, **arguments: Any) -> list[asyncio.Task[Any]]:
        """Start waits in the background."""
        return [asyncio.create_task(self.wait(uuid, **arguments)) for uuid in uuids]


def active(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.create(status="active")["uuid"] for _ in range(count)]


def finished(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.create(status="finished")["uuid"] for _ in range(count)]


async def results(*tasks: asyncio.Task[Any]) -> list[Any]:
    """Return the state of each wait, or its error."""
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [result.state if isinstance(result, Verdict) else result for result in ended]


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait in real time for an effect of another thread."""
    stop = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop, "it did not happen"
        await asyncio.to_thread(time.sleep, 0.005)


def page(rows: list[dict[str, Any]], pages: int = 1) -> dict[str, Any]:
    """The response to a list."""
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
    """Return all pollers. One may be registered under several names."""
    return [*{poller for by_service in registry.pollers_by_loop.values() for poller in by_service.values()}]


def poller_threads() -> list[threading.Thread]:
    gc.collect(0)
    return [thread for thread in threading.enumerate() if thread.name.startswith("bm-poller")]


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())
