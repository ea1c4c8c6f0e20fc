"""Activating an existing campaign once, with the same protocol as for creating a campaign.

An intent is recorded before the PUT or PATCH. A later try repeats the request only after the first can no
longer be in flight, and only if the campaign has not changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.campaigns.wait_condition import last_execution
from airflow_provider_bm.exceptions import BMCampaignStateError, BMOutcomeUnknownError
from airflow_provider_bm.idempotency.record import Record, StateStore
from airflow_provider_bm.idempotency.timing import Stopwatch, Timing, current_timing
from airflow_provider_bm.idempotency.verify import check_active

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

Campaign = dict[str, Any]


@dataclass(kw_only=True)
class Activation:
    """Activates one campaign for one task instance.

    :param client: the API
    :param campaign_uuid: the campaign
    :param tried_before: whether an earlier try may have sent a request
    :param since: start of the DAG run; None: unknown
    :param store: Airflow's ``task_state_store``; None before 3.3
    :param allow_second_execution: whether to activate a campaign that was executed before
    :ivar adopted: whether an earlier request has activated the campaign
    """

    client: BMClient
    campaign_uuid: str
    tried_before: bool
    since: datetime | None = None
    store: StateStore | None = None
    allow_second_execution: bool = False
    timing: Timing = field(default_factory=current_timing)
    adopted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._record = Record(client=self.client, store=self.store, timing=self.timing)

    def submit(
        self,
        write: Callable[[Campaign], Campaign],
        *,
        is_written: Callable[[Campaign], bool] = lambda campaign: True,
        before_write: Callable[[Campaign], object] = lambda campaign: None,
    ) -> Campaign:
        """Return the campaign, active or finished.

        :param write: sends the request; called with the campaign as just read
        :param is_written: whether an active or finished campaign has the content of the request
        :param before_write: called before anything is recorded or sent; may raise
        :raises BMCampaignStateError: the campaign has been executed, and could be sent a second time
        :raises BMOutcomeUnknownError: a request was sent, and the campaign did not become active while the
            request could be in flight. The next try polls it again before it sends.
        """
        campaign, activated = self.find_earlier(is_written)
        if activated:
            return campaign
        if campaign["status"] == "active" and is_written(campaign):
            log.info("Campaign %s is active already", campaign_label(self.campaign_uuid, campaign))
            return campaign
        self.refuse_second_execution(campaign)
        before_write(campaign)
        record: dict[str, Any] = {
            "activates": self.campaign_uuid,
            "last_dt": campaign.get("last_dt"),
            "status": campaign["status"],
            "name": campaign.get("name"),
        }
        watch = self._record.intend(**record)
        try:
            campaign = write(campaign)
        except BMOutcomeUnknownError as error:
            log.warning("%s", error.what)
            window = self.timing.in_flight_window(self.client)
            campaign = self._poll(campaign, window, record, is_written, watch)
            if not self._is_done(campaign, record, is_written):
                raise
        check_active(campaign)
        return self._keep(campaign)

    def find_earlier(
        self, is_written: Callable[[Campaign], bool] = lambda campaign: True
    ) -> tuple[Campaign, bool]:
        """Return the campaign, and whether an earlier request of this task instance has activated it.

        Polls the campaign while such a request may be in flight.
        """
        campaign = self.client.get_campaign(self.campaign_uuid)
        record = self._record.read()
        if record.get("activates") != self.campaign_uuid:
            record = {}
        window = self._window(record)
        if window is None:
            return campaign, False
        campaign = self._poll(campaign, window, record, is_written)
        if not self._is_done(campaign, record, is_written):
            self._refuse_reverted(campaign, record)
            return campaign, False
        self.adopted = True
        log.warning(
            "Campaign %s was activated by an earlier request of this task instance. Nothing is sent again.",
            campaign_label(self.campaign_uuid, campaign),
        )
        return self._keep(campaign), True

    def _refuse_reverted(self, campaign: Campaign, record: dict[str, Any]) -> None:
        """Refuse a campaign that was stopped, or made a draft, after an earlier try had activated it.

        :raises BMCampaignStateError: activating it would undo that
        """
        status = campaign["status"]
        if record.get("activated"):
            reverted = status in ("stopped", "draft")
        else:
            reverted = status == "stopped" and record.get("status", "stopped") != "stopped"
        if reverted:
            raise BMCampaignStateError(
                f"Campaign {campaign_label(self.campaign_uuid, campaign)} was activated by an earlier try, "
                f"and has become {status} since. It is not activated again. If it should be, activate it in "
                "the BM console, or start a new DAG run.",
                campaign,
            )

    def _window(self, record: dict[str, Any]) -> timedelta | None:
        """Return how long an earlier request may be in flight; None if there was none."""
        if record.get("activated"):
            return timedelta(0)
        if "intent_dt" in record:
            return self._record.remaining(record)
        if self.tried_before and self.store is None:
            return self.timing.in_flight_window(self.client)
        return None

    def _poll(
        self,
        campaign: Campaign,
        window: timedelta,
        record: dict[str, Any],
        is_written: Callable[[Campaign], bool],
        watch: Stopwatch | None = None,
    ) -> Campaign:
        """Poll the campaign until it is activated, or requests can no longer be in flight."""
        watch, pause = watch or Stopwatch(self.timing), self.timing.first_pause
        while not self._is_done(campaign, record, is_written):
            remaining = window.total_seconds() - watch.elapsed
            if remaining <= 0:
                break
            if pause == self.timing.first_pause:
                log.info(
                    "An earlier request may still activate campaign %s; polling it for up to %.0f s",
                    campaign_label(self.campaign_uuid, campaign),
                    remaining,
                )
            watch.sleep(min(pause, remaining))
            pause = min(self.timing.longest_pause, pause * 2)
            campaign = self.client.get_campaign(self.campaign_uuid)
        return campaign

    def _is_done(
        self, campaign: Campaign, record: dict[str, Any], is_written: Callable[[Campaign], bool]
    ) -> bool:
        """Return whether an earlier request has activated the campaign."""
        if campaign["status"] == "active":
            return is_written(campaign)
        if campaign["status"] != "finished" or not is_written(campaign):
            return False
        if record:
            return bool(record.get("activated")) or campaign.get("last_dt") != record.get("last_dt")
        executed = last_execution(campaign)
        return executed is not None and self.since is not None and executed >= self.since

    def refuse_second_execution(self, campaign: Campaign) -> None:
        """Refuse a campaign that has been executed, unless ``allow_second_execution``.

        :raises BMCampaignStateError: activating it would send it a second time
        """
        status, kind, last_dt = (campaign.get(name) for name in ("status", "schedule_type", "last_dt"))
        executed_draft = status == "draft" and bool(last_dt) and kind != "scheduled"
        if self.allow_second_execution or not (status == "finished" or executed_draft):
            return
        raise BMCampaignStateError(
            f"Campaign {campaign_label(self.campaign_uuid, campaign)} is {status} and was executed already "
            f"(last_dt {last_dt or 'unknown'}): activating it would send it a second time. Clone it "
            "instead, or set allow_second_execution=True.",
            campaign,
        )

    def _keep(self, campaign: Campaign) -> Campaign:
        self._record.write(activates=self.campaign_uuid, activated=True, name=campaign.get("name"))
        return campaign
