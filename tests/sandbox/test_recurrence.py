"""Recurrence rules: what RFC 5545 allows, and no rule that keeps the sandbox busy."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from itertools import islice

import pytest

from airflow_provider_bm.sandbox.recurrence import occurrences
from tests.campaigns.samples import NO_PARTS, NO_STARTS
from tests.support.work import little_work

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
        ("dtstart;tzid=Europe/Zurich:20260328t090000\nrrule:freq=daily;count=2",
         ["2026-03-28T08:00", "2026-03-29T07:00"]),
        ("DTSTART;VALUE=DATE:20260303\nRRULE:FREQ=DAILY;COUNT=1", ["2026-03-03T00:00"]),
        ("DTSTART:20260303\nRRULE:FREQ=DAILY;COUNT=1", ["2026-03-03T00:00"]),
        ("DTSTART;VALUE=DATE-TIME:20260303T080000Z\nRRULE:FREQ=DAILY;COUNT=1", ["2026-03-03T08:00"]),
        # UNTIL is 09:30 there: the zone counts also beside a VALUE.
        ("DTSTART;TZID=Europe/Zurich;VALUE=DATE-TIME:20260303T090000\n"
         "RRULE:FREQ=DAILY;UNTIL=20260304T083000Z", ["2026-03-03T08:00", "2026-03-04T08:00"]),
        ("FREQ=MONTHLY;BYDAY=+5MO;COUNT=1", ["2026-03-30T12:00"]),
    ],
)  # fmt: skip
def test_times(rule, first):
    assert [f"{moment:%Y-%m-%dT%H:%M}" for moment in islice(occurrences(rule, START), 3)] == first


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        # 02:30 does not exist on 29 March, and is 03:30, which the rule names, too.
        ("20260328T013000\nRRULE:FREQ=DAILY;BYHOUR=2,3;COUNT=6",
         ["28 01:30", "28 02:30", "29 01:30", "30 00:30", "30 01:30"]),
        ("20260329T003000\nRRULE:FREQ=HOURLY;COUNT=5", ["28 23:30", "29 00:30", "29 01:30", "29 02:30"]),
        ("20260329T013000\nRRULE:FREQ=MINUTELY;INTERVAL=25;COUNT=8",
         ["29 00:30", "29 00:55", "29 01:10", "29 01:20", "29 01:35", "29 01:45", "29 02:00", "29 02:25"]),
        ("20261024T023000\nRRULE:FREQ=DAILY;COUNT=3", ["24 00:30", "25 00:30", "26 01:30"]),
    ],
)  # fmt: skip
def test_a_change_of_the_clocks_neither_doubles_nor_reorders(rule, times):
    found = occurrences("DTSTART;TZID=Europe/Zurich:" + rule, START)
    assert [f"{moment:%d %H:%M}" for moment in found] == times


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
        "FREQ=DAILY;BYDAY=1MO",
        "FREQ=WEEKLY;BYDAY=MO,-1FR",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO",
        "FREQ=MONTHLY;BYWEEKNO=20",
        "FREQ=WEEKLY;BYMONTHDAY=13",
        "FREQ=MONTHLY;BYYEARDAY=100",
        "FREQ=MONTHLY;BYSETPOS=1",
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


@pytest.mark.parametrize("start", NO_STARTS)
def test_no_dtstart(start):
    with pytest.raises(ValueError, match=r"DTSTART|time zone"):
        next(occurrences(f"{start}\nRRULE:FREQ=DAILY", START))


@pytest.mark.parametrize("parts", NO_PARTS)
def test_no_parts(parts):
    with pytest.raises(ValueError, match=r"must be|from 1 to"):
        next(occurrences(parts, START))


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
    # Too much in the past is an error.
    with little_work(), contextlib.suppress(ValueError):
        assert next(occurrences(rule, START), None) is None
