"""Waiting for a campaign: the one way to look, for pokes, loops and triggers alike. No Airflow in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.progress import Verdict, decide, describe
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

    def look(self, client: BMClient) -> Verdict:
        """Ask once, and decide.

        :raises BMError: for good, or once too often in a row
        """
        try:
            campaign = client.get_campaign(self.campaign_uuid, fields=self.fields)
        except BMNotFoundError as error:
            reason = f"Campaign {self.campaign_uuid} does not exist, or no longer. ({error})"
            return Verdict(state="failed", reason=reason)
        except BMError as error:
            self.failures += 1
            if error.permanent or self.failures > TOLERATED_FAILURES:
                raise
            log.warning(
                "Campaign %s could not be looked at (%d in a row, %d are tolerated): %s",
                self.campaign_uuid,
                self.failures,
                TOLERATED_FAILURES,
                error,
            )
            return Verdict(state="waiting", reason=f"It could not be looked at: {error}")
        return self.judge(campaign)

    def judge(self, campaign: dict[str, Any]) -> Verdict:
        """Decide from a campaign that somebody else has read."""
        self.failures = 0
        self.campaign = campaign
        verdict = decide(
            campaign,
            target_status=self.target_status,
            executed_after=self.executed_after,
            failed_status=self.failed_status,
        )
        log.info("Campaign %s: %s", self.campaign_uuid, describe(campaign))
        return verdict

    def last_seen(self) -> str:
        """What was seen last, for the message of a time-out."""
        return f"Last seen: {describe(self.campaign)}" if self.campaign else "It was never seen."
