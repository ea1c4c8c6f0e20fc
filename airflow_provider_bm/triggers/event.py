"""A trigger that sends asset events when campaigns execute or end (Airflow 3.0+)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:
    raise ImportError("BMCampaignEventTrigger needs Airflow 3.0 or newer") from None

from airflow_provider_bm.campaigns.ids import parse_uuid
from airflow_provider_bm.campaigns.times import parse_time
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.exceptions import BMPayloadError, Problem

if TYPE_CHECKING:
    from airflow_provider_bm.client.query import Filters
    from airflow_provider_bm.polling.changes import CampaignSnapshot, PollResult
    from airflow_provider_bm.polling.ledger import Ledger, Store

log = logging.getLogger(__name__)

#: Stored in the metadata database with every trigger: the public path, wherever the class moves.
_CLASS_PATH = "airflow_provider_bm.triggers.BMCampaignEventTrigger"

Event = Literal["execution", "end"]


class BMCampaignEventTrigger(BaseEventTrigger):
    """Sends an asset event for each execution of a campaign, or for its end.

    For one campaign, or for all of a service that match a filter. It runs as long as an active DAG is
    scheduled by the asset, and never gives up: while the API does not respond, the polling interval grows.

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

    The event's ``extra["payload"]`` is ``{"event": …, "campaign": {…}}``, with the campaign as the API
    returned it (4.4). Executions that follow each other faster than ``poke_interval`` become one event,
    since the API reports only the last execution.

    No event is sent twice, not even when the triggerer restarts. On Airflow 3.3+ sent events are recorded in
    the asset's state, and events that were missed while no triggerer ran are sent afterwards. Before
    3.3 nothing can be recorded: each start begins with the results of the first poll.

    Arguments are checked when the DAG is parsed. All triggers of a process for the same service share one
    poller, with the deferred sensors.

    :param campaign_uuid: the campaign; None: all campaigns of the service that match
    :param event: ``execution``: whenever a campaign has executed (its ``last_dt`` changed); ``end``: when it
        has finished
    :param sending_type: only campaigns of these channels
    :param status: only campaigns with these statuses; a campaign that matched is followed until its end
    :param filters: only these campaigns: ``{"contains(name)": "Storm"}``, or pairs; see ``BMHook``
    :param since: also send events for changes after this time (aware datetime, or RFC 3339); None: only
        for changes after the first poll. They are sent again whenever Airflow has lost the asset's state,
        for example because no DAG file had the asset for some minutes. Where nothing can be recorded, a time
        in the past is ignored.
    :param poke_interval: seconds between two polls, and up to a tenth more
    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :raises BMPayloadError: an argument is invalid
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
        self.listing = CampaignFilter.of(sending_type=sending_type, status=status, filters=filters)
        problems = []
        if campaign_uuid is not None and self.listing.filters:
            problems.append(
                Problem("campaign_uuid", campaign_uuid, "cannot be combined with filters: it is one campaign")
            )
        if event not in get_args(Event):
            problems.append(Problem("event", event, f"must be one of {', '.join(get_args(Event))}"))
        if not _is_interval(poke_interval):
            problems.append(Problem("poke_interval", poke_interval, "must be a number of seconds above 0"))
        if not isinstance(bm_conn_id, str) or not bm_conn_id.strip() or "{{" in bm_conn_id:
            problems.append(
                Problem("bm_conn_id", bm_conn_id, "must be the id of a connection, not a template")
            )
        if problems:
            raise BMPayloadError(problems, "event trigger")
        self.campaign_uuid = None if campaign_uuid is None else parse_uuid(campaign_uuid)
        self.event = event
        self.since = None if since is None else parse_time(since, "since")
        self.poke_interval = float(poke_interval)
        self.bm_conn_id = bm_conn_id
        self.service_uuid = None if service_uuid is None else parse_uuid(service_uuid, "service_uuid")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments: ids, filters and times, no secret.

        The same arguments always give the same result: Airflow compares triggers by it.
        """
        return (
            _CLASS_PATH,
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

    def shared_stream_key(self) -> Hashable | None:
        """Let triggers for the same campaign (such as its executions and its end) share polls (Airflow 3.3+).

        Triggers for a list do not: each has its own records of the campaigns that have left the list. On
        every version of Airflow, all triggers for one service share the poller, and with it requests,
        connection and token.
        """
        if self.campaign_uuid is None:
            return None
        return (self.bm_conn_id, self.service_uuid, self.campaign_uuid, self.poke_interval)

    @classmethod
    def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[PollResult, None]:
        """Poll indefinitely: a failure only delays the next poll.

        :param kwargs: arguments of any trigger that shares it
        """
        return _poll_results(cls(**kwargs))

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[PollResult]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Send an event for each change without an event.

        :param shared_stream: the results of the polls; earlier results may be missing
        """
        async with aclosing(self._events(await self._ledger(), shared_stream)) as events:
            async for event in events:
                yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch indefinitely."""
        ledger = await self._ledger()
        async with (
            aclosing(_poll_results(self, ledger.open_campaigns())) as results,
            aclosing(self._events(ledger, results)) as events,
        ):
            async for event in events:
                yield event

    async def _events(
        self, ledger: Ledger, results: AsyncIterator[PollResult]
    ) -> AsyncGenerator[TriggerEvent, None]:
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.campaigns.wait_condition import describe

        log.info("Watching %s: an event for each %s", self._subject(), self.event)
        # Results that could not be recorded yet: all campaigns of the first result, since another trigger has
        # received earlier changes; later only changes, since there may be thousands of polls.
        pending: deque[tuple[datetime, Sequence[CampaignSnapshot]]] = deque()
        is_first = True
        async for result in results:
            snapshots = result.snapshots if is_first else result.changes
            if snapshots or not pending:
                pending.append((result.at, snapshots))
            is_first = False
            try:
                while pending:
                    # Events that were sent before an error are recorded, and not sent again.
                    async for snapshot in ledger.events(*pending[0]):
                        campaign = snapshot.campaign
                        log.info(
                            "Campaign %s: %s", campaign_label(snapshot.uuid, campaign), describe(campaign)
                        )
                        yield TriggerEvent({"event": self.event, "campaign": dict(campaign)})
                    pending.popleft()
            except Exception as error:  # noqa: BLE001 - whatever Airflow's state store raises
                log.warning("The asset's state cannot be read or written; trying again: %s", error)

    async def _ledger(self) -> Ledger:
        """Return the stored records, as soon as they can be read."""
        from airflow_provider_bm.polling.ledger import Ledger, MemoryStore

        # An asset may have watchers on several services.
        where = self.service_uuid or self.bm_conn_id
        query = json.dumps([where, self.campaign_uuid, self.listing.filters])
        name = hashlib.sha256(query.encode()).hexdigest()[:10]
        store: Store | None = getattr(self, "asset_state_store", None)
        while True:
            try:
                if store is not None and not await _belongs_to_one_asset(store, name):
                    store = None
                    log.warning(
                        "Several assets have a watcher with these arguments, so nothing can be recorded in "
                        "their state: a restart begins with what the first poll finds. Give one of them a "
                        "different poke_interval."
                    )
                since = self.since
                if store is None and since is not None and since < datetime.now(UTC):
                    since = None
                    log.warning(
                        "since=%s is ignored: it is not recorded which events were sent, and they would be "
                        "sent again at each start.",
                        self.since,
                    )
                ledger = Ledger(self.event, MemoryStore() if store is None else store, name, since)
                await ledger.load()
                return ledger
            except Exception as error:  # noqa: BLE001 - whatever Airflow's state store raises
                log.warning("The asset's state cannot be read or written; trying again: %s", error)
                await asyncio.sleep(self.poke_interval)

    def _subject(self) -> str:
        if self.campaign_uuid:
            return f"campaign {self.campaign_uuid}"
        filters = ", ".join(f"{key}={value}" for key, value in self.listing.filters)
        return f"campaigns with {filters}" if filters else "all campaigns of the service"


async def _poll_results(
    trigger: BMCampaignEventTrigger, followed: Iterable[str] = ()
) -> AsyncGenerator[PollResult, None]:
    # Imported here, since they load requests: this module is also imported where DAGs are parsed.
    from airflow_provider_bm.polling.changes import ChangeWatcher
    from airflow_provider_bm.triggers.subscription import subscribe

    watcher = ChangeWatcher(
        interval=trigger.poke_interval,
        campaign_uuid=trigger.campaign_uuid,
        listing=trigger.listing if trigger.campaign_uuid is None else None,
        followed=followed,
    )
    with subscribe(watcher, trigger.bm_conn_id, trigger.service_uuid):
        while True:
            yield await watcher.results.get()


def _is_interval(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < 10**9 and math.isfinite(value)


async def _belongs_to_one_asset(store: Store, name: str) -> bool:
    try:
        await store.aget(name)
    except ValueError:
        return False
    return True
