from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pendulum
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import CampaignClone, CampaignCreate, CampaignUpdate, check_complete
from tests.campaigns.samples import LIST_A, problems_of, required, unhurried, whole

TIME = "2024-05-01 17:05:00"
RULE = "FREQ=DAILY;BYHOUR=8"


def schedule(rrule: Any, schedule_type: str | None = None) -> tuple[str, str | None]:
    fields = required(schedule_rrule=rrule, schedule_type=schedule_type)
    payload = CampaignCreate(**fields).to_payload()
    return payload["schedule_type"], payload.get("schedule_rrule")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2024, 5, 1, 17, 5, tzinfo=UTC), TIME),
        (datetime(2024, 5, 1, 19, 5, tzinfo=ZoneInfo("Europe/Zurich")), TIME),
        (pendulum.datetime(2024, 5, 1, 19, 5, tz="Europe/Zurich"), TIME),
        (str(pendulum.datetime(2024, 5, 1, 17, 5)), TIME),
        ("2024-05-01T17:05:00+00:00", TIME),
        ("2024-05-01T17:05:00Z", TIME),
        ("2024-05-01t17:05:00z", TIME),
        ("2024-05-01 19:05:00+02:00", TIME),
        ("2024-05-01T19:05+0200", TIME),
        ("2024-05-01T19:05:00+02", TIME),
        (f"  {TIME}\n", TIME),
        ("2024-05-01T17:04:59.5+00:00", TIME),
        ("2024-05-01 17:04:59,000001Z", TIME),
        ("2024-05-01T17:04:59.0000001Z", TIME),
        ("2024-05-01T17:05:00.000000000Z", TIME),
        (datetime(2024, 5, 1, 17, 4, 59, 1, tzinfo=UTC), TIME),
        (datetime(2024, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "2025-01-01 00:00:00"),
        (datetime(1, 1, 2, tzinfo=UTC), "0001-01-02 00:00:00"),
        # A local time that a change to summer time skipped: as the standard library reads it.
        (datetime(2024, 3, 31, 2, 30, tzinfo=ZoneInfo("Europe/Zurich")), "2024-03-31 01:30:00"),
        (pd.Timestamp("2024-05-01 19:05", tz="Europe/Zurich"), TIME),
        (datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Zurich")), "2024-10-27 01:30:00"),
    ],
)
def test_a_time_is_sent_in_utc_and_means_once(value: Any, expected: str) -> None:
    assert schedule(value) == ("once", expected)


@pytest.mark.parametrize(
    "value",
    [
        RULE,
        f"RRULE:{RULE}",
        "FREQ=DAILY;UNTIL=20240501T000000Z",
        "FREQ=DAILY;UNTIL=20240501T000000",
        "FREQ=DAILY;UNTIL=20240501;INTERVAL=10",
        "DTSTART:20240501T080000Z\nRRULE:FREQ=WEEKLY;COUNT=10",
        "DTSTART;TZID=Europe/Zurich:20240501T080000\nRRULE:FREQ=WEEKLY;BYDAY=MO,FR",
    ],
)
def test_a_rule_is_sent_as_given_and_means_scheduled(value: str) -> None:
    assert schedule(value) == ("scheduled", value)
    assert schedule(f" {value}\n", "scheduled") == ("scheduled", value)


def test_no_rrule_means_now_for_a_new_campaign_only() -> None:
    assert schedule(None) == ("now", None)
    assert schedule(None, "now") == ("now", None)
    assert "schedule_type" not in CampaignUpdate(name="x").to_payload()
    assert "schedule_type" not in CampaignClone(clone_uuid=LIST_A).to_payload()


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (datetime(2024, 5, 1), "zone"),  # noqa: DTZ001 - what users must not do
        ("2024-05-01T17:05:00", "zone"),
        ("2024-05-01 17:05:00.5", "zone"),
        ("2024-05-01 17:05", "zone"),
        ("2024-05-01", "date alone"),
        (date(2024, 5, 1), "date alone"),
        ("2024-05-01 17:05:00 UTC", "must be a time"),
        ("2024-13-01 17:05:00", "no such time"),
        ("2024-05-01T25:05:00Z", "no such time"),
        ("20240501T170500Z", "must be a time"),
        (datetime.max.replace(tzinfo=UTC), "range"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), "range"),
        ("9999-12-31T23:59:59.9999999Z", "range"),
        ("", "RRULE"),
        ("  ", "RRULE"),
        ("None", "RRULE"),
        ("tomorrow", "RRULE"),
        (1714583100, "RRULE"),
        (True, "RRULE"),
        ("RRULE:", "RRULE"),
        ("BYHOUR=8", "RRULE"),
        ("FREQ=NEVER", "not a valid RRULE"),
        ("FREQ=DAILY;FOO=1", "not a valid RRULE"),
        ("FREQ=DAILY;UNTIL=never", "not a valid RRULE"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a positive"),
        ("RRULE:INTERVAL=-1;FREQ=DAILY", "INTERVAL must be a positive"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be a positive"),
        ("RDATE:20240501T080000Z", "RRULE"),
        ("0 8 * * *", "looks like cron: the equivalent RRULE is FREQ=DAILY;BYHOUR=8;BYMINUTE=0"),
        ("FREQ=DAILY;BYHOUR=8;", "not a valid RRULE: it has an extra semicolon"),
        ("cut \ud83d", "half of a surrogate pair"),
        (pd.NaT, "a missing value"),
    ],
)
def test_invalid_schedules(value: Any, part: str) -> None:
    for make in (
        lambda: CampaignCreate(**required(schedule_rrule=value)).to_payload(),
        lambda: CampaignCreate(**required(schedule_rrule=value, schedule_type="once")).to_payload(),
    ):
        problems = problems_of(make)
        assert list(problems) == ["schedule_rrule"]
        assert part in problems["schedule_rrule"]


@pytest.mark.parametrize(
    ("schedule_type", "rrule", "field"),
    [
        ("now", TIME, "schedule_type"),
        ("now", RULE, "schedule_type"),
        ("once", RULE, "schedule_rrule"),
        ("once", None, "schedule_rrule"),
        ("scheduled", TIME, "schedule_rrule"),
        ("scheduled", None, "schedule_rrule"),
        ("Once", TIME, "schedule_type"),
        ("", None, "schedule_type"),
    ],
)
def test_contradictions(schedule_type: str, rrule: str | None, field: str) -> None:
    assert list(problems_of(lambda: schedule(rrule, schedule_type))) == [field]
    if rrule is not None:
        changes: dict[str, Any] = {"schedule_type": schedule_type, "schedule_rrule": rrule}
        assert list(problems_of(CampaignUpdate(**changes).to_payload)) == [field]
        assert list(problems_of(CampaignClone(clone_uuid=LIST_A, **changes).to_payload)) == [field]


@pytest.mark.parametrize("schedule_type", ["now", "once", "scheduled"])
def test_the_source_of_a_clone_or_update_may_have_the_rrule(schedule_type: str) -> None:
    expected = {"schedule_type": schedule_type}
    assert CampaignUpdate(schedule_type=schedule_type).to_payload() == expected
    clone = CampaignClone(clone_uuid=LIST_A, schedule_type=schedule_type, status=None)
    assert clone.to_payload() == {"clone_uuid": LIST_A} | expected


def test_inference_on_an_update() -> None:
    assert CampaignUpdate(schedule_rrule=TIME).to_payload()["schedule_type"] == "once"
    assert CampaignUpdate(schedule_rrule=RULE).to_payload()["schedule_type"] == "scheduled"


def test_clearing_a_schedule() -> None:
    both = {"schedule_type": "now", "schedule_rrule": ""}
    assert CampaignUpdate(**both).to_payload() == both
    for schedule_type in ("once", "scheduled"):
        changes = CampaignUpdate(schedule_type=schedule_type, schedule_rrule="")
        assert list(problems_of(changes.to_payload)) == ["schedule_rrule"]


def test_a_campaign_may_keep_an_rrule_that_now_does_not_use() -> None:
    for rrule in ("", TIME, RULE):
        assert check_complete(whole(schedule_rrule=rrule))["schedule_rrule"] == rrule
    assert list(problems_of(lambda: check_complete(whole(schedule_type="once")))) == ["schedule_rrule"]


zones: st.SearchStrategy[tzinfo] = st.one_of(
    st.timezones(), st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
)


@unhurried
@given(
    st.datetimes(
        datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=zones,
    )
)
def test_any_aware_datetime_is_the_same_instant_or_less_than_a_second_later(moment: datetime) -> None:
    kind, text = schedule(moment)
    assert kind == "once"
    assert text is not None
    sent = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert timedelta(0) <= sent - moment.astimezone(UTC) < timedelta(seconds=1)
    assert schedule(text) == ("once", text)


@unhurried
@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones), st.sampled_from("T "))  # noqa: DTZ001
def test_a_rendered_datetime_means_the_same_as_the_datetime(moment: datetime, separator: str) -> None:
    assert schedule(moment.isoformat(separator)) == schedule(moment)


@unhurried
@given(st.text())
def test_any_text_is_valid_or_a_payload_error(text: str) -> None:
    assume(text.strip())
    update = CampaignUpdate(schedule_rrule=text)
    try:
        payload = update.to_payload()
    except ValueError:
        return
    assert payload["schedule_type"] in ("once", "scheduled")
