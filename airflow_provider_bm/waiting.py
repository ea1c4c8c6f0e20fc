"""Waiting for a campaign: the one way to look, for pokes, loops and triggers alike. No Airflow in it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.progress import Verdict, Wait, describe, judge
from airflow_provider_bm.exceptions import BMError, BMNotFoundError

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Failed looks in a row that are put up with, if the error is a passing one. The client has repeated each
#: look several times already.
TOLERATED_FAILURES = 5


@dataclass(kw_only=True)
class CampaignWatch:
    """What is waited for, and what was seen so far.

    :param campaign_uuid: the campaign
    :param target_status: done at this status
    :param executed_after: done when it has executed at this time or later, instead
    :param failed_status: failed at one of these
    :param fields: optional parts of the response: ``tasks``, ``messages``
    :param failures: failed looks in a row, so far
    """

    campaign_uuid: str
    target_status: str = "finished"
    executed_after: datetime | None = None
    failed_status: Sequence[str] = ("stopped",)
    fields: Sequence[str] = ()
    failures: int = 0
    campaign: dict[str, Any] | None = field(default=None, init=False)
    _verdict: Verdict | None = field(default=None, init=False, repr=False)
    _logged: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        self._wait = Wait(
            target_status=self.target_status,
            executed_after=self.executed_after,
            failed_status=tuple(self.failed_status),
        )

    def look(self, client: BMClient) -> Verdict:
        """Ask once, and decide.

        :raises BMError: for good, or once too often in a row
        """
        try:
            found: dict[str, Any] | BMError = client.get_campaign(self.campaign_uuid, fields=self.fields)
        except BMError as error:
            found = error
        return self.take(found)

    def take(self, found: dict[str, Any] | BMError) -> Verdict:
        """Decide from what a look has brought, whoever has looked.

        :param found: the campaign, or why it could not be read
        :raises BMError: the error, if it is for good, or came once too often in a row
        """
        if not isinstance(found, BMError):
            return self._judge(found)
        if isinstance(found, BMNotFoundError) and not found.of_token:
            reason = f"Campaign {self.campaign_uuid} does not exist, or no longer. ({found})"
            return Verdict(state="failed", reason=reason)
        self.failures += 1
        if found.permanent or self.failures > TOLERATED_FAILURES:
            # Others may have been handed the same one, and each raise would write into it.
            raise copy.copy(found)
        log.warning(
            "Campaign %s could not be looked at (%d in a row, %d are tolerated): %s",
            self.campaign_uuid,
            self.failures,
            TOLERATED_FAILURES,
            found,
        )
        return Verdict(state="waiting", reason=f"It could not be looked at: {found}")

    def _judge(self, campaign: dict[str, Any]) -> Verdict:
        self.failures = 0
        if self._verdict is not None and campaign == self.campaign:
            return self._verdict  # most looks show nothing new, and thousands wait
        self.campaign = campaign
        seen = describe(campaign)
        if seen != self._logged:
            # Once for each change: a wait of days would fill the log with the same line.
            self._logged = seen
            log.info("Campaign %s: %s", self.campaign_uuid, seen)
        # Not kept if there is none: the campaign cannot be understood, and that is raised at each look.
        self._verdict = None
        self._verdict = judge(campaign, self._wait)
        return self._verdict

    def last_seen(self) -> str:
        """What was seen last, for the message of a time-out."""
        return f"Last seen: {describe(self.campaign)}" if self.campaign else "It was never seen."
