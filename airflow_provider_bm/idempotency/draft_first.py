"""One campaign, even if two attempts of a task instance are alive at once: drafts first, then one goes.

Every attempt makes a draft, which sends nothing. Then it looks at all drafts of the task instance's name.
The oldest is the one; the others are deleted by those who made them. It is activated by the attempt that
made it, and only while its lease lasts; if nothing has happened when the lease is over, its maker is dead,
and another attempt takes it over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.exceptions import BMNotFoundError, BMOutcomeUnknownError, BMResponseError
from airflow_provider_bm.idempotency.find_or_create import (
    STATE_KEY,
    StateStore,
    adopt,
    campaigns_named,
    in_flight,
    recorded,
)

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Seconds after which two drafts that are made later have a later ``created_dt``, which has no fractions.
SETTLE = 1.5
#: Seconds between two looks at what another attempt does.
PAUSE = 1.0

Campaign = dict[str, Any]


@dataclass(kw_only=True)
class StagedCampaign:
    """Makes a draft, agrees with other attempts on one, and activates it.

    :param client: the API
    :param name: the campaign's name, with the key of the task instance
    :param store: Airflow's ``task_state_store``; None before 3.3
    """

    client: BMClient
    name: str
    store: StateStore | None = None
    settle: float = field(default_factory=lambda: SETTLE)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _mine: str | None = field(default=None, init=False)
    _since: dict[str, float] = field(default_factory=dict, init=False)

    def submit(self, post_draft: Callable[[], Campaign], payload: Mapping[str, Any]) -> Campaign:
        """Return the one campaign, active.

        :param post_draft: makes a draft
        :param payload: what the campaign is to be, to say what is different in one that is adopted
        :raises BMOutcomeUnknownError: it is not known whether the campaign was activated in time; the next
            try looks again
        :raises BMResponseError: the draft that was made is not in the list; nothing was sent
        """
        known = recorded(self.client, self.store)
        if known is not None:
            adopt(known, payload)
            return known
        while True:
            campaigns = campaigns_named(self.client, self.name)
            drafts = [campaign for campaign in campaigns if campaign["status"] == "draft"]
            active = [campaign for campaign in campaigns if campaign["status"] != "draft"]
            if active:
                self._drop_mine(unless=active[0]["uuid"])
                adopt(active[0], payload)
                return self._keep(active[0])
            if not drafts:
                if self._mine is not None:
                    raise BMResponseError(
                        f"Draft {self._mine} {self.name!r} was made, and is not in the list of campaigns; "
                        "nothing was sent. The next try looks again."
                    )
                self._make(post_draft)
                continue
            uuid = drafts[0]["uuid"]
            if uuid != self._mine:
                self._drop_mine(unless=uuid)
                if self.clock() - self._since.setdefault(uuid, self.clock()) < self._lease:
                    log.info("Another attempt of this task instance has made draft %s; leaving it time", uuid)
                    self.sleep(PAUSE)
                    continue
                log.warning("Nobody has activated draft %s; its maker must be dead. Taking it over", uuid)
                self._mine, self._since[uuid] = uuid, self.clock()
            return self._keep(self._activate(uuid))

    @property
    def _lease(self) -> float:
        """Seconds that a draft is its maker's.

        In the first half it may activate it; after the second half nothing of it can be in flight.
        """
        return 2 * (in_flight(self.client).total_seconds() + self.settle)

    def _make(self, post_draft: Callable[[], Campaign]) -> None:
        began = self.clock()
        try:
            self._mine = post_draft()["uuid"]
        except BMOutcomeUnknownError as error:
            # It sends nothing. If it was made it will be found, as somebody else's.
            log.warning("%s", error.what)
            self.sleep(self.settle)
            if not campaigns_named(self.client, self.name):
                raise
            return
        self._since[self._mine] = began
        # Whoever makes a draft from now on has a later created_dt, and is not the oldest.
        self.sleep(self.settle)

    def _activate(self, uuid: str) -> Campaign:
        campaign = self.client.get_campaign(uuid)
        if campaign["status"] != "draft":
            return campaign
        self.client.ensure_token()
        # The last thing before the PUT: once the lease is over another attempt may send its own.
        if self.clock() - self._since[uuid] > self._lease / 2:
            raise BMOutcomeUnknownError(
                f"Draft {uuid} {self.name!r} was not activated, since that took too long",
                advice="The next try goes on with it.",
                name=self.name,
            )
        try:
            return self.client.activate_draft(campaign)
        except BMOutcomeUnknownError:
            until = self.clock() + self._lease
            while self.clock() < until:
                campaign = self.client.get_campaign(uuid)
                if campaign["status"] != "draft":
                    return campaign
                self.sleep(PAUSE)
            raise

    def _drop_mine(self, unless: str) -> None:
        mine, self._mine = self._mine, None
        if mine is None or mine == unless:
            return
        try:
            if self.client.get_campaign(mine)["status"] == "draft":
                log.info("Deleting draft %s, which is not needed", mine)
                self.client.delete_campaign(mine, missing_ok=True)
        except BMNotFoundError:
            return

    def _keep(self, campaign: Campaign) -> Campaign:
        if self.store is not None:
            self.store.set(STATE_KEY, {"name": self.name, "uuid": campaign["uuid"]})
        return campaign
