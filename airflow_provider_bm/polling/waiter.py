"""The watcher that waits for one campaign."""

from __future__ import annotations

import asyncio
from datetime import datetime
from types import TracebackType

from airflow_provider_bm.campaigns.wait_condition import Verdict
from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.polling.timing import DEFAULT_TIMING, PollTiming
from airflow_provider_bm.polling.watcher import Found, Watcher
from airflow_provider_bm.waiting.wait import CampaignWait


class CampaignWaiter(Watcher):
    """Waits until a :class:`.CampaignWait` is done, has failed, or the deadline has passed.

    :param wait: the wait
    :param interval: seconds between two polls
    :param deadline: time of the final poll; None: never
    :param max_interval: the interval doubles after each poll, up to this many seconds; None: it is constant
    :param poll_at_once: do not wait for the interval before the first poll
    :param timing: limits of interval and pauses
    """

    def __init__(
        self,
        wait: CampaignWait,
        *,
        interval: float,
        deadline: datetime | None = None,
        max_interval: float | None = None,
        poll_at_once: bool = False,
        timing: PollTiming = DEFAULT_TIMING,
    ) -> None:
        super().__init__(
            interval=interval,
            deadline=deadline,
            fields=tuple(wait.fields),
            poll_at_once=poll_at_once,
            timing=timing,
        )
        self._max_interval = max_interval
        self.wait = wait
        self._campaign_ids = frozenset({wait.campaign_uuid})
        self._traceback: TracebackType | None = None
        self._end: asyncio.Future[Verdict | Exception] = asyncio.get_running_loop().create_future()

    def campaign_ids(self) -> frozenset[str]:
        """Return the campaign."""
        return self._campaign_ids

    def on_result(self, found: Found) -> Verdict | None:
        """Return the verdict if the wait is over."""
        verdict = self.wait.observe(found if isinstance(found, BMError) else found[self.wait.campaign_uuid])
        if verdict.state != "waiting" or self.is_final_poll():
            return verdict
        if self._max_interval is not None:
            self.interval = min(2 * self.interval, max(self.interval, self._max_interval))
            self.pause = max(self.pause, self.interval)
        return None

    def deliver(self, result: Verdict | Exception) -> None:
        """Store the end of the wait."""
        if not self._end.done():
            self._traceback = result.__traceback__ if isinstance(result, Exception) else None
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
            # Other waits may raise the same error, and each raise would extend its traceback.
            raise end.with_traceback(self._traceback)
        return end
