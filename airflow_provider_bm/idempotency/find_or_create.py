"""One campaign per task instance: search for it by its key before creating it.

The API has no idempotency key. Each task instance has a key, the same for all its tries, in square
brackets in front of the campaign's name. Before each POST, the campaign is searched for by that key. While an
earlier request may still be carried out, the search continues.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.exceptions import BMOutcomeUnknownError
from airflow_provider_bm.idempotency.adopt import adopt, recorded_campaign
from airflow_provider_bm.idempotency.key import key_of
from airflow_provider_bm.idempotency.record import Record, StateStore
from airflow_provider_bm.idempotency.search import campaigns_with_key
from airflow_provider_bm.idempotency.timing import Stopwatch, Timing, current_timing
from airflow_provider_bm.idempotency.verify import verify_reply

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

Campaign = dict[str, Any]


@dataclass(kw_only=True)
class FindOrCreate:
    """Finds the campaign of one task instance, or creates it.

    :param client: the API
    :param key: key of the task instance
    :param tried_before: whether an earlier try may have sent a request
    :param since: start of the DAG run, for servers that do not filter by name; None: unknown
    :param store: Airflow's ``task_state_store``; None before 3.3
    :ivar adopted: whether the campaign was created by an earlier request
    """

    client: BMClient
    key: str
    tried_before: bool
    since: datetime | None = None
    store: StateStore | None = None
    timing: Timing = field(default_factory=current_timing)
    adopted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._record = Record(client=self.client, store=self.store, timing=self.timing)

    def submit(
        self,
        post: Callable[[], Campaign],
        payload: Mapping[str, Any],
        *,
        expected: Callable[[], Mapping[str, Any]] | None = None,
        before_post: Callable[[], object] = lambda: None,
    ) -> Campaign:
        """Return the one campaign of the task instance.

        :param post: sends the request
        :param payload: the body of the request; its name starts with the key
        :param expected: returns the content to compare a campaign with; None: the payload
        :param before_post: called when there is no campaign yet, before anything is recorded or sent; may
            raise
        :raises BMOutcomeUnknownError: a request was sent, and no campaign was found while the request
            could be in flight. The next try searches again before it sends.
        :raises BMCampaignStateError: the campaign that was found cannot be used, or the reply is not the
            requested campaign
        """
        contents = expected or (lambda: payload)
        found = self._find_earlier(payload, contents)
        if found is not None:
            return self._keep(found)
        before_post()
        watch = self._record.intend(name=payload["name"])
        try:
            campaign = post()
            verify_reply(
                campaign,
                payload,
                contents,
                client=self.client,
                key=self.key,
                recorded=self.store is not None,
                timing=self.timing,
            )
        except BMOutcomeUnknownError as error:
            log.warning("%s", error.what)
            window = self.timing.in_flight_window(self.client)
            created = self._search("a request whose outcome is unknown", window, watch)
            if created is None:
                raise
            adopt(created, payload, contents, strict=False)
            self.adopted = True
            campaign = created
        return self._keep(campaign)

    def _find_earlier(
        self, payload: Mapping[str, Any], expected: Callable[[], Mapping[str, Any]]
    ) -> Campaign | None:
        record = self._record.read()
        found = recorded_campaign(self.client, record)
        if found is None and "intent_dt" in record:
            # The reply to the search provides the server's time.
            found = self._search("an earlier try", None, record=record)
            strict = False
        elif found is None and self.tried_before and self.store is None:
            found = self._search("an earlier try", self.timing.in_flight_window(self.client))
            strict = False
        elif found is None:
            # Nothing can be in flight: an intent would have been recorded. But the run may have been deleted
            # and created again, or the record may have expired.
            found = self._search("an earlier run", timedelta(0))
            strict = True
        else:
            strict = False
        if found is not None:
            adopt(found, payload, expected, strict=strict)
            self.adopted = True
        return found

    def _search(
        self,
        what: str,
        window: timedelta | None,
        watch: Stopwatch | None = None,
        record: dict[str, Any] | None = None,
    ) -> Campaign | None:
        """Search until the window is over; at least once.

        :param window: how long; None: the rest of the recorded intent's window
        """
        watch, pause = watch or Stopwatch(self.timing), self.timing.first_pause
        # The recorded key is another one if key_namespace has been changed since.
        keys = dict.fromkeys((self.key, key_of((record or {}).get("name")) or self.key))
        while True:
            matches = [each for key in keys for each in campaigns_with_key(self.client, key, self.since)]
            if len(matches) > 1:
                log.error(
                    "There are %d campaigns with the key [%s]: %s. The first one is used.",
                    len(matches),
                    self.key,
                    ", ".join(campaign_label(each["uuid"], each) for each in matches),
                )
            if matches:
                return matches[0]
            if window is None:
                window = self._record.remaining(record or {})
            remaining = window.total_seconds() - watch.elapsed
            if remaining <= 0:
                return None
            if pause == self.timing.first_pause:
                log.info(
                    "Searching for a campaign with the key [%s], which %s may have created, for up to %.0f s",
                    self.key,
                    what,
                    remaining,
                )
            watch.sleep(min(pause, remaining))
            pause = min(self.timing.longest_pause, pause * 2)

    def _keep(self, campaign: Campaign) -> Campaign:
        self._record.write(name=campaign.get("name"), uuid=campaign["uuid"])
        return campaign
