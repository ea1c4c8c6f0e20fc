from __future__ import annotations

import pytest

from airflow_provider_bm.campaigns.schedule_words import schedule_in_words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0", "daily at 06:00"),
        ("RRULE:FREQ=DAILY;BYHOUR=18,6;BYMINUTE=5", "daily at 06:05, 18:05"),
        ("FREQ=DAILY;BYHOUR=6;BYMINUTE=0,30", "daily at 06:00, 06:30"),
        ("FREQ=WEEKLY;BYDAY=MO,TH;WKST=MO", "weekly on Mon, Thu"),
        ("FREQ=HOURLY;INTERVAL=3;COUNT=5", "every 3 hours, 5 times"),
        ("FREQ=DAILY;COUNT=1", "daily, once"),
        (
            "FREQ=MONTHLY;BYMONTHDAY=1,-1;UNTIL=20261231T235959Z",
            "monthly on day 1, the last day, until 2026-12-31",
        ),
        ("FREQ=MONTHLY;BYDAY=1MO,-1FR", "monthly on the first Mon, the last Fri"),
        ("FREQ=YEARLY;BYMONTH=2,3;BYMONTHDAY=5", "yearly on day 5 in Feb, Mar"),
        (
            "DTSTART;TZID=Europe/Zurich:20260101T080000\nRRULE:FREQ=DAILY",
            "daily, from 2026-01-01 08:00 Europe/Zurich",
        ),
    ],
)
def test_rules_in_words(rule: str, words: str) -> None:
    assert schedule_in_words({"schedule_type": "scheduled", "schedule_rrule": rule}) == words


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYHOUR=6",
        "FREQ=DAILY;BYMINUTE=6",
        "FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=30",
        "FREQ=YEARLY;BYDAY=20MO",
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        "FREQ=MONTHLY;BYDAY=5MO",
        "FREQ=YEARLY;BYWEEKNO=20",
        "nonsense",
    ],
)
def test_rules_that_are_too_complex_for_words(rule: str) -> None:
    assert schedule_in_words({"schedule_type": "scheduled", "schedule_rrule": rule}) == rule


def test_other_schedules_in_words() -> None:
    once = {"schedule_type": "once", "schedule_rrule": "2026-03-04 06:00:00"}
    assert schedule_in_words(once) == "once, 2026-03-04 06:00"
    assert schedule_in_words({"schedule_type": "now"}) == schedule_in_words({}) == "at once"
