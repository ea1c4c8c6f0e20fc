"""The poller: when to poll, for which watchers, and what to do if it fails."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMError, BMForbiddenError, BMRateLimitError
from airflow_provider_bm.polling.round import (
    Outcome,
    PollingStopped,
    PollRound,
    Results,
    StopSignal,
    query_key,
)
from airflow_provider_bm.polling.timing import DEFAULT_TIMING, PollTiming
from airflow_provider_bm.polling.watcher import Watcher
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

log = logging.getLogger(__name__)
T = TypeVar("T")


class Subscription:
    """A watcher's membership of a poller. It follows the watcher if another poller takes over.

    :ivar poller: the poller that polls for the watcher now
    :ivar watcher: the watcher
    """

    def __init__(self, poller: Poller, watcher: Watcher) -> None:
        self.poller, self.watcher = poller, watcher

    @property
    def settings(self) -> BMSettings | None:
        """What the poller read from the connection last; None if it has not read it yet."""
        return self.poller.settings

    def leave(self) -> None:
        """End the subscription."""
        self.poller.leave(self.watcher)


class Poller:
    """Polls for all watchers of one service: one client, one thread, one round in each interval.

    Lives on one event loop, from the first watcher to the last, and never blocks it.

    :param settings: reads the connection; awaited on the loop
    :param connect: creates a client from it, with ``sleep`` and ``check`` as :class:`.BMClient` has them
    :param register: called with the service once it is known; returns the poller for that service, possibly
        this one
    :param unregister: called when the last watcher has left
    :param timing: intervals, pauses and limits
    """

    def __init__(
        self,
        settings: Callable[[], Awaitable[BMSettings]],
        connect: Callable[..., BMClient],
        *,
        register: Callable[[str | None], Poller],
        unregister: Callable[[], object],
        timing: PollTiming = DEFAULT_TIMING,
    ) -> None:
        self._settings, self._connect = settings, connect
        self._register, self._unregister = register, unregister
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._watchers: dict[Watcher, Subscription] = {}
        self._round: PollRound | None = None
        self._settings_read_at = 0.0
        #: Times of the last TOLERATED_FAILURES + 1 failed reads of the connection.
        self._failed_reads: deque[float] = deque(maxlen=TOLERATED_FAILURES + 1)
        self._shortest_pause, self._first_urgent = math.inf, math.inf
        self._failures = 0
        #: Whether the server answered no request of the last round.
        self._unanswered = False
        self._retry_after = 0.0
        self._jitter = self._random_jitter()
        # Watchers have polled just before they join. A round of final polls does not delay the next full one.
        self._polled_at = self._full_round_at = self._time()
        #: Minimum interval before the next full round: the interval before the last one.
        self._kept_interval = 0.0
        self._stop = StopSignal()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bm-poller")
        self._changed = asyncio.Event()
        # In a separate context: its log records do not belong to any of the waiting tasks.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    @property
    def settings(self) -> BMSettings | None:
        """What was read from the connection last; None before the first round."""
        return None if self._round is None else self._round.client.settings

    def join(self, watcher: Watcher) -> Subscription:
        """Poll for a watcher from now on."""
        subscription = Subscription(self, watcher)
        self._add(subscription)
        return subscription

    def leave(self, watcher: Watcher) -> None:
        """Stop polling for a watcher; close everything after the last one."""
        if self._watchers.pop(watcher, None) is None or self._watchers:
            return
        self._unregister()
        self._stop.set()
        if self._round is not None:
            # After the current request, which nothing can interrupt.
            self._thread.submit(self._round.client.close)
        self._thread.shutdown(wait=False)
        if not self._loop.is_closed():
            self._task.cancel()

    def _add(self, subscription: Subscription) -> None:
        watcher = subscription.watcher
        subscription.poller = self
        self._watchers[watcher] = subscription
        if watcher.urgent_at < self._first_urgent or watcher.interval < self._shortest_pause:
            self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._pause()
            is_full = self._time() >= self._next_full_round_at()
            watchers = self._due(is_full=is_full)
            if not watchers:
                # The watchers that were due have left; this is not a failure of the server.
                self._polled_at = self._time()
                continue
            try:
                outcome = await self._poll(watchers)
            except Exception as unexpected:
                log.exception("A round of polls for %d watchers failed", len(watchers))
                outcome = Outcome(error=unexpected)
                self._deliver([(watcher, unexpected) for watcher in watchers])
            # If some campaigns were read, the server is up: others that always fail must not slow them down.
            error, self._unanswered = outcome.error, outcome.unanswered
            self._failures = 0 if error is None else self._failures + 1 if self._unanswered else 1
            # A rate limit applies to all requests; any other Retry-After may concern a single campaign.
            for_all = self._unanswered or isinstance(error, BMRateLimitError)
            retry_after = getattr(error, "retry_after", None) if for_all else None
            self._retry_after = min(retry_after or 0.0, self._timing.max_retry_after)
            self._polled_at = self._time()
            if is_full:
                self._kept_interval = self._interval
                self._jitter, self._full_round_at = self._random_jitter(), self._polled_at

    async def _pause(self) -> None:
        while (pause := self._next_round_at() - self._time()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    @property
    def _interval(self) -> float:
        return self._shortest_pause * self._jitter

    def _next_round_at(self) -> float:
        self._shortest_pause = min((watcher.pause for watcher in self._watchers), default=math.inf)
        self._first_urgent = min((watcher.urgent_at for watcher in self._watchers), default=math.inf)
        timing, interval = self._timing, self._interval
        window = min(timing.final_poll_window, interval)
        urgent_polls = self._first_urgent + window
        least_pause = window
        if self._unanswered:
            pause = timing.pause_after(self._failures, interval)
            least_pause = min(pause, timing.max_pause_before_final_poll)
        earliest = self._polled_at + max(least_pause, self._retry_after)
        return max(earliest, min(self._next_full_round_at(), urgent_polls))

    def _next_full_round_at(self) -> float:
        if self._failures:
            return self._full_round_at + self._timing.pause_after(self._failures, self._interval)
        # A watcher that was skipped because others polled more often is not late after those have left.
        due = min((watcher.next_poll_at(self._jitter) for watcher in self._watchers), default=math.inf)
        return min(self._full_round_at + self._interval, max(due, self._full_round_at + self._kept_interval))

    def _due(self, *, is_full: bool) -> list[Watcher]:
        """Return the watchers to poll for in this round.

        :param is_full: all that would be late in the next round; else only urgent ones
        """
        longest = 1.0 + self._timing.jitter
        next_round = self._time() + self._shortest_pause * longest
        return [
            watcher
            for watcher in self._watchers
            if watcher.is_urgent() or (is_full and watcher.next_poll_at(longest) <= next_round)
        ]

    async def _poll(self, watchers: list[Watcher]) -> Outcome:
        """Poll once for each of the watchers, and deliver errors to all that they concern."""
        try:
            round_ = await self._connected(reread=self._failures > 0)
        except Exception as error:
            informed = [
                (watcher, error) for watcher in self._watchers if self._must_be_informed(watcher, error)
            ]
            self._deliver(informed)
            if len(informed) < len(self._watchers):
                # Airflow's API server is being restarted, for example.
                log.warning("The connection could not be read; trying again", exc_info=True)
            return Outcome(error=error)
        outcome = await self._in_thread(round_.poll, watchers)
        if outcome.permanent is not None:
            # A new secret, for example, may already be in the connection.
            changed = await self._connected(reread=True)
            if changed is not round_:
                answered = outcome.answered
                outcome = await self._in_thread(changed.poll, outcome.unread)
                outcome.answered |= answered
        if isinstance(outcome.error, BMError) and outcome.error.permanent and not outcome.answered:
            # Watchers that were not due would fail the same way, except that a query may be forbidden while
            # others are allowed.
            keys = {query_key(watcher) for watcher in outcome.unread}
            for_all = outcome.error.of_token or not isinstance(outcome.error, BMForbiddenError)
            others = [watcher for watcher in self._watchers if for_all or query_key(watcher) in keys]
            outcome.unread = dict.fromkeys(others, outcome.error) | outcome.unread
        if outcome.unread:
            await self._in_thread(round_.fail, outcome.unread)
        return outcome

    def _must_be_informed(self, watcher: Watcher, error: Exception) -> bool:
        """Return whether a watcher is informed that the connection could not be read."""
        if isinstance(error, BMError):
            return True
        reads = self._failed_reads
        return len(reads) == reads.maxlen and watcher.joined_at <= reads[0]

    async def _connected(self, *, reread: bool) -> PollRound:
        """Return the round of a client for the current connection.

        :param reread: read the connection now, even if it was read recently
        """
        max_age = self._timing.settings_max_age
        if self._round is not None and not reread and self._time() < self._settings_read_at + max_age:
            return self._round
        try:
            async with asyncio.timeout(self._timing.settings_timeout):
                settings = await self._settings()
        except Exception:
            if self._round is None:
                self._failed_reads.append(self._time())
                raise
            log.warning("The connection could not be read again; using what was read before", exc_info=True)
            return self._round
        self._settings_read_at = self._time()
        self._failed_reads.clear()
        if self._round is None:
            poller = self._register(settings.service_uuid)
            if poller is not self:
                await self._hand_over(poller)
        else:
            # Keep the original service even if the connection has changed: the campaigns belong to it.
            settings = replace(settings, service_uuid=self._round.client.settings.service_uuid)
        if self._round is None or settings != self._round.client.settings:
            if self._round is not None:
                self._thread.submit(self._round.client.close)
            client = self._connect(settings, sleep=self._stop.sleep, check=self._stop.check)
            self._round = PollRound(client, self._deliver_from_thread, self._time)
        return self._round

    async def _hand_over(self, other: Poller) -> NoReturn:
        """Hand all watchers over to another poller, and end this one."""
        for watcher, subscription in list(self._watchers.items()):
            other._add(subscription)
            self.leave(watcher)
        await asyncio.sleep(math.inf)  # leave() has cancelled this task
        raise AssertionError("a poller without watchers was not cancelled")

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._thread, call, *arguments)

    def _deliver_from_thread(self, results: Results) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, results)
        except RuntimeError:  # the loop is closed
            raise PollingStopped from None

    @staticmethod
    def _deliver(results: Results) -> None:
        for watcher, result in results:
            watcher.deliver(result)

    def _random_jitter(self) -> float:
        return random.uniform(1.0, 1.0 + self._timing.jitter)
