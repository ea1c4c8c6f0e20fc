"""The watcher that never stops: it notices each execution of campaigns, or their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.client.listing import Listing
from airflow_provider_bm.exceptions import BMError, BMNotFoundError
from airflow_provider_bm.polling.watcher import Found, Watcher

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What of a campaign can be news.

    :ivar executed_at: its last execution, in UTC; None if there was none, or the API does not say
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
        """See a campaign (4.4)."""
        return cls(
            uuid=campaign["uuid"],
            executed_at=_last_execution(campaign),
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

    :ivar sights: all of them, for whoever sees them for the first time
    :ivar news: those that look otherwise than at the look before, or are gone
    """

    sights: Sequence[Sight]
    news: Sequence[Sight]


class CampaignEvents(Watcher):
    """Sees the campaigns of a list, or a single one, and says which look otherwise than before.

    A campaign that leaves the list is still looked at until it is finished or deleted: with a filter by
    status, say, its end would be missed.

    :param interval: seconds between two looks
    :param campaign_uuid: the campaign; or
    :param listing: the list
    """

    def __init__(
        self, *, interval: float, campaign_uuid: str | None = None, listing: Listing | None = None
    ) -> None:
        super().__init__(interval=interval)
        self.listing = listing
        self._wanted = frozenset({campaign_uuid} if campaign_uuid else ())
        self._seen: dict[str, tuple[datetime | None, bool]] = {}
        self._trouble = ""
        self.looks: asyncio.Queue[Look] = asyncio.Queue()

    def wanted(self) -> frozenset[str]:
        """The campaign; or those of the list that may have left it."""
        return self._wanted

    def take(self, found: Found) -> Look | None:
        """Return what there is, and what of it looks otherwise; nothing, if nothing could be seen."""
        if isinstance(found, BMError):
            self._complain("The campaigns could not be looked at; trying again", found)
            return None
        sights, gone, failed = [], [], {}
        for uuid, one in found.items():
            if not isinstance(one, BMError):
                sights.append(Sight.of(one))
            elif self.listing is None or not isinstance(one, BMNotFoundError):
                failed[uuid] = one
            else:
                gone.append(Sight(uuid=uuid, executed_at=None, finished=False, campaign={}, gone=True))
        for uuid, error in failed.items():
            self._complain(f"Campaign {uuid} could not be looked at; trying again", error)
        if failed and self.listing is None:
            return None
        if not failed:
            self._trouble = ""
        before = self._seen
        self._seen = {uuid: before[uuid] for uuid in failed if uuid in before}
        self._seen.update((sight.uuid, sight.key) for sight in sights)
        if self.listing is not None:
            self._wanted = frozenset(uuid for uuid, (_, finished) in self._seen.items() if not finished)
        news = [sight for sight in sights if before.get(sight.uuid) != sight.key]
        return Look(sights=sights, news=[*news, *gone])

    def tell(self, news: Look | Exception) -> None:
        """Note what was seen; an error ends nothing, since nobody could start it again."""
        if isinstance(news, Exception):
            self._complain("The campaigns could not be looked at; trying again", news)
        else:
            self.looks.put_nowait(news)

    def _complain(self, what: str, error: Exception) -> None:
        if str(error) != self._trouble:
            # Once, and not each minute of a long night.
            self._trouble = str(error)
            log.warning("%s: %s", what, error)


def _last_execution(campaign: Mapping[str, Any]) -> datetime | None:
    value = campaign.get("last_dt")
    if value is None or value == "":
        return None
    try:
        return read_time(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        log.warning("Campaign %s has a last_dt that is no time: %s", campaign["uuid"], error)
        return None
