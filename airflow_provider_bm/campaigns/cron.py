"""Conversion of cron expressions to RRULEs, for error messages."""

from __future__ import annotations

import re
from typing import Final

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_PRESETS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_ITEM = re.compile(r"(\*|\d{1,2})(?:-(\d{1,2}))?(?:/(\d{1,2}))?", re.ASCII)


def rule_from_cron(text: str) -> str | None:
    """Return the RRULE that is equivalent to a cron expression in UTC, or None.

    No single rule can express cron's restriction of both the day of the month and the day of the week.

    :param text: five fields, or a preset such as ``@daily``
    """
    fields = _PRESETS.get(text.strip().lower(), text).split()
    if len(fields) != len(_RANGES):
        return None
    found = [_numbers(field.upper(), *limits) for field, limits in zip(fields, _RANGES, strict=True)]
    if not all(found):
        return None
    minutes, hours, month_days, months, weekdays = found
    days = sorted({day % 7 for day in weekdays}, key=lambda day: (day - 1) % 7)
    every_day, every_weekday = len(month_days) == 31, len(days) == 7
    if not every_day and not every_weekday:
        return None
    frequency = "MINUTELY" if len(minutes) == 60 else "HOURLY" if len(hours) == 24 else "DAILY"
    parts = [f"FREQ={frequency}"]
    if len(months) < 12:
        parts.append("BYMONTH=" + ",".join(map(str, months)))
    if not every_day:
        parts.append("BYMONTHDAY=" + ",".join(map(str, month_days)))
    if not every_weekday:
        parts.append("BYDAY=" + ",".join(_DAYS[day][:2] for day in days))
    if len(hours) < 24:
        parts.append("BYHOUR=" + ",".join(map(str, hours)))
    if frequency != "MINUTELY":
        parts.append("BYMINUTE=" + ",".join(map(str, minutes)))
    return ";".join([*parts, "BYSECOND=0"])


def _numbers(field: str, least: int, most: int) -> list[int]:
    """Return the numbers of one field of a cron expression; empty if it is invalid."""
    names = {12: dict(zip(_MONTHS, range(1, 13), strict=True)), 7: dict(zip(_DAYS, range(7), strict=True))}
    for name, number in names.get(most, {}).items():
        field = field.replace(name, str(number))
    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            return []
        first, last, step = match.groups()
        begin = least if first == "*" else int(first)
        end = most if first == "*" or (step and not last) else int(last or first)
        if first == "*" and most == 7:
            end = 6
        if not least <= begin <= end <= most or step == "0":
            return []
        found |= {*range(begin, end + 1, int(step or 1))}
    return sorted(found)
