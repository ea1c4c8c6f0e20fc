from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.campaigns.executions import (
    executions,
    fires_immediately,
    first_execution_outside,
)
from tests.campaigns.samples import problems_of

#: A Monday.
NOW = datetime(2026, 3, 2, 12, 30, 15, 999, tzinfo=UTC)
YEAR = timedelta(days=366)
OFFICE = SendWindow("09:00", "20:00", days="mon-fri", tz="Europe/Zurich")


def scheduled(rule: str) -> dict[str, Any]:
    return {"schedule_type": "scheduled", "schedule_rrule": rule}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"schedule_type": "now"}, ["03-02 12:30"]),
        ({"schedule_type": "now", "schedule_rrule": "FREQ=DAILY"}, ["03-02 12:30"]),
        ({}, ["03-02 12:30"]),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-05 08:00:00"}, ["03-05 08:00"]),
        ({"schedule_rrule": "2026-03-05 08:00:00"}, ["03-05 08:00"]),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-01 08:00:00"}, ["03-02 12:30"]),
        ({"schedule_type": "once", "schedule_rrule": "2030-03-01 08:00:00"}, ["03-01 08:00"]),
        (scheduled("FREQ=DAILY;BYHOUR=8;BYMINUTE=0"), ["03-03 08:00", "03-04 08:00", "03-05 08:00"]),
        (scheduled("FREQ=DAILY;COUNT=2;"), ["03-02 12:30", "03-03 12:30"]),
        (scheduled("DTSTART:20270101T000000Z\nRRULE:FREQ=DAILY"), []),
    ],
)
def test_executions(payload: dict[str, Any], expected: list[str]) -> None:
    found = executions(payload, start=NOW, until=NOW + timedelta(days=3))
    assert [f"{moment:%m-%d %H:%M}" for moment in found] == expected


def test_invalid_schedules_are_payload_errors() -> None:
    for payload in (scheduled("FREQ=NEVER"), {"schedule_type": "once", "schedule_rrule": "tomorrow"}):
        found = problems_of(lambda payload=payload: executions(payload, start=NOW, until=NOW))  # type: ignore[misc]
        assert list(found) == ["schedule_rrule"]


@pytest.mark.parametrize(
    ("rule", "immediately"),
    [
        ("FREQ=DAILY", True),
        ("FREQ=DAILY;BYHOUR=12", True),
        ("FREQ=DAILY;BYHOUR=13", False),
        ("FREQ=WEEKLY;BYDAY=MO", True),
        ("FREQ=WEEKLY;BYDAY=TU", False),
        # It may be saved a few seconds later.
        ("FREQ=DAILY;BYHOUR=12;BYMINUTE=31", True),
        ("FREQ=DAILY;BYHOUR=12;BYMINUTE=32", False),
        ("FREQ=DAILY;UNTIL=20200101T000000Z", False),
        ("DTSTART:20260302T123015Z\nRRULE:FREQ=DAILY", True),
        ("DTSTART:20260302T123100Z\nRRULE:FREQ=DAILY", False),
        ("DTSTART:20260301T080000Z\nRRULE:FREQ=DAILY", False),
        ("FREQ=HOURLY;INTERVAL=6;BYHOUR=8,14,20", False),
    ],
)
def test_fires_immediately(rule: str, immediately: bool) -> None:
    assert fires_immediately(rule, NOW) is immediately


@pytest.mark.parametrize(
    ("payload", "outside"),
    [
        ({"schedule_type": "now"}, None),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-03 08:00:00"}, None),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-03 07:59:59"}, "2026-03-03 07:59"),
        # Long after `until`, and nevertheless judged.
        ({"schedule_type": "once", "schedule_rrule": "2036-03-03 00:00:00"}, "2036-03-03 00:00"),
        # If it still executes, then now.
        ({"schedule_type": "once", "schedule_rrule": "2026-03-01 00:00:00"}, None),
        (scheduled("FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=8;BYMINUTE=0"), None),
        # 19:30 in Zurich in winter, and 20:30 from 29 March.
        (scheduled("FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=18;BYMINUTE=30"), "2026-03-30 18:30"),
        (scheduled("FREQ=DAILY;BYHOUR=12;BYMINUTE=0"), "2026-03-07 12:00"),
        (scheduled("DTSTART;TZID=Europe/Zurich:20260101T193000\nRRULE:FREQ=WEEKLY;BYDAY=MO"), None),
        (scheduled("FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYMONTHDAY=1"), None),
    ],
)
def test_first_execution_outside_a_send_window(payload: dict[str, Any], outside: str | None) -> None:
    found = first_execution_outside(payload, OFFICE, now=NOW, until=NOW + YEAR)
    assert (found and f"{found:%Y-%m-%d %H:%M}") == outside


def test_now_outside_a_send_window() -> None:
    night = NOW.replace(hour=3)
    assert first_execution_outside({"schedule_type": "now"}, OFFICE, now=night, until=night) == night


def test_a_rule_that_executes_too_often_to_be_judged() -> None:
    always = SendWindow("00:00", "24:00")
    found = problems_of(
        lambda: first_execution_outside(scheduled("FREQ=MINUTELY"), always, now=NOW, until=NOW + YEAR)
    )
    assert "too often" in found["schedule_rrule"]
