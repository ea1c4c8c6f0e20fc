"""The poller: when to look, for whom, and what to do if that fails."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMError, BMForbiddenError, BMRateLimitError
from airflow_provider_bm.polling.back_off import pause_after
from airflow_provider_bm.polling.round import Ended, News, Outcome, Rounds, Stop, question_of
from airflow_provider_bm.polling.watcher import Watcher
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

log = logging.getLogger(__name__)
T = TypeVar("T")

#: A round comes up to this much later than the interval says, so that many pollers do not ask at once.
_JITTER = 0.1
#: A server that asks for a longer wait is asked again after this many seconds: some watch for ever.
_LONGEST_RETRY_AFTER = 3600.0
#: Watchers whose deadline passes within so many seconds share a last look.
_LAST_LOOKS = 5.0
#: A server that is down is spared for so many seconds at the most, if somebody's deadline passes meanwhile.
_LONGEST_SPARED = 60.0
#: Seconds after which the Airflow connection is looked at again: a person may have changed it.
_CONNECTION_AGE = 600.0
#: Seconds that Airflow may take to hand it out.
_LONGEST_READ = 60.0
_NEVER = datetime.max.replace(tzinfo=UTC)


class Poller:
    """Looks for all who wait on one service: one client, one thread, one round for each interval.

    Lives on one event loop, from the first watcher to the last, and never blocks it.

    :param settings: reads the connection; awaited on the loop
    :param connect: makes a client of it, with ``sleep`` and ``check`` as :class:`.BMClient` has them
    :param known_as: told the service, once it is known; gives the poller that looks there, be it this one
    :param ended: called when the last watcher has left
    """

    def __init__(
        self,
        settings: Callable[[], Awaitable[BMSettings]],
        connect: Callable[..., BMClient],
        *,
        known_as: Callable[[str | None], Poller],
        ended: Callable[[], object],
    ) -> None:
        self._settings, self._connect, self._known_as, self._ended = settings, connect, known_as, ended
        self._loop = asyncio.get_running_loop()
        self._watchers: dict[Watcher, None] = {}
        self._rounds: Rounds | None = None
        self._read_at = 0.0
        #: When the connection could not be read: as many times in a row as are put up with, and once more.
        self._read_in_vain: deque[float] = deque(maxlen=TOLERATED_FAILURES + 1)
        self._shortest, self._earliest = math.inf, _NEVER
        self._failures = 0
        #: Whether nobody was answered in the last round.
        self._in_vain = False
        self._asked_to_wait = 0.0
        self._jitter = _draw()
        # Whoever joins has just looked. A round of last looks does not put off the next one for all.
        self._looked_at = self._all_looked_at = time.monotonic()
        #: The interval that was kept to in the last round for all: the next one is never closer.
        self._kept = 0.0
        self._stop = Stop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bm-poller")
        self._changed = asyncio.Event()
        # In a context of its own: its logs belong to none of the tasks that wait.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    def join(self, watcher: Watcher) -> None:
        """Look for a watcher from now on."""
        self._watchers[watcher] = None
        watcher.poller = self
        sooner = watcher.deadline is not None and watcher.deadline < self._earliest
        if sooner or watcher.interval < self._shortest:
            self._changed.set()

    def leave(self, watcher: Watcher) -> None:
        """Look for it no longer; close everything after the last one."""
        if self._watchers.pop(watcher, self) is self or self._watchers:
            return
        self._ended()
        self._stop.set()
        if self._rounds is not None:
            # After what the thread is doing just now, which nobody can interrupt.
            self._thread.submit(self._rounds.client.close)
        self._thread.shutdown(wait=False)
        if not self._loop.is_closed():
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._pause()
            for_all = time.monotonic() >= self._next_for_all()
            watchers = self._due(for_all=for_all)
            if not watchers:
                # Who was due has left. It says nothing of the server.
                self._looked_at = time.monotonic()
                continue
            try:
                outcome = await self._round(watchers)
            except Exception as unforeseen:
                log.exception("A round of looks at %d campaigns has failed", len(watchers))
                outcome = Outcome(error=unforeseen)
                self._tell([(watcher, unforeseen) for watcher in watchers])
            # If some were read, the server is there: others may fail for ever, and must not slow them down.
            error, self._in_vain = outcome.error, outcome.in_vain
            self._failures = 0 if error is None else self._failures + 1 if self._in_vain else 1
            # A rate limit is for all; else it may be the affair of one campaign.
            asked = getattr(error, "retry_after", None) if self._in_vain or _is_rate_limit(error) else None
            self._asked_to_wait = min(asked or 0.0, _LONGEST_RETRY_AFTER)
            self._looked_at = time.monotonic()
            if for_all:
                self._kept = self._interval
                self._jitter, self._all_looked_at = _draw(), self._looked_at

    async def _pause(self) -> None:
        while (pause := self._next() - time.monotonic()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    @property
    def _interval(self) -> float:
        return self._shortest * self._jitter

    def _next(self) -> float:
        """When the next round is due."""
        self._shortest = min((watcher.pause for watcher in self._watchers), default=math.inf)
        self._earliest = min(
            (watcher.deadline for watcher in self._watchers if watcher.deadline is not None), default=_NEVER
        )
        interval = self._interval
        together = min(_LAST_LOOKS, interval)
        last_looks = time.monotonic() + (self._earliest - datetime.now(UTC)).total_seconds() + together
        spared = min(pause_after(self._failures, interval), _LONGEST_SPARED) if self._in_vain else together
        earliest = self._looked_at + max(spared, self._asked_to_wait)
        return max(earliest, min(self._next_for_all(), last_looks))

    def _next_for_all(self) -> float:
        if self._failures:
            return self._all_looked_at + pause_after(self._failures, self._interval)
        # Who was left out, since others looked more often, is not late once these have left.
        due = min((_due_at(watcher, self._jitter) for watcher in self._watchers), default=math.inf)
        return min(self._all_looked_at + self._interval, max(due, self._all_looked_at + self._kept))

    def _due(self, *, for_all: bool) -> list[Watcher]:
        """Whom to look for in this round.

        :param for_all: all who would be late in the next; else only those whose deadline has passed
        """
        next_round = time.monotonic() + self._shortest * (1.0 + _JITTER)

        def is_due(watcher: Watcher) -> bool:
            if watcher.overdue():
                return True
            return for_all and _due_at(watcher, 1.0 + _JITTER) <= next_round

        return [watcher for watcher in self._watchers if is_due(watcher)]

    async def _round(self, watchers: list[Watcher]) -> Outcome:
        """Look once for each of them, and tell all whom it concerns how it ended."""
        try:
            rounds = await self._connected(again=self._failures > 0)
        except Exception as error:
            told = [(watcher, error) for watcher in self._watchers if self._is_final(error, watcher)]
            self._tell(told)
            if len(told) < len(self._watchers):
                # Airflow's API server, say, is being restarted: whoever waits has looked before.
                log.warning("The connection could not be read; trying again", exc_info=True)
            return Outcome(error=error)
        outcome = await self._in_thread(rounds.look, watchers)
        if outcome.permanent is not None:
            # A new secret, say, is in the connection already.
            changed = await self._connected(again=True)
            if changed is not rounds:
                answered = outcome.answered
                outcome = await self._in_thread(changed.look, outcome.unread)
                outcome.answered |= answered
        if isinstance(outcome.error, BMError) and outcome.error.permanent and not outcome.answered:
            # Whose turn it was not will not fare better; but others may be allowed what these are not.
            asked = {question_of(watcher) for watcher in outcome.unread}
            is_for_all = outcome.error.of_token or not isinstance(outcome.error, BMForbiddenError)
            others = [one for one in self._watchers if is_for_all or question_of(one) in asked]
            outcome.unread = dict.fromkeys(others, outcome.error) | outcome.unread
        if outcome.unread:
            await self._in_thread(rounds.fail, outcome.unread)
        return outcome

    def _is_final(self, error: Exception, watcher: Watcher) -> bool:
        """Whether a watcher has to be told that the connection could not be read."""
        if isinstance(error, BMError):
            return True
        in_vain = self._read_in_vain
        return len(in_vain) == in_vain.maxlen and watcher.joined_at <= in_vain[0]

    async def _connected(self, *, again: bool) -> Rounds:
        """The client to look with; of a connection that was read not too long ago.

        :param again: read it now
        """
        if self._rounds is not None and not again and time.monotonic() < self._read_at + _CONNECTION_AGE:
            return self._rounds
        try:
            async with asyncio.timeout(_LONGEST_READ):
                settings = await self._settings()
        except Exception:
            if self._rounds is None:
                self._read_in_vain.append(time.monotonic())
                raise
            log.warning("The connection could not be read again; going on with what it was", exc_info=True)
            return self._rounds
        self._read_at = time.monotonic()
        self._read_in_vain.clear()
        if self._rounds is None:
            there = self._known_as(settings.service_uuid)
            if there is not self:
                await self._hand_over(there)
        else:
            # Whatever service the connection leads to by now: the campaigns are in the one of the beginning.
            settings = replace(settings, service_uuid=self._rounds.client.settings.service_uuid)
        if self._rounds is None or settings != self._rounds.client.settings:
            if self._rounds is not None:
                self._thread.submit(self._rounds.client.close)
            client = self._connect(settings, sleep=self._stop.sleep, check=self._stop.check)
            self._rounds = Rounds(client, self._from_thread)
        return self._rounds

    async def _hand_over(self, other: Poller) -> NoReturn:
        """Let another poller look for all, which ends this one."""
        for watcher in list(self._watchers):
            other.join(watcher)
            self.leave(watcher)
        await asyncio.sleep(math.inf)  # the last one has cancelled this task
        raise AssertionError("a poller without watchers goes on")

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


def _due_at(watcher: Watcher, stretch: float) -> float:
    """When its next look is due.

    :param stretch: how much longer than its interval it may take
    """
    last = watcher.joined_at if watcher.looked_at is None else watcher.looked_at
    return last + watcher.pause * stretch


def _is_rate_limit(error: Exception | None) -> bool:
    return isinstance(error, BMRateLimitError)


def _draw() -> float:
    return random.uniform(1.0, 1.0 + _JITTER)
