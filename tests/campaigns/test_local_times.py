from __future__ import annotations

import doctest
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bm.campaigns import local_time, local_times
from tests.campaigns.samples import problems_of

MORNING = local_time("09:00", zone_column="tz")


@pytest.mark.parametrize(
    ("at", "zone", "now", "expected"),
    [
        ("09:00", "Europe/Zurich", "2026-01-01T07:59", "2026-01-01T09:00+01:00"),
        ("09:00", "Europe/Zurich", "2026-01-01T08:00", "2026-01-01T09:00+01:00"),
        ("09:00", "Europe/Zurich", "2026-01-01T08:00:01", "2026-01-02T09:00+01:00"),
        ("09:00", "Asia/Tokyo", "2026-01-01T23:00", "2026-01-02T09:00+09:00"),
        ("09:00", "America/Los_Angeles", "2026-01-01T02:00", "2026-01-01T09:00-08:00"),
        # The clocks go forward at 02:00 on 29 March, and back at 03:00 on 25 October.
        ("02:30", "Europe/Zurich", "2026-03-28T20:00", "2026-03-29T03:30+02:00"),
        ("02:30", "Europe/Zurich", "2026-10-24T20:00", "2026-10-25T02:30+02:00"),
        ("02:30", "Europe/Zurich", "2026-10-25T00:31", "2026-10-26T02:30+01:00"),
    ],
)
def test_the_next_local_time(at: str, zone: str, now: str, expected: str) -> None:
    found = local_time(at, zone_column="tz").next(
        {"tz": zone}, datetime.fromisoformat(now).replace(tzinfo=UTC)
    )
    assert found.astimezone(UTC) == datetime.fromisoformat(expected)
    assert found.utcoffset() is not None


@pytest.mark.parametrize("row", [{}, {"tz": None}, {"tz": "Zurich"}, {"tz": float("nan")}])
def test_rows_without_a_time_zone(row: dict[str, Any]) -> None:
    assert list(problems_of(lambda: MORNING.next(row))) == ["tz"]


@pytest.mark.parametrize(
    ("at", "zone_column", "field"),
    [("9", "tz", "at"), ("24:00", "tz", "at"), (None, "tz", "at"), ("09:00", "", "zone_column")],
)
def test_invalid_arguments(at: Any, zone_column: str, field: str) -> None:
    assert list(problems_of(lambda: local_time(at, zone_column=zone_column))) == [field]


def test_words_and_the_example() -> None:
    assert str(MORNING) == "09:00 in the time zone of column 'tz'"
    assert doctest.testmod(local_times).failed == 0
