"""Validation of a schedule: ``schedule_type`` and ``schedule_rrule`` (Campaign API 4.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from airflow_provider_bm.campaigns.constants import ONCE_FORMAT, SCHEDULE_TYPES
from airflow_provider_bm.campaigns.cron import rule_from_cron
from airflow_provider_bm.campaigns.problems import Problems, check_choice
from airflow_provider_bm.campaigns.rrule import check_rule
from airflow_provider_bm.campaigns.text import check_unicode
from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.campaigns.values import is_missing

ONCE_PATTERN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_LOOKS_LIKE_TIME = re.compile(r"\d{4}-?\d\d", re.ASCII)
_HAS_FREQUENCY = re.compile(r"(?:^|[;:\s])FREQ=", re.IGNORECASE)

#: Kind of ``schedule_rrule`` that each type of schedule needs.
_NEEDED: Final = {"once": "time", "scheduled": "rule"}
_EXPECTED: Final = (
    "must be an aware datetime, a time such as '2024-05-01T17:05:00+00:00', '2024-05-01 17:05:00' for UTC, "
    "or an RRULE such as 'FREQ=DAILY;BYHOUR=8'"
)


@dataclass(frozen=True, kw_only=True)
class ScheduleTime:
    """A validated ``schedule_rrule``.

    :ivar kind: ``time`` for one point in time, ``rule`` for a recurrence, ``cleared`` for the empty string
    :ivar text: the text for the API
    """

    kind: Literal["time", "rule", "cleared"]
    text: str


def parse_schedule(
    field: str, value: Any, allow_clear: bool, problems: Problems, *, from_server: bool = False
) -> ScheduleTime | None:
    """Parse a ``schedule_rrule`` in any of the forms that users may write.

    Times are converted to UTC. Fractions of a second are rounded up, so that nothing runs too early. A time
    in the past is accepted: only the server's clock decides.

    :param field: the field
    :param value: an aware datetime, an ISO 8601 string with an offset, ``Y-m-d H:i:s`` in UTC, or an RRULE
    :param allow_clear: whether an empty string clears the field
    :param problems: the list to which problems are added
    :param from_server: whether the value comes from the server: a rule may then end in a semicolon
    :return: the schedule, or None if there is a problem
    """
    if isinstance(value, str) and not value and allow_clear:
        return ScheduleTime(kind="cleared", text="")
    try:
        if is_missing(value):
            raise ValueError(f"{_EXPECTED}; this is a missing value")
        if isinstance(value, datetime):
            return ScheduleTime(kind="time", text=to_utc_text(read_time(value)))
        if isinstance(value, date):
            raise ValueError("a date alone does not say when: pass an aware datetime")
        if not isinstance(value, str) or not value.strip():
            raise ValueError(_EXPECTED)
        text = value.strip()
        check_unicode(text)
        if ONCE_PATTERN.fullmatch(text):
            return ScheduleTime(kind="time", text=to_utc_text(read_once(text)))
        if _LOOKS_LIKE_TIME.match(text):
            return ScheduleTime(kind="time", text=to_utc_text(read_time(text)))
        _check_rule(text, from_server)
        return ScheduleTime(kind="rule", text=text)
    except (ValueError, OverflowError) as error:
        problems.add(field, value, str(error))
        return None


def to_utc_text(moment: datetime) -> str:
    """Return a point in time as the API expects it: ``Y-m-d H:i:s`` in UTC, rounded up.

    :param moment: an aware datetime
    :raises OverflowError: the rounded time is after the year 9999
    """
    moment = moment.astimezone(UTC)
    if moment.microsecond:
        moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    return f"{moment.year:04}-{moment:%m-%d %H:%M:%S}"


def _check_rule(text: str, from_server: bool) -> None:
    if not _HAS_FREQUENCY.search(text):
        same = rule_from_cron(text)
        raise ValueError(f"looks like cron: the equivalent RRULE is {same}" if same else _EXPECTED)
    try:
        check_rule(text, from_server)
    except ValueError as error:
        raise ValueError(f"not a valid RRULE: {error}") from None


def check_schedule(
    schedule_type: Any,
    rrule: Any,
    *,
    complete: bool,
    allow_clear: bool,
    from_server: bool,
    problems: Problems,
) -> dict[str, str]:
    """Check a schedule's two fields against each other, and infer ``schedule_type``.

    :param schedule_type: its value; None to infer it
    :param rrule: value of ``schedule_rrule``, or None
    :param complete: whether the payload is complete by itself: ``once`` and ``scheduled`` then require a
        schedule
    :param allow_clear: whether an empty string clears ``schedule_rrule``
    :param from_server: whether the server stores these fields: ``now`` may then come with an unused RRULE
    :param problems: the list to which problems are added
    :return: the fields to send
    """
    result: dict[str, str] = {}
    kind = None
    if schedule_type is not None:
        kind = check_choice("schedule_type", schedule_type, SCHEDULE_TYPES, problems)
        if kind is not None:
            result["schedule_type"] = kind
    if rrule is None:
        if complete and kind in ("once", "scheduled"):
            problems.add("schedule_rrule", None, _needs(kind))
        return result
    # A time that a template rendered to nothing must not send at once: clearing it requires "now".
    allow_clear = allow_clear and (from_server or kind == "now")
    moment = parse_schedule("schedule_rrule", rrule, allow_clear, problems, from_server=from_server)
    if moment is None:
        return result
    result["schedule_rrule"] = moment.text
    if schedule_type is None and moment.kind != "cleared":
        result["schedule_type"] = "once" if moment.kind == "time" else "scheduled"
    elif kind == "now" and moment.kind != "cleared" and not from_server:
        problems.add("schedule_type", kind, "contradicts schedule_rrule; leave one of them out")
    elif kind in _NEEDED and moment.kind != _NEEDED[kind]:
        problems.add("schedule_rrule", rrule, _needs(kind))
    return result


def read_once(text: str) -> datetime:
    """Read the time of a ``once`` campaign: ``Y-m-d H:i:s`` in UTC, or with an offset.

    :raises ValueError: the text is not such a time
    """
    if not ONCE_PATTERN.fullmatch(text):
        return read_time(text).astimezone(UTC)
    try:
        return datetime.strptime(text, ONCE_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"there is no such time: {error}") from None


def _needs(kind: str) -> str:
    if kind == "once":
        return "schedule_type 'once' needs a point in time here"
    return "schedule_type 'scheduled' needs an RRULE here, such as 'FREQ=DAILY;BYHOUR=8'"
