"""The watcher that never stops: it notices each execution of campaigns, or their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from airflow_provider_bm.campaigns.wait_condition import last_execution
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.exceptions import BMError, BMNotFoundError, BMResponseError
from airflow_provider_bm.polling.watcher import Found, Watcher

log = logging.getLogger(__name__)

#: Looks in a row that do not find a campaign, before it is taken for deleted.
_MOST_MISSES: Final = 3


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What of a campaign can be news.

    :ivar executed_at: its last execution, in UTC; None if there was none
    :ivar finished: whether it has come to its end
    :ivar gone: it was deleted; then there is no campaign
    """

    uuid: str
    executed_at: datetime | None
    finished: bool
    campaign: Mapping[str, Any]
    gone: bool = False

    @classmethod
    def of(cls, campaign: Mapping[str, Any]) -> Sight:
        """See a campaign (4.4).

        :raises BMResponseError: its ``last_dt`` is no time
        """
        return cls(
            uuid=campaign["uuid"],
            executed_at=last_execution(campaign),
            finished=campaign["status"] == "finished",
            campaign=campaign,
        )

    @property
    def key(self) -> tuple[datetime | None, bool]:
        """What differs if there may be news."""
        return self.executed_at, self.finished


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at the campaigns has shown.

    :ivar at: when it was begun, by the server's clock
    :ivar sights: all of them, for whoever sees them for the first time
    :ivar news: those that look otherwise than at the look before, or are gone
    """

    at: datetime
    sights: Sequence[Sight]
    news: Sequence[Sight]


class CampaignEvents(Watcher):
    """Sees the campaigns of a list, or a single one, and says which look otherwise than before.

    A campaign that leaves the list is still looked at until it is finished or deleted: with a filter by
    status, say, its end would be missed.

    :param interval: seconds between two looks
    :param campaign_uuid: the campaign; or
    :param listing: the list
    :param followed: campaigns that were in the list at other times
    """

    def __init__(
        self,
        *,
        interval: float,
        campaign_uuid: str | None = None,
        listing: CampaignFilter | None = None,
        followed: Iterable[str] = (),
    ) -> None:
        super().__init__(interval=interval)
        self.listing = listing
        self._wanted = frozenset({campaign_uuid} if campaign_uuid else followed)
        self._misses: dict[str, int] = {}
        self._seen: dict[str, tuple[datetime | None, bool]] = {}
        self._troubles: set[str] = set()
        self.looks: asyncio.Queue[Look] = asyncio.Queue()

    def wanted(self) -> frozenset[str]:
        """The campaign; or those of the list that may have left it."""
        return self._wanted

    def take(self, found: Found) -> Look | None:
        """Return what there is, and what of it looks otherwise; nothing, if nothing could be seen."""
        if isinstance(found, BMError):
            self._complain("The campaigns could not be looked at; trying again", found)
            return None
        sights, gone = [], []
        failed: dict[str, BMError] = {}
        misses, self._misses = self._misses, {}
        for uuid, one in found.items():
            try:
                if not isinstance(one, BMError):
                    sights.append(Sight.of(one))
                elif self.listing is None or not isinstance(one, BMNotFoundError):
                    failed[uuid] = one
                elif misses.get(uuid, 0) + 1 < _MOST_MISSES:
                    self._misses[uuid] = misses.get(uuid, 0) + 1
                else:
                    gone.append(Sight(uuid=uuid, executed_at=None, finished=False, campaign={}, gone=True))
            except BMResponseError as error:
                failed[uuid] = error
        for uuid, why in failed.items():
            self._complain(f"Campaign {uuid} could not be looked at; trying again", why)
        if failed and self.listing is None:
            return None
        if not failed:
            self._troubles.clear()
        before, unseen = self._seen, {*failed, *self._misses}
        self._seen = {uuid: before[uuid] for uuid in unseen if uuid in before}
        self._seen.update((sight.uuid, sight.key) for sight in sights)
        if self.listing is not None:
            unfinished = {uuid for uuid, (_, finished) in self._seen.items() if not finished}
            self._wanted = frozenset(unfinished | (self._wanted & unseen))
        news = [sight for sight in sights if before.get(sight.uuid) != sight.key]
        return Look(at=self.asked_there_at, sights=sights, news=[*news, *gone])

    def tell(self, news: Look | Exception) -> None:
        """Note what was seen; an error ends nothing, since nobody could start it again."""
        if isinstance(news, Exception):
            self._complain("The campaigns could not be looked at; trying again", news)
        else:
            self.looks.put_nowait(news)

    def _complain(self, what: str, error: Exception) -> None:
        if str(error) not in self._troubles:
            # Once, and not each minute of a long night.
            self._troubles.add(str(error))
            log.warning("%s: %s", what, error)
