"""Create a draft, then activate it: one campaign, even if two attempts of a task instance run at once.

Every attempt creates a draft, which sends nothing. Then it lists all drafts of the task instance. The oldest
draft is used; the attempts that created the others delete them. Only the attempt that created a
draft activates it, and only during its lease. After the lease its creator must be dead: another attempt
deletes the draft, and creates its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.exceptions import (
    BMCampaignStateError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMResponseError,
)
from airflow_provider_bm.idempotency.adopt import adopt, recorded_campaign
from airflow_provider_bm.idempotency.compare import differences
from airflow_provider_bm.idempotency.key import has_key
from airflow_provider_bm.idempotency.record import Record, StateStore
from airflow_provider_bm.idempotency.search import campaigns_with_key, created_at, server_time_of
from airflow_provider_bm.idempotency.timing import Stopwatch, Timing, current_timing
from airflow_provider_bm.idempotency.verify import check_active

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

Campaign = dict[str, Any]


@dataclass(kw_only=True)
class DraftThenActivate:
    """Creates a draft, agrees with other attempts on one draft, and activates it.

    :param client: the API
    :param key: key of the task instance
    :param tried_before: whether this is a later try
    :param since: start of the DAG run, for servers that do not filter by name; None: unknown
    :param store: Airflow's ``task_state_store``; None before 3.3
    :ivar adopted: whether another attempt has activated the campaign
    """

    client: BMClient
    key: str
    tried_before: bool = False
    since: datetime | None = None
    store: StateStore | None = None
    timing: Timing = field(default_factory=current_timing)
    adopted: bool = field(default=False, init=False)
    _own_draft: str | None = field(default=None, init=False)
    #: Since when this attempt has known each draft.
    _seen: dict[str, Stopwatch] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._record = Record(client=self.client, store=self.store, timing=self.timing)

    def submit(
        self,
        post_draft: Callable[[], Campaign],
        payload: Mapping[str, Any],
        *,
        expected: Callable[[], Mapping[str, Any]] | None = None,
        before_post: Callable[[], object] = lambda: None,
    ) -> Campaign:
        """Return the one campaign of the task instance, active.

        :param post_draft: creates a draft
        :param payload: the campaign's content; its name starts with the key
        :param expected: returns the content to compare a campaign with; None: the payload
        :param before_post: called before a draft is created; may raise
        :raises BMOutcomeUnknownError: it is not known whether the campaign was activated in time; the next
            try searches again
        :raises BMCampaignStateError: the campaign or draft that was found differs from what this task
            would send
        :raises BMResponseError: the draft that was created is not in the list; nothing was sent
        """
        contents = expected or (lambda: payload)
        record = self._record.read()
        known = recorded_campaign(self.client, record)
        if known is not None:
            return self._adopt(known, payload, contents, strict=False)
        # Of a try without staged=True: its POST sends at once.
        may_be_in_flight = "intent_dt" in record
        while True:
            campaigns = campaigns_with_key(self.client, self.key, self.since)
            drafts = [campaign for campaign in campaigns if campaign["status"] == "draft"]
            if len(drafts) < len(campaigns):
                self._discard_own_draft(unless=campaigns[0]["uuid"])
                strict = not self.tried_before and self._own_draft is None
                return self._adopt(campaigns[0], payload, contents, strict=strict)
            if may_be_in_flight:
                seconds = self._record.remaining(record).total_seconds()
                log.info("An earlier try may have sent its request; searching again in %.0f s", seconds)
                self.timing.sleep(seconds)
                may_be_in_flight = False
                continue
            if not drafts:
                if self._own_draft is not None:
                    raise BMResponseError(
                        f"Draft {self._own_draft} {payload.get('name')!r} was created, and is not in the "
                        "list of campaigns; nothing was sent. The next try searches again."
                    )
                before_post()
                self._create(post_draft)
                continue
            oldest = drafts[0]
            if oldest["uuid"] != self._own_draft:
                self._discard_own_draft(unless=oldest["uuid"])
                if self._age(oldest) < self._lease:
                    log.info(
                        "Another attempt created draft %s; waiting until its lease of %.0f s is over",
                        oldest["uuid"],
                        self._lease,
                    )
                    self.timing.sleep(self.timing.draft_pause)
                    continue
                self._discard_abandoned(oldest, contents())
                continue
            campaign = self._activate(oldest["uuid"])
            check_active(campaign)
            return self._keep(campaign)

    @property
    def _lease(self) -> float:
        """Seconds for which a draft belongs to its creator.

        Its creator may activate it in the first half; after the second half no request of it can be in
        flight.
        """
        window = self.timing.in_flight_window(self.client).total_seconds()
        return 2 * (window + self.timing.created_dt_resolution)

    def _age(self, draft: Campaign) -> float:
        """Return the age of a draft in seconds: at least the time since this attempt first saw it."""
        seen = self._seen.setdefault(draft["uuid"], Stopwatch(self.timing)).elapsed
        now = self.client.server_now()
        return seen if now is None else max(seen, (now - created_at(draft)).total_seconds())

    def _discard_abandoned(self, draft: Campaign, expected: Mapping[str, Any]) -> None:
        """Delete a draft whose creator must be dead; this attempt then creates its own.

        Its creator, or another attempt that is alive, can no longer activate it.
        """
        label = campaign_label(draft["uuid"], draft)
        if self._was_changed(draft):
            raise BMCampaignStateError(
                f"Draft {label} has the key of this task instance, and was changed after it was created: "
                "somebody may have made it a draft. Nothing was sent. Activate it in the BM console, or "
                "delete it, and clear the task.",
                draft,
            )
        different = differences(expected, draft)
        if different:
            raise BMCampaignStateError(
                f"An earlier attempt created draft {label}, which is not what this task would send: "
                f"{'; '.join(different)}. Nothing was sent. Activate it in the BM console, or delete it, "
                "and clear the task.",
                draft,
            )
        log.warning("Draft %s was not activated within its lease: its creator must be dead", label)
        self._discard(draft["uuid"])
        # The list may show it for a moment.
        self.timing.sleep(self.timing.created_dt_resolution)

    def _was_changed(self, draft: Campaign) -> bool:
        """Return whether a draft was executed, or written after it was created."""
        if draft.get("last_dt"):
            return True
        resolution = timedelta(seconds=self.timing.created_dt_resolution)
        return bool(draft.get("updated_dt")) and (
            server_time_of(draft, "updated_dt") - created_at(draft) > resolution
        )

    def _create(self, post_draft: Callable[[], Campaign]) -> None:
        watch = Stopwatch(self.timing)
        try:
            draft = post_draft()
        except BMOutcomeUnknownError as error:
            # A draft sends nothing. If it was created, it will be found like another attempt's draft.
            log.warning("%s", error.what)
            self.timing.sleep(self.timing.created_dt_resolution)
            if not campaigns_with_key(self.client, self.key, self.since):
                raise
            return
        uuid = str(draft["uuid"])
        if not has_key(draft.get("name"), self.key):
            raise BMOutcomeUnknownError(
                f"The server answered with another campaign, {uuid} {draft.get('name')!r}. It is not known "
                f"whether a draft with the key [{self.key}] was created; nothing was sent"
            )
        self._own_draft, self._seen[uuid] = uuid, watch
        # A draft that is created from now on has a later created_dt, and is not the oldest.
        self.timing.sleep(self.timing.created_dt_resolution)

    def _activate(self, uuid: str) -> Campaign:
        campaign = self.client.get_campaign(uuid)
        if campaign["status"] != "draft":
            self.adopted = True
            return campaign
        self.client.ensure_token()
        # Checked last before the PUT: once the lease is over another attempt may send its own.
        if self._seen[uuid].elapsed > self._lease / 2:
            raise BMOutcomeUnknownError(
                f"Draft {campaign_label(uuid, campaign)} was not activated, since that took too long",
                advice="The next try continues with it.",
                name=campaign.get("name"),
            )
        try:
            return self.client.activate_draft(campaign)
        except BMOutcomeUnknownError:
            watch = Stopwatch(self.timing)
            while watch.elapsed < self._lease:
                campaign = self.client.get_campaign(uuid)
                if campaign["status"] != "draft":
                    return campaign
                watch.sleep(self.timing.draft_pause)
            raise

    def _discard_own_draft(self, unless: str) -> None:
        own, self._own_draft = self._own_draft, None
        if own is not None and own != unless:
            self._discard(own)

    def _discard(self, uuid: str) -> None:
        """Delete a campaign, if it still is a draft."""
        try:
            campaign = self.client.get_campaign(uuid)
        except BMNotFoundError:
            return
        if campaign["status"] == "draft":
            log.info("Deleting draft %s, which is not needed", campaign_label(uuid, campaign))
            self.client.delete_campaign(uuid, missing_ok=True)

    def _adopt(
        self,
        campaign: Campaign,
        payload: Mapping[str, Any],
        expected: Callable[[], Mapping[str, Any]],
        *,
        strict: bool,
    ) -> Campaign:
        adopt(campaign, payload, expected, strict=strict)
        self.adopted = True
        return self._keep(campaign)

    def _keep(self, campaign: Campaign) -> Campaign:
        self._record.write(name=campaign.get("name"), uuid=campaign["uuid"])
        return campaign
