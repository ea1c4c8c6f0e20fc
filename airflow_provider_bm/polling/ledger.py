"""Which events have been told, so that none is told twice: kept in Airflow, where Airflow can keep it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.polling.events import Sight

#: What was told this long before the newest is covered by the baseline, and forgotten.
_REMEMBERED = timedelta(days=1)
#: The server's clock may be so much behind: what the first look sees of that time is noted one by one.
_CLOCKS_DIFFER = timedelta(minutes=5)
#: Noted of a campaign that has not executed, or whose end is still to come.
_OPEN = "open"
_ENDED = "ended"


class Store(Protocol):
    """Where notes are kept: an asset's state (Airflow 3.3+)."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a note."""

    async def aset(self, key: str, value: Any) -> None:
        """Keep a note."""

    async def adelete(self, key: str) -> None:
        """Drop a note."""


class Memory:
    """Notes that end with the process."""

    def __init__(self) -> None:
        self._notes: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a note."""
        return self._notes.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Keep a note."""
        self._notes[key] = value

    async def adelete(self, key: str) -> None:
        """Drop a note."""
        self._notes.pop(key, None)


class Ledger:
    """Decides what is news.

    An execution is news if it is later than the one seen before, or, of a campaign not seen before, later
    than the baseline; an end, if the campaign was seen before its end, or executed later than the baseline.
    It is noted *before* it is told: a process that is killed in between loses one event, and none is ever
    told twice.

    :param event: ``execution`` or ``end``
    :param store: where notes are kept
    :param name: names the baseline; another question about the same asset has another one
    :param since: the baseline, if there is none in the store; None: what the first look sees is not news
    """

    def __init__(
        self, event: Literal["execution", "end"], store: Store, name: str, since: datetime | None = None
    ) -> None:
        self.event, self.store, self.since = event, store, since
        self._baseline_key = f"bm/{event}/since/{name}"
        self._baseline: datetime | None = None
        self._seen: dict[str, str] = {}
        self._stored: set[str] = set()
        self._closed: dict[str, datetime] = {}

    async def news(self, sights: Sequence[Sight]) -> AsyncIterator[Sight]:
        """Yield what is to be told of a look; each is noted already."""
        if self._baseline is None:
            self._baseline = await self._begin(sights)
        for sight in sights:
            if await self._is_news(sight, self._baseline):
                yield sight
        self._baseline = await self._tidy(self._baseline)

    async def _begin(self, sights: Sequence[Sight]) -> datetime:
        noted = await self.store.aget(self._baseline_key)
        if noted is not None:
            return read_time(noted)
        baseline = self.since or datetime.now(UTC) - _CLOCKS_DIFFER
        if self.since is None:
            for sight in sights:
                if sight.executed_at is not None and sight.executed_at > baseline:
                    await self._is_news(sight, baseline)  # noted, and not told
        # Last, so that a process that is killed before begins anew.
        await self.store.aset(self._baseline_key, baseline.isoformat())
        return baseline

    async def _is_news(self, sight: Sight, baseline: datetime) -> bool:
        uuid = sight.uuid
        if sight.gone:
            await self._forget(uuid)
            return False
        seen = await self._seen_before(uuid)
        decide = _execution if self.event == "execution" else _end
        note, is_news = decide(sight, seen, baseline)
        if note != seen:
            if is_news or self.event == "end":
                await self.store.aset(self._key(uuid), note)
                self._stored.add(uuid)
            self._seen[uuid] = note
        if sight.finished and sight.executed_at is not None:
            self._closed[uuid] = sight.executed_at
        return is_news

    async def _seen_before(self, uuid: str) -> str | None:
        if uuid not in self._seen and (noted := await self.store.aget(self._key(uuid))) is not None:
            self._seen[uuid] = noted
            self._stored.add(uuid)
        return self._seen.get(uuid)

    async def _tidy(self, baseline: datetime) -> datetime:
        """Forget finished campaigns some time after: the baseline covers them, and notes do not pile up."""
        limit = datetime.now(UTC) - _REMEMBERED
        old = {uuid: moment for uuid, moment in self._closed.items() if moment < limit}
        latest = max(old.values(), default=baseline)
        if latest > baseline:
            await self.store.aset(self._baseline_key, latest.isoformat())
            baseline = latest
        for uuid in old:
            await self._forget(uuid)
        return baseline

    async def _forget(self, uuid: str) -> None:
        if uuid in self._stored:
            await self.store.adelete(self._key(uuid))
        self._stored.discard(uuid)
        self._seen.pop(uuid, None)
        self._closed.pop(uuid, None)

    def _key(self, uuid: str) -> str:
        return f"bm/{self.event}/{uuid}"


def _execution(sight: Sight, seen: str | None, baseline: datetime) -> tuple[str, bool]:
    """What to note of a campaign, and whether it has executed anew."""
    moment = sight.executed_at
    if moment is None:
        return seen or _OPEN, False
    if seen is None:
        is_news = moment > baseline
    else:
        is_news = seen == _OPEN or moment > read_time(seen)
    return moment.isoformat() if is_news or seen is None else seen, is_news


def _end(sight: Sight, seen: str | None, baseline: datetime) -> tuple[str, bool]:
    """What to note of a campaign, and whether it has just come to its end."""
    if not sight.finished:
        return seen or _OPEN, False
    if seen is None:
        return _ENDED, sight.executed_at is not None and sight.executed_at > baseline
    return _ENDED, seen == _OPEN
