"""Waiting for one campaign: poll it, evaluate the response, tolerate transient failures."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.ids import parse_uuid
from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.campaigns.wait_condition import (
    Verdict,
    WaitCondition,
    check_wait,
    describe,
    evaluate,
)
from airflow_provider_bm.client.query import optional_fields
from airflow_provider_bm.exceptions import BMError, BMNotFoundError

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Consecutive failed polls that are tolerated if the error is transient. The client has retried each of
#: them already.
TOLERATED_FAILURES = 5


@dataclass(kw_only=True)
class CampaignWait:
    """A wait for one campaign: the condition, and what the polls so far returned.

    :param campaign_uuid: the campaign
    :param condition: when the wait is over
    :param fields: optional parts of the response: ``tasks``, ``messages``
    :param failures: consecutive failed polls so far
    :param name: the campaign's name, if it was read before
    :param draft_only: whether the connection is ``draft_only``: the wait then ends at a draft
    :param on_poll: called for each poll
    """

    campaign_uuid: str
    condition: WaitCondition
    fields: Sequence[str] = ()
    failures: int = 0
    draft_only: bool = False
    name: str | None = None
    on_poll: Callable[[], None] = lambda: None
    campaign: dict[str, Any] | None = field(default=None, init=False)
    _verdict: Verdict | None = field(default=None, init=False, repr=False)
    _logged: str = field(default="", init=False, repr=False)

    @classmethod
    def validated(
        cls,
        campaign_uuid: str,
        *,
        target_status: Any = "finished",
        executed_after: Any = None,
        failed_status: Any = ("stopped",),
        fields: str | Sequence[str] = (),
    ) -> CampaignWait:
        """Create a wait from the arguments of a sensor or trigger.

        :raises BMPayloadError: an argument is invalid
        """
        return cls(
            campaign_uuid=parse_uuid(campaign_uuid),
            condition=check_wait(target_status, executed_after, failed_status),
            fields=optional_fields(fields),
        )

    def poll(self, client: BMClient) -> Verdict:
        """Get the campaign once, and evaluate it.

        :raises BMError: a permanent error, or too many transient errors in a row
        """
        try:
            result: dict[str, Any] | BMError = client.get_campaign(self.campaign_uuid, fields=self.fields)
        except BMError as error:
            result = error
        return self.observe(result)

    def observe(self, result: dict[str, Any] | BMError) -> Verdict:
        """Evaluate the result of a poll.

        :param result: the campaign, or why it could not be read
        :raises BMError: the error, if it is permanent or there were too many in a row
        """
        self.on_poll()
        if not isinstance(result, BMError):
            return self._evaluate(result)
        if isinstance(result, BMNotFoundError) and not result.of_token:
            reason = f"Campaign {self.label} does not exist, or no longer exists. ({result})"
            return Verdict(state="failed", reason=reason)
        self.failures += 1
        if result.permanent or self.failures > TOLERATED_FAILURES:
            # A copy, since other waits may share the error, and each raise would extend its traceback.
            raise copy.copy(result)
        log.warning(
            "Polling campaign %s failed (%d in a row, %d are tolerated): %s",
            self.label,
            self.failures,
            TOLERATED_FAILURES,
            result,
        )
        return Verdict(state="waiting", reason=f"Polling campaign {self.label} failed: {result}")

    def _evaluate(self, campaign: dict[str, Any]) -> Verdict:
        self.failures = 0
        if self._verdict is not None and campaign == self.campaign:
            return self._verdict  # Most polls return no change, and thousands of tasks may wait.
        self.campaign = campaign
        description = describe(campaign)
        if description != self._logged:
            # Once per change, or a wait of days would fill the log with the same line.
            self._logged = description
            log.info("Campaign %s: %s", self.label, description)
        # Reset first: if the campaign cannot be evaluated, every poll must raise.
        self._verdict = None
        self._verdict = evaluate(campaign, self.condition)
        if self._verdict.state == "waiting" and self.is_unsent_draft(campaign):
            self._verdict = Verdict(
                state="done", reason=f"Campaign {self.label} is a draft, and stays a draft."
            )
        return self._verdict

    def is_unsent_draft(self, campaign: Mapping[str, Any]) -> bool:
        """Return whether nothing was or will be sent, since the connection is ``draft_only``."""
        return (
            self.draft_only and campaign.get("status") == "draft" and self.condition.target_status != "draft"
        )

    @property
    def label(self) -> str:
        """UUID and, once the campaign was read, name: for logs and messages."""
        return campaign_label(self.campaign_uuid, self.campaign or {"name": self.name})

    def last_seen(self) -> str:
        """Return what the last successful poll showed, for the message of a timeout."""
        if self.campaign is None:
            return f"Campaign {self.label} was never polled successfully."
        return f"Last seen: {describe(self.campaign)} (campaign {self.label})."
