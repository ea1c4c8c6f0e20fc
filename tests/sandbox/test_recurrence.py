"""Recurrence rules: what RFC 5545 allows, and no rule that keeps the sandbox busy."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from itertools import islice

import pytest

from airflow_provider_bm.sandbox.recurrence import occurrences

START = datetime(2026, 3, 2, 12, 0, 0, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("FREQ=DAILY;COUNT=2", ["2026-03-02T12:00", "2026-03-03T12:00"]),
        ("rrule:freq=daily;byhour=8;byminute=0;count=1", ["2026-03-03T08:00"]),
        ("FREQ=DAILY;UNTIL=20260303", ["2026-03-02T12:00"]),
        ("FREQ=DAILY;UNTIL=20260303T120000Z;", ["2026-03-02T12:00", "2026-03-03T12:00"]),
        ("FREQ=DAILY;UNTIL=20200101T000000Z", []),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=0;COUNT=1", ["2026-03-27T09:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=2", ["2028-02-29T12:00", "2032-02-29T12:00"]),
        ("DTSTART:20260301T080000Z\nRRULE:FREQ=DAILY;COUNT=3", ["2026-03-03T08:00"]),
        ("DTSTART:20260301T080000\r\nFREQ=DAILY;UNTIL=20260303T080000Z", ["2026-03-03T08:00"]),
        ("DTSTART;TZID=Europe/Zurich:20260328T090000\nRRULE:FREQ=DAILY;COUNT=2",
         ["2026-03-28T08:00", "2026-03-29T07:00"]),
    ],
)  # fmt: skip
def test_times(rule, first):
    assert [f"{moment:%Y-%m-%dT%H:%M}" for moment in islice(occurrences(rule, START), 3)] == first


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "every day",
        "FREQ=OFTEN",
        "BYFREQ=1",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=2;UNTIL=20300101T000000Z",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY\nFREQ=WEEKLY",
        "FREQ=DAILY\nEXDATE:20260303T120000Z",
        "FREQ=HOURLY;BYHOUR=25",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=DAILY;BYMONTHDAY=0",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;BYDAY=",
        "FREQ=DAILY;WKST=9",
        "FREQ=SECONDLY;BYSETPOS=5",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY;COLOUR=BLUE",
        "DTSTART:20260301T080000Z",
        "DTSTART:nonsense\nRRULE:FREQ=DAILY",
        "DTSTART;TZID=Mars/Olympus:20260328T090000\nRRULE:FREQ=DAILY",
    ],
)
def test_no_rules(rule):
    with pytest.raises(ValueError, match=r"."):
        next(occurrences(rule, START))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=1",
        "FREQ=MINUTELY;BYDAY=1MO;BYWEEKNO=53;BYMONTH=6",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;UNTIL=99991231T235959Z",
        "DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY",
    ],
)
def test_endless_searches_end(rule):
    started = time.process_time()
    with contextlib.suppress(ValueError):  # too much in the past
        assert next(occurrences(rule, START), None) is None
    assert time.process_time() - started < 3
