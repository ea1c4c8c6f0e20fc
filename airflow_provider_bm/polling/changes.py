"""A watcher that runs indefinitely and reports changes of campaigns."""

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

#: Consecutive polls that do not find a campaign, after which it is treated as deleted.
_MAX_MISSES: Final = 3


@dataclass(frozen=True, kw_only=True)
class CampaignSnapshot:
    """The parts of a campaign whose change triggers an event.

    :ivar executed_at: its last execution, in UTC; None if there was none
    :ivar finished: whether its status is ``finished``
    :ivar campaign: the campaign; empty if it was deleted
    :ivar gone: whether it was deleted
    """

    uuid: str
    executed_at: datetime | None
    finished: bool
    campaign: Mapping[str, Any]
    gone: bool = False

    @classmethod
    def of(cls, campaign: Mapping[str, Any]) -> CampaignSnapshot:
        """Take a snapshot of a campaign (4.4).

        :raises BMResponseError: its ``last_dt`` is not a time
        """
        return cls(
            uuid=campaign["uuid"],
            executed_at=last_execution(campaign),
            finished=campaign["status"] == "finished",
            campaign=campaign,
        )

    @property
    def key(self) -> tuple[datetime | None, bool]:
        """The values to compare with the previous poll."""
        return self.executed_at, self.finished


@dataclass(frozen=True, kw_only=True)
class PollResult:
    """The result of one poll.

    :ivar at: when the poll began, by the server's clock
    :ivar snapshots: all campaigns, for a subscriber without earlier results
    :ivar changes: campaigns that differ from the previous poll, or are gone
    """

    at: datetime
    snapshots: Sequence[CampaignSnapshot]
    changes: Sequence[CampaignSnapshot]


class ChangeWatcher(Watcher):
    """Watches the campaigns of a list, or a single one, and reports which have changed.

    A campaign that leaves the list is still polled until it is finished or deleted: with a filter by
    status, for example, its end would be missed.

    :param interval: seconds between two polls
    :param campaign_uuid: the campaign; or
    :param listing: the list
    :param followed: campaigns that were in the list before
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
        self._campaign_ids = frozenset({campaign_uuid} if campaign_uuid else followed)
        self._misses: dict[str, int] = {}
        self._seen: dict[str, tuple[datetime | None, bool]] = {}
        self._logged_errors: set[str] = set()
        self.results: asyncio.Queue[PollResult] = asyncio.Queue()

    def campaign_ids(self) -> frozenset[str]:
        """Return the campaign, or the campaigns of the list that may have left it."""
        return self._campaign_ids

    def on_result(self, found: Found) -> PollResult | None:
        """Return all snapshots and what has changed; None if nothing could be read."""
        if isinstance(found, BMError):
            self._warn("The campaigns could not be polled; trying again", found)
            return None
        snapshots, gone = [], []
        failed: dict[str, BMError] = {}
        misses, self._misses = self._misses, {}
        for uuid, result in found.items():
            try:
                if not isinstance(result, BMError):
                    snapshots.append(CampaignSnapshot.of(result))
                elif self.listing is None or not isinstance(result, BMNotFoundError):
                    failed[uuid] = result
                elif misses.get(uuid, 0) + 1 < _MAX_MISSES:
                    self._misses[uuid] = misses.get(uuid, 0) + 1
                else:
                    gone.append(
                        CampaignSnapshot(uuid=uuid, executed_at=None, finished=False, campaign={}, gone=True)
                    )
            except BMResponseError as error:
                failed[uuid] = error
        for uuid, why in failed.items():
            self._warn(f"Campaign {uuid} could not be polled; trying again", why)
        if failed and self.listing is None:
            return None
        if not failed:
            self._logged_errors.clear()
        before, unseen = self._seen, {*failed, *self._misses}
        self._seen = {uuid: before[uuid] for uuid in unseen if uuid in before}
        self._seen.update((snapshot.uuid, snapshot.key) for snapshot in snapshots)
        if self.listing is not None:
            unfinished = {uuid for uuid, (_, finished) in self._seen.items() if not finished}
            self._campaign_ids = frozenset(unfinished | (self._campaign_ids & unseen))
        changes = [snapshot for snapshot in snapshots if before.get(snapshot.uuid) != snapshot.key]
        return PollResult(at=self.server_time, snapshots=snapshots, changes=[*changes, *gone])

    def deliver(self, result: PollResult | Exception) -> None:
        """Queue a result. An error does not end the watcher, since nothing would restart it."""
        if isinstance(result, Exception):
            self._warn("The campaigns could not be polled; trying again", result)
        else:
            self.results.put_nowait(result)

    def _warn(self, what: str, error: Exception) -> None:
        if str(error) not in self._logged_errors:
            # Once, instead of every minute of a long outage.
            self._logged_errors.add(str(error))
            log.warning("%s: %s", what, error)
