"""Waiting for many campaigns."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bm.campaigns.ids import parse_uuid
from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.campaigns.wait_condition import Verdict, check_wait, evaluate
from airflow_provider_bm.client.bulk import BulkReader
from airflow_provider_bm.exceptions import BMError, BMNotFoundError
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Maximum number of campaigns to name in a message.
_NAMED: Final = 5


class BatchWait:
    """A wait until all campaigns of a batch have ended.

    If a campaign was stopped or deleted, the wait fails, but only once all others have ended.

    :param campaign_uuids: the campaigns
    :ivar statuses: status by campaign, as last seen
    """

    def __init__(self, campaign_uuids: Iterable[str]) -> None:
        self._condition = check_wait("finished", None, ("stopped",))
        self._open = dict.fromkeys((parse_uuid(uuid) for uuid in campaign_uuids), 0)
        self._total = len(self._open)
        self._problems: dict[str, str] = {}
        self.statuses: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        """Whether all campaigns have ended."""
        return not self._open

    @property
    def open_campaigns(self) -> frozenset[str]:
        """The campaigns that have not ended yet."""
        return frozenset(self._open)

    def poll(self, client: BMClient) -> Verdict:
        """Read the campaigns that have not ended yet, and evaluate them.

        :raises BMError: a permanent error, or too many transient errors in a row
        """
        try:
            for found in BulkReader(client).read(sorted(self._open)):
                for uuid, result in found.items():
                    self.observe(uuid, result)
        except BMError as error:
            self.observe_failure(error)
        return self.verdict()

    def observe(self, uuid: str, result: dict[str, Any] | BMError) -> None:
        """Evaluate one campaign.

        :param result: the campaign, or why it could not be read
        :raises BMError: the error, if it is permanent or there were too many in a row
        """
        if uuid not in self._open:
            return
        if isinstance(result, BMNotFoundError) and not result.of_token:
            self._end(uuid, "deleted", f"{uuid} does not exist any more")
        elif isinstance(result, BMError):
            self._open[uuid] += 1
            if result.permanent or self._open[uuid] > TOLERATED_FAILURES:
                raise copy.copy(result)
            log.warning("Polling campaign %s failed: %s", uuid, result)
        else:
            self._open[uuid] = 0
            self.statuses[uuid] = result["status"]
            verdict = evaluate(result, self._condition)
            if verdict.state != "waiting":
                problem = f"{campaign_label(uuid, result)} is {result['status']}"
                self._end(uuid, result["status"], problem if verdict.state == "failed" else "")

    def observe_failure(self, error: BMError) -> None:
        """Count a poll that could not read anything.

        :raises BMError: the error, if it is permanent or there were too many in a row
        """
        log.warning("Polling the campaigns failed: %s", error)
        self._open = {uuid: failures + 1 for uuid, failures in self._open.items()}
        if error.permanent or all(failures > TOLERATED_FAILURES for failures in self._open.values()):
            raise copy.copy(error)

    def verdict(self) -> Verdict:
        """Return whether the wait is over."""
        if self._open:
            return Verdict(state="waiting", reason=self.last_seen())
        if not self._problems:
            return Verdict(state="done", reason=f"{self._total} campaigns have finished")
        named = ", ".join(list(self._problems.values())[:_NAMED])
        more = f", and {len(self._problems) - _NAMED} more" if len(self._problems) > _NAMED else ""
        reason = f"{len(self._problems)} of {self._total} campaigns did not finish: {named}{more}"
        return Verdict(state="failed", reason=reason)

    def last_seen(self) -> str:
        """Return what the last polls showed."""
        counted = Counter(self.statuses.values())
        seen = ", ".join(f"{number} {status}" for status, number in sorted(counted.items()))
        return f"Last seen of {self._total} campaigns: {seen or 'nothing'}."

    def _end(self, uuid: str, status: str, problem: str) -> None:
        del self._open[uuid]
        self.statuses[uuid] = status
        if problem:
            self._problems[uuid] = problem
            log.error("Campaign %s", problem)
