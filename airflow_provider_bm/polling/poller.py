"""The poller: when to look, for whom, and what to do if that fails."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.polling.rounds import Ended, News, Rounds, Stop
from airflow_provider_bm.polling.watcher import Watcher

log = logging.getLogger(__name__)
T = TypeVar("T")

#: A round comes up to this much later than the interval says, so that many pollers do not ask at once.
_JITTER = 0.1
#: After failed rounds the pause doubles, up to this many seconds (or the interval, if that is longer).
_LONGEST_BACK_OFF = 300.0
#: Watchers whose deadline passes within so many seconds share a last look.
_LAST_LOOKS = 5.0
#: Seconds after which the Airflow connection is looked at again: a person may have changed it.
_CONNECTION_AGE = 600.0
_NEVER = datetime.max.replace(tzinfo=UTC)


class Poller:
    """Looks for all who wait on one service: one client, one thread, one round for each interval.

    Lives on one event loop, from the first watcher to the last, and never blocks it.

    :param settings: reads the connection; awaited on the loop
    :param connect: makes a client of it; waits between tries with the function that it is given
    :param ended: called when the last watcher has left
    """

    def __init__(
        self,
        settings: Callable[[], Awaitable[BMSettings]],
        connect: Callable[[BMSettings, Callable[[float], None]], BMClient],
        ended: Callable[[], None],
    ) -> None:
        self._settings, self._connect, self._ended = settings, connect, ended
        self._loop = asyncio.get_running_loop()
        self._watchers: dict[Watcher, None] = {}
        self._rounds: Rounds | None = None
        self._read_at = 0.0
        self._shortest, self._earliest = math.inf, _NEVER
        self._failures = 0
        self._asked_to_wait = 0.0
        self._jitter = _draw()
        # Whoever joins has just looked.
        self._looked_at = time.monotonic()
        self._stop = Stop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bm-poller")
        self._changed = asyncio.Event()
        # In a context of its own: its logs belong to none of the tasks that wait.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    def join(self, watcher: Watcher) -> None:
        """Look for a watcher from now on."""
        self._watchers[watcher] = None
        sooner = watcher.deadline is not None and watcher.deadline < self._earliest
        if sooner or watcher.interval < self._shortest:
            self._changed.set()

    def leave(self, watcher: Watcher) -> None:
        """Look for it no longer; close everything after the last one."""
        if self._watchers.pop(watcher, self) is self or self._watchers:
            return
        self._ended()
        self._stop.set()
        self._task.cancel()
        if self._rounds is not None:
            # After what the thread is doing just now, which nobody can interrupt.
            self._thread.submit(self._rounds.client.close)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            await self._pause()
            watchers = self._due()
            error: Exception | None
            try:
                error = await self._round(watchers)
            except Exception as unforeseen:
                log.exception("A round of looks at %d campaigns has failed", len(watchers))
                error = unforeseen
                self._tell([(watcher, unforeseen) for watcher in watchers])
            self._failures = 0 if error is None else self._failures + 1
            self._asked_to_wait = getattr(error, "retry_after", None) or 0.0
            self._jitter, self._looked_at = _draw(), time.monotonic()

    async def _pause(self) -> None:
        while (pause := self._next() - time.monotonic()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _next(self) -> float:
        """When the next round is due."""
        self._shortest = min((watcher.interval for watcher in self._watchers), default=math.inf)
        self._earliest = min(
            (watcher.deadline for watcher in self._watchers if watcher.deadline is not None), default=_NEVER
        )
        interval = self._shortest * self._jitter
        if self._failures:
            # Nobody's deadline makes it faster.
            back_off = min(interval * 2.0 ** (self._failures - 1), max(interval, _LONGEST_BACK_OFF))
            return self._looked_at + max(back_off, self._asked_to_wait)
        together = min(_LAST_LOOKS, interval)
        last_looks = time.monotonic() + (self._earliest - datetime.now(UTC)).total_seconds() + together
        return self._looked_at + min(interval, max(together, last_looks - self._looked_at))

    def _due(self) -> list[Watcher]:
        """Whom to look for in this round: all who would be late in the next."""
        now, moment = time.monotonic(), datetime.now(UTC)
        interval = self._shortest * self._jitter

        def is_due(watcher: Watcher) -> bool:
            if watcher.deadline is not None and watcher.deadline <= moment:
                return True
            if watcher.looked_at is None:
                return watcher.joined_at + watcher.interval <= now + interval
            return watcher.looked_at + watcher.interval <= now + interval / 2

        return [watcher for watcher in self._watchers if is_due(watcher)]

    async def _round(self, watchers: list[Watcher]) -> Exception | None:
        """Look once for each of them, and tell all whom it concerns how it ended."""
        try:
            rounds = await self._connected(again=self._failures > 0)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is theirs
            self._tell([(watcher, error) for watcher in self._watchers])
            return error
        unread, failure = await self._in_thread(rounds.look, watchers)
        if failure is not None and failure.permanent:
            # A new secret, say, is in the connection already.
            changed = await self._connected(again=True)
            if changed is not rounds:
                unread, failure = await self._in_thread(changed.look, unread)
        if failure is not None:
            concerned = list(self._watchers) if failure.permanent else unread
            await self._in_thread(rounds.fail, concerned, failure)
        return failure

    async def _connected(self, *, again: bool) -> Rounds:
        """The client to look with; of a connection that was read not too long ago.

        :param again: read it now
        """
        if self._rounds is not None and not again and time.monotonic() < self._read_at + _CONNECTION_AGE:
            return self._rounds
        try:
            settings = await self._settings()
        except Exception:
            if self._rounds is None:
                raise
            log.warning("The connection could not be read again; going on with what it was", exc_info=True)
            return self._rounds
        self._read_at = time.monotonic()
        if self._rounds is None or settings != self._rounds.client.settings:
            if self._rounds is not None:
                self._thread.submit(self._rounds.client.close)
            self._rounds = Rounds(self._connect(settings, self._stop.sleep), self._stop, self._from_thread)
        return self._rounds

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._thread, call, *arguments)

    def _from_thread(self, news: News) -> None:
        try:
            self._loop.call_soon_threadsafe(self._tell, news)
        except RuntimeError:  # the loop is closed
            raise Ended from None

    @staticmethod
    def _tell(news: News) -> None:
        for watcher, told in news:
            watcher.tell(told)


def _draw() -> float:
    return random.uniform(1.0, 1.0 + _JITTER)
