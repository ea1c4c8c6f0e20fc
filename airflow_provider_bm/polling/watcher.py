"""What a poller looks for, and whom it tells."""

from __future__ import annotations

import contextvars
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.polling.back_off import pause_after

if TYPE_CHECKING:
    from airflow_provider_bm.client.filters import CampaignFilter
    from airflow_provider_bm.polling.poller import Poller

#: Seconds between two looks at the least.
SHORTEST_INTERVAL = 0.1

#: Campaigns by UUID, or why one could not be read; or why nothing could be.
Found = Mapping[str, dict[str, Any] | BMError] | BMError


class Watcher(ABC):
    """Somebody who wants to know about campaigns.

    :param interval: seconds between two looks
    :param deadline: when the last look is due at the latest; None: never
    :param fields: optional parts of the campaigns: ``tasks``, ``messages``
    """

    #: Campaigns to find by a list, instead of by UUID.
    listing: CampaignFilter | None = None
    #: Who looks for it; may change meanwhile.
    poller: Poller

    def __init__(
        self, *, interval: float, deadline: datetime | None = None, fields: tuple[str, ...] = ()
    ) -> None:
        self.interval = max(SHORTEST_INTERVAL, interval)
        self.deadline = deadline
        self.fields = tuple(sorted({*fields}))
        #: Logs of a look belong to whoever watches.
        self.context = contextvars.copy_context()
        self.joined_at = time.monotonic()
        self.looked_at: float | None = None
        #: When the look was begun whose answer is taken; None before the first.
        self.asked_at: datetime | None = None
        #: The same by the server's clock; not before the first.
        self.asked_there_at: datetime
        #: When a look has brought an answer; before the first, when it joined.
        self.answered_at = self.joined_at
        self._failures = 0
        #: Seconds between two looks: more than the interval, while only its own looks fail.
        self.pause = self.interval

    @abstractmethod
    def wanted(self) -> frozenset[str]:
        """Campaigns to read by their UUID; with a ``listing``, those that must be read if it lacks them."""

    @abstractmethod
    def take(self, found: Found) -> Any:
        """Look at what was found; called in the poller's thread, in the watcher's own context.

        :param found: holds every wanted campaign
        :return: what to tell, if there is anything
        """

    @abstractmethod
    def tell(self, news: Any) -> None:
        """Take what :meth:`take` returned or raised; called on the event loop."""

    def looked(self, *, failed: bool) -> None:
        """Note how a look of its own went.

        :param failed: for a reason that may be its own, be it that it passes or not
        """
        if failed or self._failures:
            self._failures = self._failures + 1 if failed else 0
            self.pause = pause_after(self._failures, self.interval)

    def leave(self) -> None:
        """Be looked for no longer."""
        self.poller.leave(self)

    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and datetime.now(UTC) >= self.deadline

    def looked_last(self) -> bool:
        """Whether the look that is taken was begun at the deadline or later, and so is the last one."""
        return self.deadline is not None and self.asked_at is not None and self.asked_at >= self.deadline
