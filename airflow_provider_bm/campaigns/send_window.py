"""Send windows: the hours of a week in which messages may go out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.campaigns.problems import Problems, check_choice, check_keys
from airflow_provider_bm.campaigns.times import parse_zone
from airflow_provider_bm.exceptions import BMPayloadError

ON_CLOSED: Final = ("fail", "schedule", "skip")

_SUBJECT: Final = "send window"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::00)?", re.ASCII)
_MINUTE: Final = timedelta(minutes=1)
_WHOLE_DAY: Final = 24 * 60


@dataclass(frozen=True)
class SendWindow:
    """The hours in which messages may go out, in the local time of one time zone.

    Open from ``start`` (inclusive) to ``end`` (exclusive) on each of ``days``. If ``end`` is not after
    ``start``, the window crosses midnight, and ``days`` are those on which it opens. When clocks change, the
    local time counts: the window is never open at a local time outside of it.

    :param start: time of day, such as ``"09:00"``, or a :class:`datetime.time`
    :param end: time of day; ``"24:00"`` for midnight
    :param days: days of the week, such as ``"mon-fri"`` or ``"sat,sun"``; default ``"mon-sun"``
    :param tz: time zone, such as ``"Europe/Zurich"``; default ``"UTC"``
    :param on_closed: what an operator does while the window is closed: ``"fail"`` (the default),
        ``"schedule"`` (send at the next opening) or ``"skip"``
    :raises BMPayloadError: an argument is invalid; lists every problem
    """

    start: str
    end: str
    _: KW_ONLY
    days: str = "mon-sun"
    tz: str = "UTC"
    on_closed: str = "fail"

    def __post_init__(self) -> None:
        problems = Problems()
        start = _check_time("start", self.start, problems)
        end = _check_time("end", self.end, problems)
        if start is not None and start == end:
            problems.add("end", self.end, "must differ from start; for whole days, use 00:00 to 24:00")
        days = _check_days(self.days, problems)
        try:
            parse_zone(self.tz)
        except ValueError as error:
            problems.add("tz", self.tz, str(error))
        check_choice("on_closed", self.on_closed, ON_CLOSED, problems)
        if problems or start is None or end is None:
            raise BMPayloadError(problems, _SUBJECT)
        object.__setattr__(self, "start", _time_text(start))
        object.__setattr__(self, "end", _time_text(end))
        object.__setattr__(self, "days", ",".join(_DAYS[day] for day in days))

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a window from a connection's extra.

        :param value: a window, or an object or JSON text with the constructor's arguments:
            ``{"start": "09:00", "end": "20:00", "tz": "Europe/Zurich"}``
        :raises BMPayloadError: the value is not a window; lists every problem
        """
        if isinstance(value, cls):
            return value
        example = '{"start": "09:00", "end": "20:00", "days": "mon-fri", "tz": "Europe/Zurich"}'
        problems = Problems()
        arguments = value
        if isinstance(value, str):
            try:
                arguments = parse_json(value)
            except ValueError as error:
                problems.add("send_window", value, f"must be a JSON object such as {example}: {error}")
                raise BMPayloadError(problems, _SUBJECT) from None
        if not isinstance(arguments, Mapping):
            problems.add("send_window", value, f"must be a JSON object such as {example}")
            raise BMPayloadError(problems, _SUBJECT)
        check_keys("", arguments, tuple(field.name for field in fields(cls)), problems, required=False)
        for name in ("start", "end"):
            if name not in arguments:
                problems.add(name, None, "is required: a time of day such as '09:00'")
        if problems:
            raise BMPayloadError(problems, _SUBJECT)
        return cls(**arguments)

    def is_open(self, moment: datetime) -> bool:
        """Return whether messages may go out at a point in time.

        :param moment: an aware datetime
        :raises ValueError: the datetime has no time zone
        """
        local = _aware(moment).astimezone(ZoneInfo(self.tz))
        minute, today = local.hour * 60 + local.minute, _DAYS[local.weekday()] in self.days
        start, end = _minutes(self.start), _minutes(self.end)
        if start < end:
            return today and start <= minute < end
        yesterday = _DAYS[local.weekday() - 1] in self.days
        return (today and minute >= start) or (yesterday and minute < end)

    def next_opening(self, moment: datetime) -> datetime:
        """Return the first point in time, not before the given one, at which the window is open.

        :param moment: an aware datetime
        :return: in UTC; the given moment if the window is open then
        :raises ValueError: the datetime has no time zone, or the window does not open within three weeks
        """
        if self.is_open(moment):
            return moment.astimezone(UTC)
        zone = ZoneInfo(self.tz)
        start = time(*divmod(_minutes(self.start), 60))
        first = moment.astimezone(zone).date()
        for offset in range(-1, 22):
            opening = datetime.combine(first + timedelta(days=offset), start)
            # If clocks skip the start, the window opens between these two.
            at, last = sorted(opening.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
            while at <= last:
                if at >= moment and self.is_open(at):
                    return at
                at += _MINUTE
        raise ValueError(f"the send window ({self}) does not open within three weeks of {moment}")

    def __str__(self) -> str:
        return f"{self.start} to {self.end}, {_days_in_words(self.days)}, {self.tz}"


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError("a send window needs an aware datetime")
    return moment


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _time_text(minutes: int) -> str:
    return "{:02}:{:02}".format(*divmod(minutes, 60))


def _check_time(field: str, value: object, problems: Problems) -> int | None:
    """Return a time of day in minutes since midnight; the end of a day is 1440."""
    text = value.isoformat() if isinstance(value, time) and value.tzinfo is None else value
    if field == "end" and text in ("24:00", "24:00:00", "00:00", "00:00:00"):
        return _WHOLE_DAY
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        problems.add(field, value, "must be a time of day in hours and minutes, such as '09:00'")
        return None
    return int(match[1]) * 60 + int(match[2])


def _check_days(value: object, problems: Problems) -> list[int]:
    wanted = f"must be days or ranges of days, such as 'mon-fri' or 'sat,sun', of {', '.join(_DAYS)}"
    parts: Iterable[Any] = value.split(",") if isinstance(value, str) else ()
    if isinstance(value, list | tuple):
        parts = value
    found: set[int] = set()
    for part in parts:
        first, dash, last = (
            text.strip().lower() for text in (part if isinstance(part, str) else "").partition("-")
        )
        if first not in _DAYS or (dash and last not in _DAYS):
            found.clear()
            break
        begin = _DAYS.index(first)
        length = (_DAYS.index(last) - begin) % 7 if dash else 0
        found |= {(begin + step) % 7 for step in range(length + 1)}
    if not found:
        problems.add("days", value, wanted)
    return sorted(found)


def _days_in_words(days: str) -> str:
    found = [_DAYS.index(day) for day in days.split(",")]
    if len(found) == 7:
        return "every day"
    if len(found) > 2 and found[-1] - found[0] == len(found) - 1:
        return f"{_NAMES[found[0]]} to {_NAMES[found[-1]]}"
    return ", ".join(_NAMES[day] for day in found)
