"""Which changes are events, and what is recorded: no event is sent twice, whatever a server returns."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bm.polling.changes import CampaignSnapshot
from airflow_provider_bm.polling.ledger import Ledger, Record

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ONE, OTHER, BESIDE = (f"{start}111111-c1af-11ee-8073-bf4d6e8c1618" for start in ("a1", "b1", "a2"))


class AssetState(dict[str, Any]):
    """An asset's state, which counts its calls."""

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


def seen(campaign_uuid: str = ONE, at: datetime | None = None, status: str = "active") -> CampaignSnapshot:
    campaign = {"uuid": campaign_uuid, "status": status, "last_dt": None if at is None else at.isoformat()}
    return CampaignSnapshot.of(campaign)


def gone(campaign_uuid: str = ONE) -> CampaignSnapshot:
    return CampaignSnapshot(uuid=campaign_uuid, executed_at=None, finished=False, campaign={}, gone=True)


class Trigger:
    """A trigger's ledger, over restarts of the triggerer."""

    def __init__(self, event: str = "execution", state: AssetState | None = None, **arguments: Any) -> None:
        self.event, self.arguments = event, arguments
        self.state = AssetState() if state is None else state
        self.restart()

    def restart(self) -> None:
        self.ledger = Ledger(self.event, self.state, "name", **self.arguments)
        asyncio.run(self.ledger.load())

    def poll(self, *snapshots: CampaignSnapshot, at: datetime = NOON) -> list[str]:
        """Return the campaigns that an event is sent for after a poll."""

        async def events() -> list[str]:
            return [snapshot.uuid async for snapshot in self.ledger.events(at, snapshots)]

        return asyncio.run(events())


@pytest.fixture(params=["goes on", "restarts"])
def again(request):
    """Repeat the test with a restart of the triggerer between the polls."""
    return lambda trigger: trigger.restart() if request.param == "restarts" else None


@pytest.mark.parametrize(
    ("first", "then", "is_event"),
    [
        (NOON - MINUTE, NOON - MINUTE, False),
        (NOON - MINUTE, NOON + MINUTE, True),
        (None, NOON + MINUTE, True),
        # It was there before, and the API did not report it.
        (None, NOON - 50 * DAY, False),
        (NOON, NOON + timedelta(seconds=0.25), False),
        (NOON, NOON - MINUTE, False),
        (NOON, None, False),
        (NOON, NOON.astimezone(UTC).replace(tzinfo=UTC), False),
    ],
)
def test_execution_events(again, first, then, is_event):
    trigger = Trigger()
    assert trigger.poll(seen(at=first)) == []
    again(trigger)
    assert trigger.poll(seen(at=then)) == ([ONE] if is_event else [])
    again(trigger)
    assert trigger.poll(seen(at=then)) == []


def test_more_precise_time_of_the_same_execution(again):
    trigger = Trigger()
    trigger.poll(seen())
    assert trigger.poll(seen(at=NOON + MINUTE)) == [ONE]
    again(trigger)
    assert trigger.poll(seen(at=NOON + MINUTE + timedelta(seconds=0.25))) == []


def test_end_events(again):
    trigger = Trigger("end")
    assert trigger.poll(seen(), seen(OTHER, status="finished", at=NOON - MINUTE)) == []
    again(trigger)
    assert trigger.poll(seen(at=NOON + MINUTE, status="finished")) == [ONE]
    again(trigger)
    for status in ("finished", "active", "finished"):  # as from an old copy of the data
        assert trigger.poll(seen(at=NOON + MINUTE, status=status)) == []
    again(trigger)
    assert trigger.poll(seen(at=NOON + 9 * MINUTE)) == [], "it was started again"
    assert trigger.poll(seen(at=NOON + 9 * MINUTE, status="finished")) == [ONE]


def test_end_without_an_execution_is_one_event(again):
    trigger = Trigger("end")
    trigger.poll(seen())
    assert trigger.poll(seen(status="finished")) == [ONE]
    again(trigger)
    for status in ("finished", "active", "finished"):
        assert trigger.poll(seen(status=status)) == []


@pytest.mark.parametrize("event", ["execution", "end"])
def test_campaign_that_seemed_to_be_deleted(again, event):
    trigger = Trigger(event)
    trigger.poll(seen())
    sent = trigger.poll(seen(at=NOON + MINUTE, status="finished" if event == "end" else "active"))
    assert sent == [ONE]
    assert trigger.poll(gone()) == []
    again(trigger)
    for status in ("active", "finished"):
        assert trigger.poll(seen(at=NOON + MINUTE, status=status)) == []


def test_restarted_campaign_that_seemed_to_be_deleted(again):
    trigger = Trigger("end")
    trigger.poll(seen())
    ended = seen(at=NOON + MINUTE, status="finished")
    assert trigger.poll(ended) == [ONE]
    assert trigger.poll(seen(at=NOON + MINUTE)) == []
    assert trigger.poll(gone()) == []
    again(trigger)
    assert trigger.poll(ended) == []


def test_campaign_that_seemed_to_be_deleted_can_still_end(again):
    trigger = Trigger("end")
    trigger.poll(seen(at=NOON + MINUTE))
    trigger.poll(gone())
    again(trigger)
    assert trigger.poll(seen(at=NOON + MINUTE)) == []
    assert trigger.poll(seen(at=NOON + MINUTE, status="finished")) == [ONE]


def test_since_in_the_past(again):
    trigger = Trigger(since=NOON - DAY)
    old, new = seen(at=NOON - 2 * DAY), seen(OTHER, at=NOON - MINUTE)
    assert trigger.poll(old, new) == [OTHER]
    again(trigger)
    assert trigger.poll(old, new) == []


def test_since_in_the_future(again):
    trigger = Trigger(since=NOON + DAY)
    trigger.poll(seen())
    again(trigger)
    assert trigger.poll(seen(at=NOON + MINUTE)) == []
    assert trigger.poll(seen(at=NOON + 2 * DAY)) == [ONE]


def test_open_campaigns_are_followed_after_a_restart():
    trigger = Trigger()
    trigger.poll(seen(), seen(OTHER, status="finished", at=NOON + MINUTE))
    trigger.restart()
    assert trigger.ledger.open_campaigns() == {ONE}
    trigger.poll(gone())
    trigger.restart()
    assert trigger.ledger.open_campaigns() == set()


def test_two_copies_of_a_trigger_send_one_event():
    """Airflow takes triggers over from a triggerer that it considers dead."""
    first = Trigger()
    first.poll(seen())
    second = Trigger(state=first.state)
    assert first.poll(seen(at=NOON + MINUTE)) == [ONE]
    assert second.poll(seen(at=NOON + MINUTE)) == []


def test_copy_without_events_keeps_the_records_of_the_other():
    """One piece of the state holds many campaigns."""
    first = Trigger()
    first.poll(seen(), seen(BESIDE))
    second = Trigger(state=first.state)
    assert first.poll(seen(at=NOON + MINUTE)) == [ONE]
    # Its own response is a moment older, but another campaign has ended, or is new.
    assert second.poll(seen(BESIDE, status="finished")) == []
    assert second.poll(seen(at=NOON + MINUTE)) == []
    second.restart()
    assert second.poll(seen(at=NOON + MINUTE)) == []


def test_copy_that_drops_old_records_keeps_those_of_the_other():
    first = Trigger(tidy_interval=timedelta(0))
    first.poll(seen(), seen(BESIDE))
    assert first.poll(seen(BESIDE, at=NOON + MINUTE, status="finished")) == [BESIDE]
    second = Trigger(state=first.state, tidy_interval=timedelta(0))
    assert first.poll(seen(at=NOON + 2 * MINUTE)) == [ONE]
    assert second.poll(at=NOON + 2 * DAY) == []
    second.restart()
    assert second.poll(seen(at=NOON + 2 * MINUTE), at=NOON + 2 * DAY) == []


@pytest.mark.parametrize("before", [NOON - HOUR, None])
def test_campaign_that_cannot_be_read_at_first_gets_its_event_later(again, before):
    """After two days without a triggerer, while the record of another campaign is dropped."""
    trigger = Trigger()
    trigger.poll(seen(at=before), seen(OTHER, at=NOON - HOUR))
    trigger.restart()
    back = NOON + 2 * DAY
    assert trigger.poll(seen(OTHER, at=NOON + 6 * HOUR, status="finished"), at=back) == [OTHER]
    again(trigger)
    assert trigger.poll(seen(at=NOON + 3 * HOUR), at=back + MINUTE) == [ONE]


def test_restarted_campaign_is_followed_after_a_restart_of_the_triggerer():
    """It has left a list of active ones, say, while no triggerer ran."""
    trigger = Trigger("end")
    trigger.poll(seen())
    assert trigger.poll(seen(at=NOON + MINUTE, status="finished")) == [ONE]
    trigger.restart()
    assert trigger.ledger.open_campaigns() == set()
    assert trigger.poll(seen(at=NOON + MINUTE)) == []
    trigger.restart()
    assert trigger.ledger.open_campaigns() == {ONE}
    assert trigger.poll(seen(at=NOON + HOUR, status="finished")) == [ONE]


def test_each_query_has_its_own_records():
    one = Trigger()
    one.poll(seen())
    other = Trigger(state=one.state)
    other.ledger = Ledger("execution", one.state, "another name")
    other.poll(seen())
    assert (one.poll(seen(at=NOON + MINUTE)), other.poll(seen(at=NOON + MINUTE))) == ([ONE], [ONE])


@pytest.mark.parametrize("event", ["execution", "end"])
def test_store_that_fails_at_any_call(event):
    """No event is sent twice, and what was not recorded is sent later."""
    status = "finished" if event == "end" else "active"
    for fails_at in range(1, 60):
        trigger = Trigger(event)
        trigger.state.fails_at = fails_at
        sent: list[str] = []
        for snapshots in ([seen(), seen(OTHER)], [seen(at=NOON + MINUTE, status=status), seen(OTHER)]):
            for _ in range(2):
                try:
                    sent += trigger.poll(*snapshots)
                except ConnectionError:
                    continue
        # A record that was stored although the response was lost counts as sent.
        assert sent in ([ONE], [])
        failed_while_recording = trigger.state.calls > fails_at
        assert sent == [ONE] or failed_while_recording


def test_number_of_calls_does_not_depend_on_the_number_of_campaigns():
    trigger = Trigger("end")
    many = [seen(str(uuid.uuid4()), at=NOON - DAY, status="finished") for _ in range(2000)]
    many += [seen(str(uuid.uuid4()), at=NOON - DAY) for _ in range(2000)]
    trigger.poll(*many)
    assert trigger.state.calls <= 1 + 16 + 1
    trigger.state.calls = 0
    trigger.restart()
    trigger.poll(*many)
    assert trigger.state.calls <= 1 + 16
    assert len(trigger.ledger.open_campaigns()) == 2000
    assert len(trigger.state) <= 17


def test_old_records_are_dropped(again):
    trigger = Trigger(tidy_interval=timedelta(0))
    trigger.poll(seen(), seen(OTHER))
    assert trigger.poll(seen(at=NOON + MINUTE, status="finished")) == [ONE]
    again(trigger)
    # It is in no list any more.
    assert trigger.poll(seen(OTHER), at=NOON + 2 * DAY) == []
    assert not any(ONE in value for key, value in trigger.state.items() if not key.endswith("since"))
    again(trigger)
    assert trigger.poll(seen(at=NOON + MINUTE, status="finished"), at=NOON + 2 * DAY) == []
    assert trigger.poll(seen(OTHER, at=NOON + 2 * DAY), at=NOON + 2 * DAY) == [OTHER]


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("2026-11-26T12:00:00+00:00", Record(executed_at=NOON)),
        ("2026-11-26T12:00:00+00:00 ended", Record(executed_at=NOON, state="ended")),
        (" gone", Record(state="gone")),
        ("", Record()),
        # As it was written once; such records are in databases of users.
        ("2026-11-26T12:00:00+00:00 again", Record(executed_at=NOON, state="restarted")),
    ],
)
def test_stored_records_can_be_read(text, record):
    assert Record.from_text(text) == record
    assert Record.from_text(record.to_text()) == record
