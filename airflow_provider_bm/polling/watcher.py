"""The interface between a poller and those that receive its results."""

from __future__ import annotations

import asyncio
import contextvars
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.polling.timing import DEFAULT_TIMING, PollTiming

#: A campaign or an error for each UUID; or one error if nothing could be read.
Found = Mapping[str, dict[str, Any] | BMError] | BMError


class Watcher(ABC):
    """Watches campaigns through a poller. Created on the event loop that it belongs to.

    :param interval: seconds between two polls
    :param deadline: time of the final poll; None: never. Converted to the loop's monotonic time, so that
        changes of the system clock have no effect.
    :param fields: optional parts of the campaigns: ``tasks``, ``messages``
    :param poll_at_once: do not wait for the interval before the first poll; False if the campaign was just
        polled
    :param timing: limits of interval and pauses
    """

    #: The list to read campaigns from, instead of reading them by UUID.
    listing: CampaignFilter | None = None

    def __init__(
        self,
        *,
        interval: float,
        deadline: datetime | None = None,
        fields: tuple[str, ...] = (),
        poll_at_once: bool = False,
        timing: PollTiming = DEFAULT_TIMING,
    ) -> None:
        self._poll_at_once = poll_at_once
        self._time = asyncio.get_running_loop().time
        self._timing = timing
        self.interval = max(timing.min_interval, interval)
        self.fields = tuple(sorted({*fields}))
        #: Log records of a poll belong to the task that watches.
        self.context = contextvars.copy_context()
        self.joined_at = self._time()
        #: Deadline in the loop's time.
        self.deadline: float | None = None
        if deadline is not None:
            self.deadline = self.joined_at + (deadline - datetime.now(UTC)).total_seconds()
        #: When the last poll ended; None before the first.
        self.polled_at: float | None = None
        #: When the poll with the latest result began.
        self.poll_began_at = self.joined_at
        #: The same by the server's clock; set before the first result.
        self.server_time: datetime
        #: When a poll last succeeded; before that, when the watcher joined.
        self.answered_at = self.joined_at
        self._failures = 0
        #: Seconds between two polls: longer than the interval while only this watcher's polls fail.
        self.pause = self.interval

    @abstractmethod
    def campaign_ids(self) -> frozenset[str]:
        """Return the campaigns to read by UUID; with a ``listing``, only if the list lacks them."""

    @abstractmethod
    def on_result(self, found: Found) -> Any:
        """Evaluate the result of a poll. Called in the poller's thread, in the watcher's context.

        :param found: contains every campaign of :meth:`campaign_ids`
        :return: what to deliver; None: nothing
        """

    @abstractmethod
    def deliver(self, result: Any) -> None:
        """Receive what :meth:`on_result` returned or raised. Called on the event loop."""

    def record_attempt(self, *, failed: bool) -> None:
        """Record a poll of this watcher's own campaigns; the pause grows with consecutive failures.

        :param failed: whether it failed for a reason that may concern only this watcher
        """
        if failed or self._failures:
            self._failures = self._failures + 1 if failed else 0
            self.pause = self._timing.pause_after(self._failures, self.interval)

    @property
    def urgent_at(self) -> float:
        """When a poll is due that cannot wait for the next full round: the first, or the final poll."""
        if self._poll_at_once and self.polled_at is None:
            return self.joined_at
        return math.inf if self.deadline is None else self.deadline

    def is_urgent(self) -> bool:
        """Return whether such a poll is due now."""
        return self._time() >= self.urgent_at

    def is_final_poll(self) -> bool:
        """Return whether the poll that is being evaluated began at the deadline or later."""
        return (
            self.deadline is not None and self.polled_at is not None and self.poll_began_at >= self.deadline
        )

    def next_poll_at(self, stretch: float) -> float:
        """Return when the next poll is due, in the loop's time.

        :param stretch: factor by which the pause may be longer
        """
        last = self.joined_at if self.polled_at is None else self.polled_at
        return last + self.pause * stretch
