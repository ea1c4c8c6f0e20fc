"""Schedules in words, for people; what there are no words for stays a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_UNITS: Final = {
    "SECONDLY": ("every second", "seconds"),
    "MINUTELY": ("every minute", "minutes"),
    "HOURLY": ("hourly", "hours"),
    "DAILY": ("daily", "days"),
    "WEEKLY": ("weekly", "weeks"),
    "MONTHLY": ("monthly", "months"),
    "YEARLY": ("yearly", "years"),
}
_DAYS: Final = {"MO": "Mon", "TU": "Tue", "WE": "Wed", "TH": "Thu", "FR": "Fri", "SA": "Sat", "SU": "Sun"}


def schedule_in_words(fields: Mapping[str, str]) -> str:
    """Say when a campaign runs, e.g. ``daily at 06:00``; times are in UTC."""
    rule = fields.get("schedule_rrule", "")
    match fields.get("schedule_type"):
        case "once":
            return f"once, {rule.removesuffix(':00')}"
        case "scheduled":
            return _rule_in_words(rule) or rule
        case _:
            # Not "now": it still says so when it is long over.
            return "at once"


def _rule_in_words(rule: str) -> str | None:
    parts = dict(part.partition("=")[::2] for part in rule.strip().upper().removeprefix("RRULE:").split(";"))
    unit = _UNITS.get(parts.pop("FREQ", ""))
    if unit is None:
        return None
    interval = parts.pop("INTERVAL", "1")
    words = [unit[0] if interval == "1" else f"every {interval} {unit[1]}"]
    if "BYDAY" in parts:
        days = [_DAYS.get(day) for day in parts.pop("BYDAY").split(",")]
        if None in days:
            return None
        words.append(f"on {', '.join(filter(None, days))}")
    if "BYMONTHDAY" in parts:
        words.append(f"on day {parts.pop('BYMONTHDAY').replace(',', ', ')}")
    hours, minute = parts.pop("BYHOUR", ""), parts.pop("BYMINUTE", "")
    if bool(hours) != bool(minute) or "," in minute:
        return None
    if hours:
        words.append("at " + ", ".join(f"{hour:0>2}:{minute:0>2}" for hour in hours.split(",")))
    if parts.pop("BYSECOND", "0") != "0":
        return None
    text = " ".join(words)
    if "COUNT" in parts:
        times = parts.pop("COUNT")
        text += ", once" if times == "1" else f", {times} times"
    if "UNTIL" in parts:
        until = parts.pop("UNTIL")
        text += f", until {until[:4]}-{until[4:6]}-{until[6:8]}"
    parts.pop("WKST", None)
    return None if parts else text
