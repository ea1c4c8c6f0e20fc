"""The watcher that waits for the end of one campaign."""

from __future__ import annotations

import asyncio
from datetime import datetime
from types import TracebackType

from airflow_provider_bm.campaigns.wait_condition import Verdict
from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.polling.watcher import Found, Watcher
from airflow_provider_bm.waiting.wait import CampaignWait


class CampaignWaiter(Watcher):
    """Waits until a :class:`.CampaignWait` is done, has failed, or time is up.

    :param wait: the wait
    :param interval: seconds between two looks
    :param deadline: time after which it gives up; None: never
    """

    def __init__(self, wait: CampaignWait, *, interval: float, deadline: datetime | None) -> None:
        super().__init__(interval=interval, deadline=deadline, fields=tuple(wait.fields))
        self.wait = wait
        self._wanted = frozenset({wait.campaign_uuid})
        self._traceback: TracebackType | None = None
        self._end: asyncio.Future[Verdict | Exception] = asyncio.get_running_loop().create_future()

    def wanted(self) -> frozenset[str]:
        """The campaign."""
        return self._wanted

    def take(self, found: Found) -> Verdict | None:
        """Decide; nothing is told before the end."""
        verdict = self.wait.observe(found if isinstance(found, BMError) else found[self.wait.campaign_uuid])
        return verdict if verdict.state != "waiting" or self.looked_last() else None

    def tell(self, news: Verdict | Exception) -> None:
        """Note the end."""
        if not self._end.done():
            self._traceback = news.__traceback__ if isinstance(news, Exception) else None
            self._end.set_result(news)

    async def verdict(self, patience: float | None) -> Verdict | None:
        """Wait for the end: done, failed, or at the deadline still waiting.

        :param patience: seconds to wait for it; None: for ever
        :return: None, if there was none in that time
        :raises Exception: what the last look has raised
        """
        done, _ = await asyncio.wait({self._end}, timeout=patience)
        if not done:
            return None
        end = self._end.result()
        if isinstance(end, Exception):
            # Others may raise the same one, and each raise would make its traceback longer.
            raise end.with_traceback(self._traceback)
        return end
