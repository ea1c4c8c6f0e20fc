"""The trigger that turns what campaigns do into asset events (Airflow 3.0+)."""

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
    from airflow_provider_bm.polling.changes import Look, Sight
    from airflow_provider_bm.polling.ledger import Ledger, Store

log = logging.getLogger(__name__)

#: Stored in the metadata database of every deferred task: the public path, wherever the class moves.
_CLASS_PATH = "airflow_provider_bm.triggers.BMCampaignEventTrigger"

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
    noted: each start begins anew, at what the first look sees.

    Arguments are checked where the DAG is parsed. All triggers of a process that watch the same service
    share one poller, with the deferred sensors.

    :param campaign_uuid: the campaign; None: all of the service that match
    :param event: ``execution``: whenever a campaign has executed (its ``last_dt`` moved); ``end``: when it
        has finished
    :param sending_type: only campaigns of these channels
    :param status: only campaigns with these statuses; one that matched is watched on until its end
    :param filters: only these campaigns: ``{"startswith(name)": "Storm"}``, or pairs; see ``BMHook``
    :param since: tell of what happened after this time (aware datetime, or RFC 3339); None: of what happens
        after the first look. It is told again whenever Airflow has lost the asset's state, as for an asset
        that was in no DAG file for some minutes. Where nothing can be noted, a time in the past does not
        count.
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
        self.listing = CampaignFilter.of(sending_type=sending_type, status=status, filters=filters)
        problems = []
        if campaign_uuid is not None and self.listing.filters:
            problems.append(
                Problem("campaign_uuid", campaign_uuid, "goes without filters: it is one campaign")
            )
        if event not in get_args(Event):
            problems.append(Problem("event", event, f"must be one of {', '.join(get_args(Event))}"))
        if not _is_interval(poke_interval):
            problems.append(Problem("poke_interval", poke_interval, "must be a number of seconds above 0"))
        if not isinstance(bm_conn_id, str) or not bm_conn_id.strip() or "{{" in bm_conn_id:
            problems.append(Problem("bm_conn_id", bm_conn_id, "must be the id of a connection, no template"))
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

        The same arguments always give the same: Airflow tells triggers apart by it.
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
        """Who watches the same campaign (its executions and its end, say) shares the looks (Airflow 3.3+).

        What watches a list does not: which campaigns it still follows that have left the list, its own notes
        say. All on one service share the poller, and with it requests, connection and token; deferred tasks
        do, too, and so do all of these in other versions of Airflow.
        """
        if self.campaign_uuid is None:
            return None
        return (self.bm_conn_id, self.service_uuid, self.campaign_uuid, self.poke_interval)

    @classmethod
    def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Look, None]:
        """Look, for ever: whatever goes wrong, it only takes longer until the next look.

        :param kwargs: arguments of any of those who share it
        """
        return _looks(cls(**kwargs))

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Look]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Tell of what is news among what was seen.

        :param shared_stream: the looks; it may have been looked before
        """
        async with aclosing(self._tell(await self._ledger(), shared_stream)) as events:
            async for event in events:
                yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, for ever."""
        ledger = await self._ledger()
        async with (
            aclosing(_looks(self, ledger.open_campaigns())) as looks,
            aclosing(self._tell(ledger, looks)) as events,
        ):
            async for event in events:
                yield event

    async def _tell(self, ledger: Ledger, looks: AsyncIterator[Look]) -> AsyncGenerator[TriggerEvent, None]:
        from airflow_provider_bm.campaigns.wait_condition import describe

        log.info("Watching %s: an event for each %s", self._subject(), self.event)
        # What could not be noted yet: of the first look that comes here all, since what was news in those
        # before it somebody else has seen; of later ones what is news, since there may be thousands of looks.
        waiting: deque[tuple[datetime, Sequence[Sight]]] = deque()
        first = True
        async for look in looks:
            sights = look.sights if first else look.news
            if sights or not waiting:
                waiting.append((look.at, sights))
            first = False
            try:
                while waiting:
                    # What was told before an error is noted, and not news again.
                    async for sight in ledger.news(*waiting[0]):
                        log.info("Campaign %s: %s", sight.uuid, describe(sight.campaign))
                        yield TriggerEvent({"event": self.event, "campaign": dict(sight.campaign)})
                    waiting.popleft()
            except Exception as error:  # noqa: BLE001 - whatever Airflow's state store raises
                log.warning("The asset's state cannot be reached, trying again: %s", error)

    async def _ledger(self) -> Ledger:
        """The notes of earlier times, as soon as they can be read."""
        from airflow_provider_bm.polling.ledger import Ledger, Memory

        # An asset may have watchers on several services.
        where = self.service_uuid or self.bm_conn_id
        question = json.dumps([where, self.campaign_uuid, self.listing.filters])
        name = hashlib.sha256(question.encode()).hexdigest()[:10]
        store: Store | None = getattr(self, "asset_state_store", None)
        while True:
            try:
                if store is not None and not await _is_of_one_asset(store, name):
                    store = None
                    log.warning(
                        "Several assets have a watcher with these arguments, so nothing can be noted in "
                        "their state: a restart begins anew. Give one another poke_interval."
                    )
                since = self.since
                if store is None and since is not None and since < datetime.now(UTC):
                    since = None
                    log.warning(
                        "since=%s does not count: nobody knows what was told, and it would be told again at "
                        "each start.",
                        self.since,
                    )
                ledger = Ledger(self.event, Memory() if store is None else store, name, since)
                await ledger.load()
                return ledger
            except Exception as error:  # noqa: BLE001 - whatever Airflow's state store raises
                log.warning("The asset's state cannot be reached, trying again: %s", error)
                await asyncio.sleep(self.poke_interval)

    def _subject(self) -> str:
        if self.campaign_uuid:
            return f"campaign {self.campaign_uuid}"
        filters = ", ".join(f"{key}={value}" for key, value in self.listing.filters)
        return f"campaigns with {filters}" if filters else "all campaigns of the service"


async def _looks(asks: BMCampaignEventTrigger, followed: Iterable[str] = ()) -> AsyncGenerator[Look, None]:
    # These load requests; the module is imported where DAGs are parsed, too.
    from airflow_provider_bm.polling.changes import CampaignEvents
    from airflow_provider_bm.triggers.subscription import subscribe

    watcher = CampaignEvents(
        interval=asks.poke_interval,
        campaign_uuid=asks.campaign_uuid,
        listing=asks.listing if asks.campaign_uuid is None else None,
        followed=followed,
    )
    with subscribe(watcher, asks.bm_conn_id, asks.service_uuid):
        while True:
            yield await watcher.looks.get()


def _is_interval(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < 10**9 and math.isfinite(value)


async def _is_of_one_asset(store: Store, name: str) -> bool:
    try:
        await store.aget(name)
    except ValueError:
        return False
    return True
