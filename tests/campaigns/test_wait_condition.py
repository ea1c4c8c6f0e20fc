from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import check_wait, decide, describe, parse_time
from airflow_provider_bm.campaigns.constants import STATUSES
from airflow_provider_bm.exceptions import BMPayloadError, BMResponseError
from tests.campaigns.samples import problems_of, unhurried

T = datetime(2024, 5, 1, 17, 5, tzinfo=UTC)
BEFORE, AT, AFTER = "2024-05-01T19:04:59+02:00", "2024-05-01T19:05:00+02:00", "2024-05-01T17:05:00.1Z"


@pytest.mark.parametrize(
    ("status", "target", "failed", "state"),
    [
        ("finished", "finished", ("stopped",), "done"),
        ("active", "finished", ("stopped",), "waiting"),
        ("draft", "finished", ("stopped",), "waiting"),
        ("stopped", "finished", ("stopped",), "failed"),
        ("stopped", "finished", (), "waiting"),
        ("stopped", "stopped", ("stopped",), "done"),
        ("finished", "stopped", ("stopped",), "failed"),
        ("finished", "active", (), "failed"),
        ("finished", "draft", (), "failed"),
        ("active", "active", ("stopped",), "done"),
        ("draft", "active", ("stopped",), "waiting"),
        ("draft", "active", ("stopped", "draft"), "failed"),
        ("draft", "draft", ("draft",), "done"),
    ],
)
def test_waiting_for_a_status(status: str, target: str, failed: tuple[str, ...], state: str) -> None:
    for last in (None, "", BEFORE, "garbage"):
        campaign = {"status": status, "last_dt": last}
        verdict = decide(campaign, target_status=target, failed_status=failed)
        assert verdict.state == state
        assert status in verdict.reason


@pytest.mark.parametrize("executed_after", [T, T.isoformat(), AT])
@pytest.mark.parametrize(
    ("status", "last", "state"),
    [(status, last, "done") for status in STATUSES for last in (AT, AFTER)]
    + [("finished", last, "failed") for last in (BEFORE, None, "", ...)]
    + [("stopped", last, "failed") for last in (BEFORE, None, "", ...)]
    + [(status, last, "waiting") for status in ("active", "draft") for last in (BEFORE, None, "", ...)],
)
def test_waiting_for_an_execution(executed_after: Any, status: str, last: Any, state: str) -> None:
    campaign = {"status": status} | ({} if last is ... else {"last_dt": last})
    verdict = decide(campaign, executed_after=executed_after)
    assert verdict.state == state
    assert "2024-05-01T17:05:00Z" in verdict.reason


def test_target_status_is_ignored_with_executed_after() -> None:
    campaign = {"status": "active", "last_dt": BEFORE}
    assert decide(campaign, executed_after=T, target_status="active").state == "waiting"
    assert decide({"status": "stopped"}, executed_after=T, failed_status=()).state == "waiting"


def test_reasons_are_sentences_with_the_campaign() -> None:
    campaign = {"schedule_type": "scheduled", "schedule_rrule": "FREQ=DAILY", "last_dt": BEFORE}
    finished = decide(campaign | {"status": "finished"}, executed_after=T)
    assert finished.reason == (
        "The campaign finished without executing at or after 2024-05-01T17:05:00Z; its last execution was at "
        "2024-05-01T17:04:59Z (finished, daily, sent at 2024-05-01 17:04:59 UTC, no further execution)."
    )
    uuid = "1592695e-c1b1-11ee-b153-774c9d3a7957"
    stopped = decide({"status": "stopped", "uuid": uuid, "name": "[7c41e09ab2f3d815] Storm warning"})
    assert stopped.reason.startswith(f"Campaign {uuid} 'Storm warning' is stopped (stopped, not sent yet")
    waiting = decide(campaign | {"status": "draft", "next_dt": AT})
    assert waiting.reason == (
        "The campaign is a draft: waiting for a person to activate it, and then for it to become finished "
        "(draft, daily, last execution at 2024-05-01 17:04:59 UTC, "
        "next execution at 2024-05-01 17:05:00 UTC)."
    )
    never = decide({"status": "finished"}, target_status="stopped").reason
    assert "can no longer become stopped" in never


@pytest.mark.parametrize("status", ["paused", "Finished", "", None, ..., 5, ["finished"], {"a": 1}, True])
def test_an_unknown_status_fails_before_anything_else(status: Any) -> None:
    campaign = {"last_dt": "garbage"} | ({} if status is ... else {"status": status})
    for executed_after in (None, T):
        verdict = decide(campaign, executed_after=executed_after, failed_status=())
        assert verdict.state == "failed"
        assert ("has no status" if status in (None, ...) else repr(status)) in verdict.reason


@unhurried
@given(
    st.text().filter(lambda text: text not in STATUSES),
    st.sampled_from(STATUSES),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_an_unknown_status_is_never_done(
    status: str, target: str, executed_after: datetime | None, last: datetime | None
) -> None:
    campaign = {"status": status, "last_dt": last and last.isoformat()}
    assert decide(campaign, target_status=target, executed_after=executed_after).state == "failed"


@unhurried
@given(
    st.sampled_from(STATUSES),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.timezones()),  # noqa: DTZ001
    st.timedeltas(timedelta(days=-3), timedelta(days=3)),
)
def test_executed_means_at_or_after(status: str, wanted: datetime, distance: timedelta) -> None:
    last = wanted.astimezone(UTC) + distance
    verdict = decide({"status": status, "last_dt": last.isoformat()}, executed_after=wanted)
    assert (verdict.state == "done") == (last >= wanted.astimezone(UTC))


@pytest.mark.parametrize("last", ["garbage", "2024-05-01", "2024-05-01 17:05:00", 1714583100, True, []])
def test_an_invalid_last_dt_is_a_response_error(last: Any) -> None:
    with pytest.raises(BMResponseError, match="last_dt") as caught:
        decide({"status": "active", "last_dt": last}, executed_after=T)
    assert repr(last) in str(caught.value)


def test_check_wait_normalises_arguments() -> None:
    wait = check_wait("finished", "2024-05-01T19:05:00+02:00", "stopped")
    assert (wait.target_status, wait.executed_after, wait.failed_status) == ("finished", T, ("stopped",))
    assert wait.executed_after is not None
    assert wait.executed_after.tzinfo is UTC
    assert check_wait("active", None, ["stopped", "draft", "stopped"]).failed_status == ("stopped", "draft")
    assert check_wait("active", None, "stopped, draft").failed_status == ("stopped", "draft")
    assert check_wait("active", None, {"stopped", "draft"}).failed_status == ("draft", "stopped")
    assert check_wait("active", None, "").failed_status == check_wait("active", None, ()).failed_status == ()


def test_check_wait_lists_every_problem() -> None:
    for failed in ("stoped", ["stopped", None], None, 5):
        problems = problems_of(lambda failed=failed: check_wait("done", "2024-05-01 17:05:00", failed))  # type: ignore[misc]
        assert list(problems) == ["target_status", "executed_after", "failed_status"]
    with pytest.raises(BMPayloadError):
        decide({"status": "finished"}, target_status="Finished")


@pytest.mark.parametrize(
    "value", [T.replace(tzinfo=None), "2024-05-01T17:05:00", "2024-05-01", "", "None", None, 5]
)
def test_a_time_needs_a_zone(value: Any) -> None:
    assert list(problems_of(lambda: parse_time(value, "executed_after"))) == ["executed_after"]


def test_parse_time_returns_utc() -> None:
    assert parse_time(AT, "x") == parse_time(T, "x") == T
    assert parse_time(AT, "x").utcoffset() == timedelta(0)


def test_describe_is_one_line() -> None:
    assert describe({}) == "no status, not sent yet"
    campaign = {
        "status": "active",
        "schedule_type": "scheduled",
        "schedule_rrule": "DTSTART:20240501T080000Z\nRRULE:FREQ=DAILY",
        "next_dt": AT,
        "last_dt": "",
    }
    words = "active, daily, from 2024-05-01 08:00 UTC, not sent yet, next execution at "
    assert describe(campaign) == f"{words}2024-05-01 17:05:00 UTC"
    assert describe(campaign, now=T) == f"{words}17:05:00 UTC"


def test_describe_a_finished_campaign() -> None:
    finished = {"status": "finished", "last_dt": AT}
    assert describe(finished, now=T) == "finished, sent at 17:05:00 UTC, no further execution"
    assert describe({"status": "finished"}) == "finished, never sent, no further execution"
    assert describe({"status": "draft"}) == "draft, not sent yet"
    assert "last execution at 'soon'" in describe({"status": "active", "last_dt": "'soon'"})
