"""A deferrable trigger as most providers write it: modelled on dbt Cloud's (4.11.1, DbtCloudRunJobTrigger).

One job each, a new aiohttp session for every poll, wrapped in tenacity, one log line for each poll.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.providers.common.compat.connection import get_async_connection
from airflow.triggers.base import BaseTrigger, TriggerEvent
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

log = logging.getLogger(__name__)


class JobHook:
    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self._connection: Any = None

    async def get_status(self, path: str) -> str:
        log.info("Getting the status of %s.", path)
        if self._connection is None:
            self._connection = await get_async_connection(self.conn_id)
        headers = {
            "User-Agent": "apache-airflow-providers-jobs-v1",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._connection.password}",
        }
        async with aiohttp.ClientSession(headers=headers) as session:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(1),
                wait=wait_exponential(min=1.0, max=2),
                retry=retry_if_exception_type((aiohttp.ClientConnectorError, TimeoutError)),
                reraise=True,
            ):
                with attempt:
                    async with session.get(f"{self._connection.host}/{path}") as response:
                        response.raise_for_status()
                        return str((await response.json())["status"])
        raise AssertionError("unreachable")


class JobTrigger(BaseTrigger):
    def __init__(self, conn_id: str, path: str, poll_interval: float, end_time: float = float("inf")) -> None:
        super().__init__()
        self.conn_id, self.path = conn_id, path
        self.poll_interval, self.end_time = poll_interval, end_time

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (f"{type(self).__module__}.{type(self).__qualname__}", dict(vars(self)))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        hook = JobHook(self.conn_id)
        try:
            while True:
                now = time.time()
                status = await hook.get_status(self.path)
                if status == "finished":
                    yield TriggerEvent({"status": "success", "path": self.path})
                    return
                if self.end_time <= now:
                    yield TriggerEvent({"status": "timeout", "path": self.path})
                    return
                await asyncio.sleep(self.poll_interval)
        except Exception as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
