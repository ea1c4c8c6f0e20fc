"""The watcher that waits for many campaigns."""

from __future__ import annotations

import asyncio
from datetime import datetime

from airflow_provider_bm.campaigns.wait_condition import Verdict
from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.polling.timing import DEFAULT_TIMING, PollTiming
from airflow_provider_bm.polling.watcher import Found, Watcher
from airflow_provider_bm.waiting.batch import BatchWait


class BatchWaiter(Watcher):
    """Waits until a :class:`.BatchWait` is over, or the deadline has passed.

    :param wait: the wait
    :param interval: seconds between two polls
    :param deadline: time of the final poll; None: never
    :param timing: limits of interval and pauses
    """

    def __init__(
        self,
        wait: BatchWait,
        *,
        interval: float,
        deadline: datetime | None = None,
        timing: PollTiming = DEFAULT_TIMING,
    ) -> None:
        super().__init__(interval=interval, deadline=deadline, timing=timing)
        self.wait = wait
        self._polled_at_deadline: set[str] = set()
        self._end: asyncio.Future[Verdict | Exception] = asyncio.get_running_loop().create_future()

    def campaign_ids(self) -> frozenset[str]:
        """Return the campaigns that have not ended yet."""
        return self.wait.open_campaigns

    def on_result(self, found: Found) -> Verdict | None:
        """Return the verdict if the wait is over."""
        if isinstance(found, BMError):
            self.wait.observe_failure(found)
        else:
            for uuid, result in found.items():
                self.wait.observe(uuid, result)
                if self.is_final_poll():
                    self._polled_at_deadline.add(uuid)
        if not self.wait.is_over:
            if not self.is_final_poll():
                return None
            if not isinstance(found, BMError) and not self.wait.open_campaigns <= self._polled_at_deadline:
                return None
        return self.wait.verdict()

    def deliver(self, result: Verdict | Exception) -> None:
        """Store the end of the wait."""
        if not self._end.done():
            self._end.set_result(result)

    async def verdict(self, max_wait: float | None = None) -> Verdict | None:
        """Wait for the end: done, failed, or still waiting at the deadline.

        :param max_wait: maximum seconds to wait; None: no limit
        :return: the verdict, or None if the wait has not ended by then
        :raises Exception: what the last poll raised
        """
        done, _ = await asyncio.wait({self._end}, timeout=max_wait)
        if not done:
            return None
        end = self._end.result()
        if isinstance(end, Exception):
            raise end
        return end
