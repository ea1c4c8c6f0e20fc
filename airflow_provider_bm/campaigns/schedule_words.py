"""Schedules in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_bm.campaigns.rrule import Rule, parse_rule

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
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ORDINALS: Final = {"1": "first", "2": "second", "3": "third", "-1": "last", "-2": "second to last"}
#: Maximum times of day to list.
_MAX_TIMES: Final = 8


def schedule_in_words(campaign: Mapping[str, Any]) -> str:
    """Describe when a campaign executes, such as ``daily at 06:00``.

    :param campaign: a payload or a ``CampaignResponse``
    :return: the description, or the rule itself if it is too complex
    """
    rrule = str(campaign.get("schedule_rrule") or "").strip()
    kind = campaign.get("schedule_type") or (
        "scheduled" if "FREQ=" in rrule.upper() else "once" if rrule else "now"
    )
    if kind == "once":
        return f"once, {rrule.removesuffix(':00')}"
    if kind != "scheduled":
        # Not "now": campaigns that executed long ago are described as well.
        return "at once"
    try:
        return rule_in_words(parse_rule(rrule, from_server=True)) or rrule
    except ValueError:
        return rrule


def rule_in_words(rule: Rule) -> str | None:
    """Describe a recurrence rule, or return None if it is too complex for words.

    :param rule: the rule
    """
    parts = dict(rule.parts)
    parts.pop("WKST", None)
    once, several = _UNITS[parts.pop("FREQ")]
    interval = parts.pop("INTERVAL", "1")
    words = [once if interval == "1" else f"every {interval} {several}"]
    if "BYDAY" in parts:
        days = [
            _day(day, "BYMONTH" in parts or rule.parts["FREQ"] == "MONTHLY")
            for day in parts.pop("BYDAY").split(",")
        ]
        if None in days:
            return None
        words.append(f"on {', '.join(filter(None, days))}")
    if "BYMONTHDAY" in parts:
        days_of_month = parts.pop("BYMONTHDAY").split(",")
        if any(day.startswith("-") and day != "-1" for day in days_of_month):
            return None
        words.append(
            "on " + ", ".join("the last day" if day == "-1" else f"day {day}" for day in days_of_month)
        )
    if "BYMONTH" in parts:
        words.append("in " + ", ".join(_MONTHS[int(month) - 1] for month in parts.pop("BYMONTH").split(",")))
    hours, minutes = parts.pop("BYHOUR", ""), parts.pop("BYMINUTE", "")
    if bool(hours) != bool(minutes) or parts.pop("BYSECOND", "0") not in ("0", "00"):
        return None
    if hours:
        times = [f"{hour:0>2}:{minute:0>2}" for hour in hours.split(",") for minute in minutes.split(",")]
        if len(times) > _MAX_TIMES:
            return None
        words.append(f"at {', '.join(sorted(times))}")
    text = " ".join(words)
    if "COUNT" in parts:
        count = parts.pop("COUNT")
        text += ", once" if count == "1" else f", {count} times"
    if "UNTIL" in parts:
        until = parts.pop("UNTIL")
        text += f", until {until[:4]}-{until[4:6]}-{until[6:8]}"
    if rule.start is not None:
        text += f", from {rule.start:%Y-%m-%d %H:%M} {rule.zone or 'UTC'}"
    return None if parts else text


def _day(text: str, within_month: bool) -> str | None:
    match = re.fullmatch(r"\+?(-?\d*)([A-Z]{2})", text)
    if match is None or (match[1] and not within_month):
        return None
    if not match[1]:
        return _DAYS[match[2]]
    number = _ORDINALS.get(match[1].lstrip("0"))
    return f"the {number} {_DAYS[match[2]]}" if number else None
