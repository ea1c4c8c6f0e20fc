from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import SendWindow
from tests.campaigns.samples import problems_of, unhurried

ZURICH = ZoneInfo("Europe/Zurich")
OFFICE = SendWindow("09:00", "20:00", days="mon-fri", tz="Europe/Zurich")
NIGHT = SendWindow("22:00", "02:00", days="fri,sat", tz="Europe/Zurich")


def zurich(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZURICH)


@pytest.mark.parametrize(
    ("window", "local", "is_open"),
    [
        (OFFICE, "2026-11-27 09:00", True),
        (OFFICE, "2026-11-27 08:59:59.999999", False),
        (OFFICE, "2026-11-27 19:59:59", True),
        (OFFICE, "2026-11-27 20:00", False),
        (OFFICE, "2026-11-28 12:00", False),
        (NIGHT, "2026-11-27 21:59", False),
        (NIGHT, "2026-11-27 22:00", True),
        (NIGHT, "2026-11-28 01:59", True),
        (NIGHT, "2026-11-28 02:00", False),
        (NIGHT, "2026-11-27 01:00", False),
        (NIGHT, "2026-11-29 01:00", True),
        (NIGHT, "2026-11-29 22:00", False),
        (SendWindow("18:00", "00:00"), "2026-11-27 23:30", True),
    ],
)
def test_is_open(window: SendWindow, local: str, is_open: bool) -> None:
    assert window.is_open(zurich(local)) is is_open


@pytest.mark.parametrize(
    ("window", "local", "opening"),
    [
        (OFFICE, "2026-11-27 12:00", "2026-11-27 12:00"),
        (OFFICE, "2026-11-27 06:00", "2026-11-27 09:00"),
        (OFFICE, "2026-11-27 20:00", "2026-11-30 09:00"),
        (NIGHT, "2026-11-29 02:00", "2026-12-04 22:00"),
        # The clocks go back at 03:00 on 25 October 2026, and forward at 02:00 on 29 March.
        (OFFICE, "2026-10-23 20:00", "2026-10-26 09:00"),
        (SendWindow("02:30", "06:00", tz="Europe/Zurich"), "2026-03-29 01:00", "2026-03-29 03:00"),
        (
            SendWindow("02:30", "02:45", days="sun", tz="Europe/Zurich"),
            "2026-03-28 12:00",
            "2026-04-05 02:30",
        ),
    ],
)
def test_next_opening(window: SendWindow, local: str, opening: str) -> None:
    found = window.next_opening(zurich(local))
    assert found == zurich(opening)
    assert found.tzinfo is UTC


@unhurried
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.tuples(st.integers(0, 95), st.integers(0, 95)).filter(lambda pair: pair[0] != pair[1]),
    st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1),
    st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe"]),
)
def test_the_next_opening_is_the_first_open_minute(
    moment: datetime, quarters: tuple[int, int], days: set[str], tz: str
) -> None:
    start, end = (time(*divmod(quarter * 15, 60)) for quarter in quarters)
    window = SendWindow(start, end, days=sorted(days), tz=tz)  # type: ignore[arg-type]
    moment = moment.replace(second=0, microsecond=0)
    opening = window.next_opening(moment)
    assert window.is_open(opening)
    assert opening == moment or not window.is_open(opening - timedelta(minutes=1))
    probe = moment
    while probe < opening:
        assert not window.is_open(probe)
        probe += timedelta(minutes=15)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("mon-sun", "every day"),
        ("mon-fri", "Monday to Friday"),
        ("sat,sun", "Saturday, Sunday"),
        ("fri-mon", "Monday, Friday, Saturday, Sunday"),
        (" Sat , SUN", "Saturday, Sunday"),
        (["sat", "sun"], "Saturday, Sunday"),
    ],
)
def test_days(days: Any, words: str) -> None:
    assert str(SendWindow("09:00", "20:00", days=days)) == f"09:00 to 20:00, {words}, UTC"


@pytest.mark.parametrize(
    "change",
    [
        {"start": "9"},
        {"start": "24:00"},
        {"start": 9},
        {"end": "09:00"},
        {"end": "25:00"},
        {"days": "mon-frý"},
        {"days": ""},
        {"days": "weekdays"},
        {"days": ["mon", 5]},
        {"tz": "Europe/Zürich"},
        {"tz": "../etc"},
        {"tz": None},
        {"on_closed": "later"},
    ],
)
def test_invalid_arguments(change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"start": "09:00", "end": "20:00"} | change
    assert list(problems_of(lambda: SendWindow(**arguments))) == list(change)
    assert list(problems_of(lambda: SendWindow.parse(json.dumps(arguments)))) == list(change)


def test_parse() -> None:
    assert SendWindow.parse(OFFICE) is OFFICE
    assert SendWindow.parse(dataclasses.asdict(OFFICE)) == OFFICE
    assert SendWindow.parse(json.dumps(dataclasses.asdict(OFFICE))) == OFFICE
    assert SendWindow.parse({"start": "09:00", "end": "20:00"}).on_closed == "fail"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("09:00-20:00", "send_window"),
        ("[]", "send_window"),
        (5, "send_window"),
        ('{"start": "09:00", "start": "10:00", "end": "20:00"}', "send_window"),
        ({"start": "09:00"}, "end"),
        ({"start": "09:00", "end": "20:00", "zone": "UTC"}, "zone"),
    ],
)
def test_values_that_are_not_windows(value: Any, field: str) -> None:
    assert list(problems_of(lambda: SendWindow.parse(value))) == [field]


def test_naive_datetimes_are_refused() -> None:
    for call in (OFFICE.is_open, OFFICE.next_opening):
        with pytest.raises(ValueError, match="aware"):
            call(datetime(2026, 1, 1))  # noqa: DTZ001
