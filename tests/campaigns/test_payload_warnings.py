from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_bm.campaigns.payload_warnings import (
    content_warnings,
    schedule_warnings,
    wait_warnings,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("template", "values", "parts"),
    [
        ("Hello {first_name}", None, []),
        ("Hello {firstname}, {city}", None, ["{firstname}, which", "mean 'first_name'?"]),
        ("{temp} and {wind}", {"temp": "-3"}, ["{wind}, which"]),
        ("{temp}", {"tmp": "-3"}, ["{temp}, which", "mean 'tmp'?"]),
        ('{"subject": "Hello {nickname}", "body": {}}', None, ["{nickname}, which"]),
        ("{ spaced }, {}, and no more {", None, []),
        ('{"html": "<style>p{color:red}</style>"}', None, []),
        ("{xyz} {xyz}", None, ["{xyz}, which"]),
        (None, None, []),
    ],
)
def test_variables_without_a_value(template, values, parts):
    found = list(content_warnings({"template": template}, values))
    assert len(found) == bool(parts)
    assert all(part in found[0] for part in parts)


def test_all_texts_are_searched():
    campaign = {"template": "{a}", "webpush_title": "{b}", "webpush_body": "{c}", "name": "{d}"}
    assert len(list(content_warnings(campaign))) == 3


@pytest.mark.parametrize(
    ("kind", "moment", "warned"),
    [
        ("once", "2026-03-02 12:00:00", True),
        ("once", "2026-03-02 12:00:01", False),
        ("scheduled", "FREQ=DAILY", False),
        ("scheduled", "FREQ=DAILY;UNTIL=20260301T000000Z", True),
        ("scheduled", "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;COUNT=3", True),
        ("scheduled", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", True),
        ("scheduled", "FREQ=HOURLY;INTERVAL=6;BYHOUR=6,18", False),
        ("scheduled", "FREQ=HOURLY;INTERVAL=6;BYHOUR=8,14,20", True),
        ("scheduled", "DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY;COUNT=1000000", False),
        ("scheduled", "FREQ=NEVER", False),
        ("now", None, False),
        (None, None, False),
    ],
)
def test_a_schedule_in_the_past(kind, moment, warned):
    campaign = {"schedule_type": kind, "schedule_rrule": moment}
    assert [repr(moment).strip("'") in text for text in schedule_warnings(campaign, NOW)] == [True] * warned


@pytest.mark.parametrize(
    ("kind", "moment", "message"),
    [
        ("once", "2026-03-09 12:00:00", None),
        ("once", "2026-03-09 12:00:01", "2026-03-09 12:00:01"),
        ("once", "tomorrow", None),
        ("scheduled", "FREQ=DAILY", "has no end"),
        ("scheduled", "FREQ=DAILY;COUNT=3", None),
        ("scheduled", "DTSTART:20260302T000000Z\nRRULE:FREQ=DAILY;UNTIL=20260305T000000Z", None),
        ("now", None, None),
    ],
)
def test_a_wait_that_cannot_end_in_time(kind, moment, message):
    campaign = {"schedule_type": kind, "schedule_rrule": moment}
    found = list(wait_warnings(campaign, WEEK, NOW))
    assert len(found) == bool(message)
    assert all(message in text for text in found)
