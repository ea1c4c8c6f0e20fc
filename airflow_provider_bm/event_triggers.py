"""The trigger that turns what campaigns do into asset events (Airflow 3.0+)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_bm.campaigns.ids import campaign_id
from airflow_provider_bm.campaigns.times import parse_time
from airflow_provider_bm.client.listing import Listing
from airflow_provider_bm.exceptions import BMPayloadError, Problem

if TYPE_CHECKING:
    from airflow_provider_bm.client.query import Filters
    from airflow_provider_bm.polling.events import Look, Sight
    from airflow_provider_bm.polling.ledger import Ledger

log = logging.getLogger(__name__)

Event = Literal["execution", "end"]


class BMCampaignEventTrigger(BaseEventTrigger):
    """Sends an asset event for each execution of a campaign, or for its end.

    For one campaign, or for all of a service that match a filter. It watches as long as an active DAG is
    scheduled by the asset, and never gives up: while the API does not answer, it asks less and less often.

    .. code-block:: python

        sent = campaign_asset(
            SERVICE_UUID,
            watchers=[
                AssetWatcher(
                    name="executions",
                    trigger=BMCampaignEventTrigger(campaign_uuid=CAMPAIGN_UUID, service_uuid=SERVICE_UUID),
                )
            ],
        )

    The event's ``extra["payload"]`` is ``{"event": …, "campaign": {…}}``, with the campaign as the API gave
    it (4.4). Executions that follow each other faster than ``poke_interval`` are one event, since the API
    tells the last one only.

    No event is sent twice, also not when the triggerer restarts. On Airflow 3.3+ what was told is noted in
    the asset's state, and what happened while no triggerer ran is told afterwards. Before, nothing can be
    noted: each start begins anew at ``since``, or without it, at what the first look sees.

    Arguments are checked where the DAG is parsed. All triggers of a process that watch the same service
    share one poller, with the deferred sensors.

    :param campaign_uuid: the campaign; None: all of the service that match
    :param event: ``execution``: whenever a campaign has executed (its ``last_dt`` moved); ``end``: when it
        has finished
    :param sending_type: only campaigns of these channels
    :param status: only campaigns with these statuses; one that matched is watched on until its end
    :param filters: only these campaigns: ``{"startswith(name)": "Storm"}``, or pairs; see ``BMHook``
    :param since: tell of what happened after this time (aware datetime, or RFC 3339); None: of what happens
        after the first look
    :param poke_interval: seconds between two looks, and up to a tenth more
    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :raises BMPayloadError: an argument is wrong
    """

    def __init__(
        self,
        *,
        campaign_uuid: str | None = None,
        event: Event = "execution",
        sending_type: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = None,
        filters: Filters | None = None,
        since: datetime | str | None = None,
        poke_interval: float = 60.0,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
    ) -> None:
        super().__init__()
        self.listing = Listing.of(sending_type=sending_type, status=status, filters=filters)
        problems = []
        if campaign_uuid is not None and self.listing.filters:
            problems.append(
                Problem("campaign_uuid", campaign_uuid, "goes without filters: it is one campaign")
            )
        if event not in get_args(Event):
            problems.append(Problem("event", event, f"must be one of {', '.join(get_args(Event))}"))
        number = isinstance(poke_interval, (int, float)) and not isinstance(poke_interval, bool)
        if not number or poke_interval <= 0:
            problems.append(Problem("poke_interval", poke_interval, "must be a number of seconds above 0"))
        if problems:
            raise BMPayloadError(problems, "event trigger")
        self.campaign_uuid = None if campaign_uuid is None else campaign_id(campaign_uuid)
        self.event = event
        self.since = None if since is None else parse_time(since, "since")
        self.poke_interval = float(poke_interval)
        self.bm_conn_id = bm_conn_id
        self.service_uuid = None if service_uuid is None else campaign_id(service_uuid, "service_uuid")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments: ids, filters and times, no secret.

        The same arguments always give the same: Airflow tells triggers apart by it.
        """
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "campaign_uuid": self.campaign_uuid,
                "event": self.event,
                "filters": [list(pair) for pair in self.listing.filters],
                "since": self.since and self.since.isoformat(),
                "poke_interval": self.poke_interval,
                "bm_conn_id": self.bm_conn_id,
                "service_uuid": self.service_uuid,
            },
        )

    def shared_stream_key(self) -> Hashable:
        """Who asks the same question (for executions and for the end, say) shares the answers (Airflow 3.3+).

        What is shared between different questions about one service is the poller: requests, connection
        and token. It is so in all versions of Airflow, and deferred tasks are in it, too.
        """
        question = (self.bm_conn_id, self.service_uuid, self.campaign_uuid, self.listing.filters)
        return (type(self).__qualname__, *question, self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Look, None]:
        """Look, for ever: whatever goes wrong, it only takes longer until the next look.

        :param kwargs: arguments of any of those who share it
        """
        # These load requests; the module is imported where DAGs are parsed, too.
        from airflow_provider_bm.polling.events import CampaignEvents
        from airflow_provider_bm.polling.service import watching

        asks = cls(**kwargs)
        watcher = CampaignEvents(
            interval=asks.poke_interval,
            campaign_uuid=asks.campaign_uuid,
            listing=asks.listing if asks.campaign_uuid is None else None,
        )
        with watching(watcher, asks.bm_conn_id, asks.service_uuid):
            while True:
                yield await watcher.looks.get()

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Look]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Tell of what is news among what was seen.

        :param shared_stream: the looks; it may have been looked before
        """
        from airflow_provider_bm.campaigns.progress import describe

        log.info("Watching %s: an event for each %s", self._subject(), self.event)
        ledger, first = None, True
        waiting: deque[Sequence[Sight]] = deque()
        async for look in shared_stream:
            # What was seen before the first look that comes here, somebody else has seen.
            waiting.append(look.sights if first else look.news)
            first = False
            try:
                ledger = ledger or await self._ledger()
                while waiting:
                    # What was told before an error is noted, and not news again.
                    async for sight in ledger.news(waiting[0]):
                        log.info("Campaign %s: %s", sight.uuid, describe(sight.campaign))
                        yield TriggerEvent({"event": self.event, "campaign": dict(sight.campaign)})
                    waiting.popleft()
            except Exception as error:  # noqa: BLE001 - whatever Airflow's state store raises
                log.warning("The asset's state cannot be reached, trying again: %s", error)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, for ever, sharing no looks: where Airflow cannot share them (before 3.3)."""
        async with (
            aclosing(self.open_shared_stream(self.serialize()[1])) as looks,
            aclosing(self.filter_shared_stream(looks)) as events,
        ):
            async for event in events:
                yield event

    async def _ledger(self) -> Ledger:
        from airflow_provider_bm.polling.ledger import Ledger, Memory, Store

        question = json.dumps([self.service_uuid, self.campaign_uuid, self.listing.filters])
        name = hashlib.sha256(question.encode()).hexdigest()[:10]
        store: Store | None = getattr(self, "asset_state_store", None)
        if store is not None:
            try:
                await store.aget(name)
            except ValueError as error:
                store = None
                log.warning(
                    "Several assets have a watcher with these arguments, so nothing can be noted in their "
                    "state: a restart begins anew. Give one another poke_interval. (%s)",
                    error,
                )
        return Ledger(self.event, Memory() if store is None else store, name, self.since)

    def _subject(self) -> str:
        if self.campaign_uuid:
            return f"campaign {self.campaign_uuid}"
        filters = ", ".join(f"{key}={value}" for key, value in self.listing.filters)
        return f"campaigns with {filters}" if filters else "all campaigns of the service"
