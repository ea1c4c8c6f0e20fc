"""Which events have been told, so that none is told twice: kept in Airflow, where Airflow can keep it."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, cast

from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.polling.changes import Sight

#: What a campaign that has ended did last is covered by the baseline so long after, and its note is dropped.
_REMEMBERED = timedelta(days=1)
#: How often that is looked after.
_TIDY_AFTER = timedelta(hours=1)
#: Where the API tells its time, it does so in whole seconds, and some time before the answer arrives.
_INEXACT = timedelta(seconds=2)
#: Executions that are less apart are one, of which the API has told the time more exactly, or less.
_APART = timedelta(seconds=1)
#: States of a campaign that may still do something.
_FOLLOWED = ("open", "again")


class Store(Protocol):
    """Where notes are kept: an asset's state (Airflow 3.3+)."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a note."""

    async def aset(self, key: str, value: Any) -> None:
        """Keep a note."""


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


State = Literal["open", "ended", "again", "gone"]


@dataclass(frozen=True, kw_only=True)
class Note:
    """What is known of a campaign.

    :ivar executed_at: its last execution that was told, or needs no telling; None: none yet
    :ivar state: ``open``; ``ended`` (that was told, or needs no telling), or ``again`` (and it was started
        once more); ``gone`` (deleted, it seems)
    """

    executed_at: datetime | None = None
    state: State = "open"

    @classmethod
    def read(cls, value: str) -> Note:
        """Read what :meth:`written` has made."""
        moment, _, state = value.partition(" ")
        known = cast("State", state or "open")
        return cls(executed_at=read_time(moment) if moment else None, state=known)

    def written(self) -> str:
        """Return it in a short form: there may be thousands."""
        moment = "" if self.executed_at is None else self.executed_at.isoformat()
        return moment if self.state == "open" else f"{moment} {self.state}"


class Ledger:
    """Decides what is news.

    An execution is news if it is later than the one that was noted of its campaign; where none was, than the
    baseline. An end is, if the campaign was seen before its end, or has executed later than that. It is noted
    *before* it is told: a process that is stopped in between loses what it was about to tell, and nothing is
    ever told twice.

    Notes are kept of campaigns that have not ended (which are looked for even if they are in no list any
    more), and of those that have executed after the baseline. They are in a few large pieces, by the first
    letter of the UUID: each access takes Airflow some hundredths of a second.

    :param event: ``execution`` or ``end``
    :param store: where notes are kept
    :param name: names the question; each has notes of its own
    :param since: the baseline, if there is none in the store; None: what the first look sees is not news
    """

    def __init__(
        self, event: Literal["execution", "end"], store: Store, name: str, since: datetime | None = None
    ) -> None:
        self.event, self.store, self.since = event, store, since
        self._prefix = f"bm/{event}/{name}"
        self._baseline: datetime | None = None
        self._notes: dict[str, Note] = {}
        self._tidied_at: datetime | None = None

    async def load(self) -> None:
        """Read the notes of earlier times, if there are any."""
        noted = await self.store.aget(f"{self._prefix}/since")
        if noted is None:
            return
        for piece in string.hexdigits[:16]:
            self._notes.update(await self._load(piece))
        self._baseline = read_time(noted)

    def open_campaigns(self) -> frozenset[str]:
        """Campaigns that had not come to their end when they were noted."""
        return frozenset(uuid for uuid, note in self._notes.items() if note.state in _FOLLOWED)

    async def news(self, at: datetime, sights: Iterable[Sight]) -> AsyncIterator[Sight]:
        """Yield what is to be told of a look; each is noted already.

        :param at: when it was begun, by the server's clock
        :param sights: what was seen: all at the first look, later what may be news
        """
        if self._baseline is None:
            await self._begin(at, sights)
        for piece, some in _in_pieces(sights):
            for sight in await self._note(piece, some, at):
                yield sight
        await self._tidy(at)

    async def _begin(self, at: datetime, sights: Iterable[Sight]) -> None:
        """Set the baseline, for the first time."""
        self._baseline = self.since or at - _INEXACT
        try:
            if self.since is None:
                for piece, some in _in_pieces(sights):
                    changed, _ = self._decide(some, at)
                    await self._save(piece, changed)  # and do not tell
            # Last, so that a process that is stopped before begins anew.
            await self.store.aset(f"{self._prefix}/since", self._baseline.isoformat())
        except BaseException:
            self._baseline = None
            raise

    async def _note(self, piece: str, sights: Sequence[Sight], now: datetime) -> list[Sight]:
        """Note what is seen of some campaigns, and return what of it is news."""
        changed, news = self._decide(sights, now)
        if changed:
            # Another process may have told it: Airflow takes triggers over from one that it believes dead.
            self._notes.update(await self._load(piece))
            changed, news = self._decide(sights, now)
            await self._save(piece, changed)
        return news

    def _decide(self, sights: Sequence[Sight], now: datetime) -> tuple[dict[str, Note | None], list[Sight]]:
        changed, news = {}, []
        for sight in sights:
            seen = self._notes.get(sight.uuid)
            note, is_news = self._look_at(sight, seen, now)
            if note != seen:
                changed[sight.uuid] = note
            if is_news:
                news.append(sight)
        return changed, news

    def _look_at(self, sight: Sight, seen: Note | None, now: datetime) -> tuple[Note | None, bool]:
        """What to note of a campaign from now on, and whether there is something to tell."""
        if sight.gone:
            # Or it just seems so: should it come back, nothing is told twice.
            if seen is None:
                return None, False
            states: dict[str, State] = {"open": "gone", "again": "ended"}
            return self._worth(replace(seen, state=states.get(seen.state, seen.state))), False
        moved = self._is_new(sight.executed_at, seen)
        executed_at = sight.executed_at if moved or seen is None else seen.executed_at
        if self.event == "execution":
            note = Note(executed_at=executed_at, state="ended" if sight.finished else "open")
            return self._worth(note), moved
        told = seen is not None and seen.state in ("ended", "again") and not moved
        is_news = sight.finished and not told and (moved or seen is not None)
        if is_news:
            # Whatever it did before: only what it does after this can make it end once more.
            executed_at = executed_at or now
        state: State = "ended" if sight.finished else "again" if told else "open"
        return self._worth(Note(executed_at=executed_at, state=state)), is_news

    def _is_new(self, moment: datetime | None, seen: Note | None) -> bool:
        """Whether an execution is another one than was noted; later than the baseline, where none was."""
        noted = None if seen is None else seen.executed_at
        known = [self._baseline] if noted is None else [self.since, noted]
        return moment is not None and all(one is None or moment - one >= _APART for one in known)

    def _worth(self, note: Note) -> Note | None:
        """The note; none, if the baseline says as much."""
        return note if note.state in _FOLLOWED or self._is_new(note.executed_at, None) else None

    async def _tidy(self, now: datetime) -> None:
        """Let the baseline cover those that have ended, some time after, and notes do not pile up."""
        if self._tidied_at is not None and now - self._tidied_at < _TIDY_AFTER:
            return
        self._tidied_at = now
        closed = [note for note in self._notes.values() if note.state not in _FOLLOWED]
        times = [note.executed_at for note in closed if note.executed_at is not None]
        covered = max((moment for moment in times if moment < now - _REMEMBERED), default=None)
        if covered is None or (self._baseline is not None and covered <= self._baseline):
            return
        for piece in string.hexdigits[:16]:
            # The later baseline must not cover what those do that could not be read for so long.
            await self._rewrite(
                piece, lambda note: replace(note, executed_at=note.executed_at or self._baseline)
            )
        await self.store.aset(f"{self._prefix}/since", covered.isoformat())
        self._baseline = covered
        for piece in string.hexdigits[:16]:
            await self._rewrite(piece, self._worth)

    async def _rewrite(self, piece: str, change: Callable[[Note], Note | None]) -> None:
        """Change all notes of a piece, if any of them has to be."""

        def changed() -> dict[str, Note | None]:
            notes = {uuid: note for uuid, note in self._notes.items() if uuid[0] == piece}
            return {uuid: new for uuid, note in notes.items() if (new := change(note)) != note}

        if changed():
            self._notes.update(await self._load(piece))
            await self._save(piece, changed())

    async def _load(self, piece: str) -> dict[str, Note]:
        held = await self.store.aget(f"{self._prefix}/{piece}") or {}
        return {uuid: Note.read(value) for uuid, value in held.items()}

    async def _save(self, piece: str, changed: dict[str, Note | None]) -> None:
        if not changed:
            return
        notes = {uuid: note for uuid, note in self._notes.items() if uuid[0] == piece} | changed
        kept = {uuid: note for uuid, note in notes.items() if note is not None}
        await self.store.aset(f"{self._prefix}/{piece}", {uuid: one.written() for uuid, one in kept.items()})
        for uuid in notes.keys() - kept.keys():
            self._notes.pop(uuid, None)
        self._notes.update(kept)


def _in_pieces(sights: Iterable[Sight]) -> Iterator[tuple[str, list[Sight]]]:
    pieces: dict[str, list[Sight]] = {}
    for sight in sights:
        pieces.setdefault(sight.uuid[0], []).append(sight)
    yield from pieces.items()
