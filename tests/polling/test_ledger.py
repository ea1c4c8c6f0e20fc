"""What is news, and what is noted of it: nothing is told twice, whatever a server says."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bm.polling import ledger as module
from airflow_provider_bm.polling.changes import Sight
from airflow_provider_bm.polling.ledger import Ledger

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ONE, OTHER, BESIDE = (f"{start}111111-c1af-11ee-8073-bf4d6e8c1618" for start in ("a1", "b1", "a2"))


class Notes(dict[str, Any]):
    """An asset's state, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails_at: int | None = None

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.fails_at:
            raise ConnectionError("the API server is away")

    async def aget(self, key: str, default: Any = None) -> Any:
        self._call()
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        assert value is not None
        self[key] = value
        self._call()


def seen(campaign_uuid: str = ONE, at: datetime | None = None, status: str = "active") -> Sight:
    campaign = {"uuid": campaign_uuid, "status": status, "last_dt": None if at is None else at.isoformat()}
    return Sight.of(campaign)


def gone(campaign_uuid: str = ONE) -> Sight:
    return Sight(uuid=campaign_uuid, executed_at=None, finished=False, campaign={}, gone=True)


class Watching:
    """A watcher's notes over its life, with restarts."""

    def __init__(self, event: str = "execution", notes: Notes | None = None, **arguments: Any) -> None:
        self.event, self.arguments = event, arguments
        self.notes = Notes() if notes is None else notes
        self.restart()

    def restart(self) -> None:
        self.ledger = Ledger(self.event, self.notes, "name", **self.arguments)
        asyncio.run(self.ledger.load())

    def look(self, *sights: Sight, at: datetime = NOON) -> list[str]:
        """What is told of a look."""

        async def news() -> list[str]:
            return [sight.uuid async for sight in self.ledger.news(at, sights)]

        return asyncio.run(news())


@pytest.fixture(params=["goes on", "restarts"])
def again(request):
    """Each story is the same if the triggerer restarts in the middle."""
    return lambda watching: watching.restart() if request.param == "restarts" else None


@pytest.mark.parametrize(
    ("first", "then", "news"),
    [
        (NOON - MINUTE, NOON - MINUTE, False),
        (NOON - MINUTE, NOON + MINUTE, True),
        (None, NOON + MINUTE, True),
        # It was there before, and only the API said otherwise.
        (None, NOON - 50 * DAY, False),
        (NOON, NOON + timedelta(seconds=0.25), False),
        (NOON, NOON - MINUTE, False),
        (NOON, None, False),
        (NOON, NOON.astimezone(UTC).replace(tzinfo=UTC), False),
    ],
)
def test_executions(again, first, then, news):
    watching = Watching()
    assert watching.look(seen(at=first)) == []
    again(watching)
    assert watching.look(seen(at=then)) == ([ONE] if news else [])
    again(watching)
    assert watching.look(seen(at=then)) == []


def test_an_execution_that_is_told_more_exactly_later(again):
    watching = Watching()
    watching.look(seen())
    assert watching.look(seen(at=NOON + MINUTE)) == [ONE]
    again(watching)
    assert watching.look(seen(at=NOON + MINUTE + timedelta(seconds=0.25))) == []


def test_ends(again):
    watching = Watching("end")
    assert watching.look(seen(), seen(OTHER, status="finished", at=NOON - MINUTE)) == []
    again(watching)
    assert watching.look(seen(at=NOON + MINUTE, status="finished")) == [ONE]
    again(watching)
    for status in ("finished", "active", "finished"):  # as an old copy of the data would say
        assert watching.look(seen(at=NOON + MINUTE, status=status)) == []
    again(watching)
    assert watching.look(seen(at=NOON + 9 * MINUTE)) == [], "somebody has started it once more"
    assert watching.look(seen(at=NOON + 9 * MINUTE, status="finished")) == [ONE]


def test_an_end_without_an_execution_is_told_once(again):
    watching = Watching("end")
    watching.look(seen())
    assert watching.look(seen(status="finished")) == [ONE]
    again(watching)
    for status in ("finished", "active", "finished"):
        assert watching.look(seen(status=status)) == []


@pytest.mark.parametrize("event", ["execution", "end"])
def test_a_campaign_that_seemed_to_be_gone(again, event):
    watching = Watching(event)
    watching.look(seen())
    told = watching.look(seen(at=NOON + MINUTE, status="finished" if event == "end" else "active"))
    assert told == [ONE]
    assert watching.look(gone()) == []
    again(watching)
    for status in ("active", "finished"):
        assert watching.look(seen(at=NOON + MINUTE, status=status)) == []


def test_one_that_was_started_once_more_and_seemed_to_be_gone(again):
    watching = Watching("end")
    watching.look(seen())
    ended = seen(at=NOON + MINUTE, status="finished")
    assert watching.look(ended) == [ONE]
    assert watching.look(seen(at=NOON + MINUTE)) == []
    assert watching.look(gone()) == []
    again(watching)
    assert watching.look(ended) == []


def test_a_campaign_that_seemed_to_be_gone_can_still_end(again):
    watching = Watching("end")
    watching.look(seen(at=NOON + MINUTE))
    watching.look(gone())
    again(watching)
    assert watching.look(seen(at=NOON + MINUTE)) == []
    assert watching.look(seen(at=NOON + MINUTE, status="finished")) == [ONE]


def test_since(again):
    watching = Watching(since=NOON - DAY)
    old, new = seen(at=NOON - 2 * DAY), seen(OTHER, at=NOON - MINUTE)
    assert watching.look(old, new) == [OTHER]
    again(watching)
    assert watching.look(old, new) == []


def test_since_tomorrow(again):
    watching = Watching(since=NOON + DAY)
    watching.look(seen())
    again(watching)
    assert watching.look(seen(at=NOON + MINUTE)) == []
    assert watching.look(seen(at=NOON + 2 * DAY)) == [ONE]


def test_who_is_open_is_followed_after_a_restart():
    watching = Watching()
    watching.look(seen(), seen(OTHER, status="finished", at=NOON + MINUTE))
    watching.restart()
    assert watching.ledger.open_campaigns() == {ONE}
    watching.look(gone())
    watching.restart()
    assert watching.ledger.open_campaigns() == set()


def test_two_copies_of_a_watcher():
    """Airflow takes triggers over from a triggerer that it believes dead."""
    first = Watching()
    first.look(seen())
    second = Watching(notes=first.notes)
    assert first.look(seen(at=NOON + MINUTE)) == [ONE]
    assert second.look(seen(at=NOON + MINUTE)) == []


def test_a_copy_that_has_no_news_leaves_the_others_notes_alone():
    """It keeps them in pieces, of which one holds many campaigns."""
    first = Watching()
    first.look(seen(), seen(BESIDE))
    second = Watching(notes=first.notes)
    assert first.look(seen(at=NOON + MINUTE)) == [ONE]
    # Its own answer is a moment older, but another campaign has ended, or is new.
    assert second.look(seen(BESIDE, status="finished")) == []
    assert second.look(seen(at=NOON + MINUTE)) == []
    second.restart()
    assert second.look(seen(at=NOON + MINUTE)) == []


def test_a_copy_that_tidies_leaves_the_others_notes_alone(monkeypatch):
    monkeypatch.setattr(module, "_TIDY_AFTER", timedelta(0))
    first = Watching()
    first.look(seen(), seen(BESIDE))
    assert first.look(seen(BESIDE, at=NOON + MINUTE, status="finished")) == [BESIDE]
    second = Watching(notes=first.notes)
    assert first.look(seen(at=NOON + 2 * MINUTE)) == [ONE]
    assert second.look(at=NOON + 2 * DAY) == []
    second.restart()
    assert second.look(seen(at=NOON + 2 * MINUTE), at=NOON + 2 * DAY) == []


@pytest.mark.parametrize("before", [NOON - HOUR, None])
def test_what_cannot_be_read_at_first_is_told_later(again, before):
    """After two days without a triggerer, while another campaign is tidied away."""
    watching = Watching()
    watching.look(seen(at=before), seen(OTHER, at=NOON - HOUR))
    watching.restart()
    back = NOON + 2 * DAY
    assert watching.look(seen(OTHER, at=NOON + 6 * HOUR, status="finished"), at=back) == [OTHER]
    again(watching)
    assert watching.look(seen(at=NOON + 3 * HOUR), at=back + MINUTE) == [ONE]


def test_who_is_started_once_more_is_followed_after_a_restart():
    """It has left a list of active ones, say, while no triggerer ran."""
    watching = Watching("end")
    watching.look(seen())
    assert watching.look(seen(at=NOON + MINUTE, status="finished")) == [ONE]
    watching.restart()
    assert watching.ledger.open_campaigns() == set()
    assert watching.look(seen(at=NOON + MINUTE)) == []
    watching.restart()
    assert watching.ledger.open_campaigns() == {ONE}
    assert watching.look(seen(at=NOON + HOUR, status="finished")) == [ONE]


def test_a_watcher_with_another_question_has_notes_of_its_own():
    one = Watching()
    one.look(seen())
    other = Watching(notes=one.notes)
    other.ledger = Ledger("execution", one.notes, "another name")
    other.look(seen())
    assert (one.look(seen(at=NOON + MINUTE)), other.look(seen(at=NOON + MINUTE))) == ([ONE], [ONE])


@pytest.mark.parametrize("event", ["execution", "end"])
def test_whenever_a_note_cannot_be_kept(event):
    """Nothing is told twice, and what was not noted is told later."""
    status = "finished" if event == "end" else "active"
    for fails_at in range(1, 60):
        watching = Watching(event)
        watching.notes.fails_at = fails_at
        told: list[str] = []
        for sights in ([seen(), seen(OTHER)], [seen(at=NOON + MINUTE, status=status), seen(OTHER)]):
            for _ in range(2):
                try:
                    told += watching.look(*sights)
                except ConnectionError:
                    continue
        # A note that was kept, though the answer was lost, counts as told.
        assert told in ([ONE], [])
        failed_while_noting = watching.notes.calls > fails_at
        assert told == [ONE] or failed_while_noting


def test_starting_is_cheap_and_does_not_depend_on_how_many_there_are():
    watching = Watching("end")
    many = [seen(str(uuid.uuid4()), at=NOON - DAY, status="finished") for _ in range(2000)]
    many += [seen(str(uuid.uuid4()), at=NOON - DAY) for _ in range(2000)]
    watching.look(*many)
    assert watching.notes.calls <= 1 + 16 + 1
    watching.notes.calls = 0
    watching.restart()
    watching.look(*many)
    assert watching.notes.calls <= 1 + 16
    assert len(watching.ledger.open_campaigns()) == 2000
    assert len(watching.notes) <= 17


def test_notes_are_dropped_when_the_baseline_says_as_much(again, monkeypatch):
    monkeypatch.setattr(module, "_TIDY_AFTER", timedelta(0))
    watching = Watching()
    watching.look(seen(), seen(OTHER))
    assert watching.look(seen(at=NOON + MINUTE, status="finished")) == [ONE]
    again(watching)
    # It is in no list any more, and nobody looks at it.
    assert watching.look(seen(OTHER), at=NOON + 2 * DAY) == []
    assert not any(ONE in value for key, value in watching.notes.items() if not key.endswith("since"))
    again(watching)
    assert watching.look(seen(at=NOON + MINUTE, status="finished"), at=NOON + 2 * DAY) == []
    assert watching.look(seen(OTHER, at=NOON + 2 * DAY), at=NOON + 2 * DAY) == [OTHER]
