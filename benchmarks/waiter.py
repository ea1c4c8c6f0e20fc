"""The process that waits: triggers on one event loop, as in the triggerer, and a ticker."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

import psutil

from benchmarks.child import answer, take_stdout
from benchmarks.ways import WAYS, Site, Way

TICK = 0.01
IDLE_SECONDS = 5.0


class Waiter:
    """Runs triggers of one kind, and measures their cost."""

    way: Way
    site: Site
    interval: float
    uuids: list[str]

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.worst_lag = 0.0
        self.fired: list[float] = []
        self.failed: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.ticking = asyncio.create_task(self.tick())

    async def tick(self) -> None:
        """Measure the lag of the loop: how much longer a sleep takes than requested."""
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self.worst_lag = max(self.worst_lag, time.monotonic() - due)

    async def prepare(
        self,
        way: str,
        uuids: list[str],
        ended: str,
        service: str,
        campaigns: str,
        token: str,
        interval: float,
    ) -> dict[str, Any]:
        """Wait once, so that late imports are done, then measure the idle loop."""
        self.way, self.site = WAYS[way], Site(service=service, campaigns=campaigns, token=token)
        self.uuids, self.interval = uuids, interval
        await self.watch(self.way.make(self.site, ended, 0.1))
        self.fired.clear()
        gc.collect()
        await asyncio.sleep(10 * TICK)
        await self.mark()
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(IDLE_SECONDS)
        rate = (time.process_time() - cpu) / (time.monotonic() - began)
        return {**await self.mark(), "cpu_rate": rate}

    async def watch(self, trigger: Any) -> None:
        """Run a trigger as Airflow's triggerer does (``TriggerRunner.run_trigger``)."""
        import greenback

        await greenback.ensure_portal()
        try:
            async for event in trigger.run():
                if not self.way.done(event.payload):
                    self.failed.append(f"unexpected event: {event.payload}")
                break
        except Exception as error:
            self.failed.append(repr(error))
        self.fired.append(time.monotonic())

    async def start(self) -> dict[str, Any]:
        """Start one trigger for each campaign, all at once, as the triggerer does."""
        for uuid in self.uuids:
            await asyncio.sleep(0)
            task = asyncio.create_task(self.watch(self.way.make(self.site, uuid, self.interval)))
            self.tasks.add(task)
        return await self.mark()

    async def mark(self) -> dict[str, Any]:
        """Return the resources used so far. The worst lag is that since the last mark."""
        lag, self.worst_lag = self.worst_lag, 0.0
        return {
            "at": time.monotonic(),
            "cpu": time.process_time(),
            "lag": lag,
            "rss": self.process.memory_info().rss,
            "threads": self.process.num_threads(),
            "fired": len(self.fired),
            "failed": self.failed[:3],
        }

    async def outcome(self) -> dict[str, Any]:
        """Return when each trigger fired, after all have."""
        await asyncio.wait(self.tasks)
        return {"fired": sorted(self.fired), "failed": self.failed[:3]}


def prepare_process() -> TextIO:
    """Imitate a triggerer: its imports, and its logging, which is discarded here."""
    answers = take_stdout()
    logging.basicConfig(level=logging.INFO, filename=os.devnull, force=True)
    import airflow.jobs.triggerer_job_runner  # noqa: F401

    return answers


async def main(answers: TextIO) -> None:
    waiter = Waiter()
    with ThreadPoolExecutor(1) as reading:
        while line := await asyncio.get_running_loop().run_in_executor(reading, sys.stdin.readline):
            arguments = json.loads(line)
            answer(answers, await getattr(waiter, arguments.pop("command"))(**arguments))


if __name__ == "__main__":
    asyncio.run(main(prepare_process()))
