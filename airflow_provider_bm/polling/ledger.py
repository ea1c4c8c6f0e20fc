"""A record of the events that were sent, so that no event is sent twice. Stored in Airflow if possible."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, cast

from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.client.assumptions import MIN_EXECUTION_INTERVAL
from airflow_provider_bm.polling.changes import CampaignSnapshot

#: How long after its last execution a finished campaign keeps its record; then the baseline covers it.
_RETENTION: Final = timedelta(days=1)
#: How often old records are dropped.
TIDY_INTERVAL: Final = timedelta(hours=1)
#: The API's clock has whole seconds, and is read some time before the response arrives.
_CLOCK_RESOLUTION: Final = timedelta(seconds=2)
#: States of a campaign that may still execute.
_FOLLOWED: Final = ("open", "restarted")
#: Records are grouped by the first digit of the UUID; each group is stored as one value.
_PIECES: Final = string.hexdigits[:16]

State = Literal["open", "ended", "restarted", "gone"]
#: What versions before 0.1.0 stored.
_OLD_STATES: Final = {"again": "restarted"}


class Store(Protocol):
    """Where records are kept: an asset's state (Airflow 3.3+)."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    async def aset(self, key: str, value: Any) -> None:
        """Store a value."""


class MemoryStore:
    """Records in memory, lost when the process ends."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        return self._values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Store a value."""
        self._values[key] = value


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known about a campaign.

    :ivar executed_at: its last execution that was sent as an event, or needs no event; None: none yet
    :ivar state: ``open``; ``ended`` (the event was sent, or is not needed); ``restarted`` after it had ended;
        ``gone`` (it seems to have been deleted)
    """

    executed_at: datetime | None = None
    state: State = "open"

    @classmethod
    def from_text(cls, text: str) -> Record:
        """Parse the result of :meth:`to_text`."""
        moment, _, state = text.partition(" ")
        known = cast("State", _OLD_STATES.get(state, state) or "open")
        return cls(executed_at=read_time(moment) if moment else None, state=known)

    def to_text(self) -> str:
        """Return a short form: there may be thousands."""
        moment = "" if self.executed_at is None else self.executed_at.isoformat()
        return moment if self.state == "open" else f"{moment} {self.state}"


class Ledger:
    """Decides which changes are events.

    An execution is an event if it is later than the recorded one of its campaign or, without a record, later
    than the baseline. An end is an event if the campaign was seen before it ended, or has executed after the
    baseline. The record is stored *before* the event is sent: a process that is stopped in between loses the
    event, and no event is sent twice.

    There are records of campaigns that have not ended (which are polled even after they leave the list), and
    of those that have executed after the baseline. They are stored in a few large pieces, since
    each access to Airflow's store takes tens of milliseconds.

    :param event: ``execution`` or ``end``
    :param store: where records are kept
    :param name: identifies the query; queries do not share records
    :param since: the baseline, if there is none in the store; None: the first poll sets it, without events
    :param tidy_interval: how often old records are dropped; default 1 hour
    """

    def __init__(
        self,
        event: Literal["execution", "end"],
        store: Store,
        name: str,
        since: datetime | None = None,
        *,
        tidy_interval: timedelta = TIDY_INTERVAL,
    ) -> None:
        self.event, self.store, self.since = event, store, since
        self._prefix = f"bm/{event}/{name}"
        self._baseline: datetime | None = None
        self._records: dict[str, Record] = {}
        self._tidy_interval = tidy_interval
        self._tidied_at: datetime | None = None

    async def load(self) -> None:
        """Read the stored records, if there are any."""
        baseline = await self.store.aget(f"{self._prefix}/since")
        if baseline is None:
            return
        for piece in _PIECES:
            self._records.update(await self._load(piece))
        self._baseline = read_time(baseline)

    def open_campaigns(self) -> frozenset[str]:
        """Return the campaigns that had not ended when they were recorded."""
        return frozenset(uuid for uuid, record in self._records.items() if record.state in _FOLLOWED)

    async def events(
        self, at: datetime, snapshots: Iterable[CampaignSnapshot]
    ) -> AsyncIterator[CampaignSnapshot]:
        """Yield the campaigns to send an event for, after recording them.

        :param at: when the poll began, by the server's clock
        :param snapshots: all campaigns of the first poll, later those that have changed
        """
        if self._baseline is None:
            await self._begin(at, snapshots)
        for piece, group in _in_pieces(snapshots):
            for snapshot in await self._record(piece, group, at):
                yield snapshot
        await self._tidy(at)

    async def _begin(self, at: datetime, snapshots: Iterable[CampaignSnapshot]) -> None:
        """Set the baseline for the first time."""
        self._baseline = self.since or at - _CLOCK_RESOLUTION
        try:
            if self.since is None:
                for piece, group in _in_pieces(snapshots):
                    changed, _ = self._decide(group, at)
                    await self._save(piece, changed)  # without an event
            # Last, so that a process that is stopped before this line starts from scratch.
            await self.store.aset(f"{self._prefix}/since", self._baseline.isoformat())
        except BaseException:
            self._baseline = None
            raise

    async def _record(
        self, piece: str, snapshots: Sequence[CampaignSnapshot], now: datetime
    ) -> list[CampaignSnapshot]:
        """Record some campaigns, and return those to send an event for."""
        changed, events = self._decide(snapshots, now)
        if changed:
            # Another process may have sent it: Airflow moves triggers from a triggerer that seems to be dead.
            self._records.update(await self._load(piece))
            changed, events = self._decide(snapshots, now)
            await self._save(piece, changed)
        return events

    def _decide(
        self, snapshots: Sequence[CampaignSnapshot], now: datetime
    ) -> tuple[dict[str, Record | None], list[CampaignSnapshot]]:
        changed, events = {}, []
        for snapshot in snapshots:
            old = self._records.get(snapshot.uuid)
            new, is_event = self._evaluate(snapshot, old, now)
            if new != old:
                changed[snapshot.uuid] = new
            if is_event:
                events.append(snapshot)
        return changed, events

    def _evaluate(
        self, snapshot: CampaignSnapshot, old: Record | None, now: datetime
    ) -> tuple[Record | None, bool]:
        """Return the new record of a campaign, and whether to send an event."""
        if snapshot.gone:
            # It may reappear, and then no event must be sent twice.
            if old is None:
                return None, False
            states: dict[str, State] = {"open": "gone", "restarted": "ended"}
            return self._if_needed(replace(old, state=states.get(old.state, old.state))), False
        is_new = self._is_new(snapshot.executed_at, old)
        executed_at = snapshot.executed_at if is_new or old is None else old.executed_at
        if self.event == "execution":
            record = Record(executed_at=executed_at, state="ended" if snapshot.finished else "open")
            return self._if_needed(record), is_new
        had_ended = old is not None and old.state in ("ended", "restarted") and not is_new
        is_event = snapshot.finished and not had_ended and (is_new or old is not None)
        if is_event:
            # Only an execution after this one can make it end again.
            executed_at = executed_at or now
        state: State = "ended" if snapshot.finished else "restarted" if had_ended else "open"
        return self._if_needed(Record(executed_at=executed_at, state=state)), is_event

    def _is_new(self, moment: datetime | None, old: Record | None) -> bool:
        """Return whether an execution is later than the recorded one or, without one, the baseline."""
        recorded = None if old is None else old.executed_at
        known = [self._baseline] if recorded is None else [self.since, recorded]
        return moment is not None and all(
            each is None or moment - each >= MIN_EXECUTION_INTERVAL for each in known
        )

    def _if_needed(self, record: Record) -> Record | None:
        """Return the record, or None if the baseline makes it redundant."""
        needed = record.state in _FOLLOWED or self._is_new(record.executed_at, None)
        return record if needed else None

    async def _tidy(self, now: datetime) -> None:
        """Move the baseline past campaigns that ended some time ago, so that records do not accumulate."""
        if self._tidied_at is not None and now - self._tidied_at < self._tidy_interval:
            return
        self._tidied_at = now
        ended = [record for record in self._records.values() if record.state not in _FOLLOWED]
        times = [record.executed_at for record in ended if record.executed_at is not None]
        covered = max((moment for moment in times if moment < now - _RETENTION), default=None)
        if covered is None or (self._baseline is not None and covered <= self._baseline):
            return
        for piece in _PIECES:
            # The new baseline must not cover executions of campaigns that could not be read in that time.
            await self._rewrite(
                piece, lambda record: replace(record, executed_at=record.executed_at or self._baseline)
            )
        await self.store.aset(f"{self._prefix}/since", covered.isoformat())
        self._baseline = covered
        for piece in _PIECES:
            await self._rewrite(piece, self._if_needed)

    async def _rewrite(self, piece: str, change: Callable[[Record], Record | None]) -> None:
        """Change all records of a piece, if any of them must change."""

        def changed() -> dict[str, Record | None]:
            records = {uuid: record for uuid, record in self._records.items() if uuid[0] == piece}
            return {uuid: new for uuid, record in records.items() if (new := change(record)) != record}

        if changed():
            self._records.update(await self._load(piece))
            await self._save(piece, changed())

    async def _load(self, piece: str) -> dict[str, Record]:
        stored = await self.store.aget(f"{self._prefix}/{piece}") or {}
        return {uuid: Record.from_text(text) for uuid, text in stored.items()}

    async def _save(self, piece: str, changed: dict[str, Record | None]) -> None:
        if not changed:
            return
        records = {uuid: record for uuid, record in self._records.items() if uuid[0] == piece} | changed
        kept = {uuid: record for uuid, record in records.items() if record is not None}
        stored = {uuid: record.to_text() for uuid, record in kept.items()}
        await self.store.aset(f"{self._prefix}/{piece}", stored)
        for uuid in records.keys() - kept.keys():
            self._records.pop(uuid, None)
        self._records.update(kept)


def _in_pieces(snapshots: Iterable[CampaignSnapshot]) -> Iterator[tuple[str, list[CampaignSnapshot]]]:
    pieces: dict[str, list[CampaignSnapshot]] = {}
    for snapshot in snapshots:
        pieces.setdefault(snapshot.uuid[0], []).append(snapshot)
    yield from pieces.items()
