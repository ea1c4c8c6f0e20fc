"""Schedules in words, for people; a rule without words for it is shown as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from airflow_provider_bm.campaigns.rrule import parse_rule

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
    """Return when a campaign runs, e.g. ``daily at 06:00``; times are in UTC."""
    rule = fields.get("schedule_rrule", "")
    match fields.get("schedule_type"):
        case "once":
            return f"once, {rule.removesuffix(':00')}"
        case "scheduled":
            return _rule_in_words(rule) or rule
        case _:
            # Not "now": the field keeps that value when the campaign is long finished.
            return "at once"


def _rule_in_words(text: str) -> str | None:
    try:
        rule = parse_rule(text, from_server=True)
    except ValueError:
        return None
    parts = {name: value for name, value in rule.parts.items() if name != "WKST"}
    unit, units = _UNITS[parts.pop("FREQ")]
    interval = parts.pop("INTERVAL", "1")
    words = [unit if interval == "1" else f"every {interval} {units}"]
    days, month_days = parts.pop("BYDAY", ""), parts.pop("BYMONTHDAY", "")
    hours, minute, second = parts.pop("BYHOUR", ""), parts.pop("BYMINUTE", ""), parts.pop("BYSECOND", "0")
    count, until = parts.pop("COUNT", ""), parts.pop("UNTIL", "")
    if rule.start or parts or re.search(r"\d", days) or bool(hours) != bool(minute) or second != "0":
        return None
    if "," in minute:
        return None
    if days:
        words.append(f"on {', '.join(_DAYS[day] for day in days.split(','))}")
    if month_days:
        words.append(f"on day {month_days.replace(',', ', ')}")
    if hours:
        words.append("at " + ", ".join(f"{hour:0>2}:{minute:0>2}" for hour in hours.split(",")))
    ends = ", once" if count == "1" else f", {count} times" if count else ""
    if until:
        ends = f", until {until[:4]}-{until[4:6]}-{until[6:8]}"
    return " ".join(words) + ends
