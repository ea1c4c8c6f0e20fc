"""Recurrence rules: iCalendar RRULE strings (RFC 5545) to UTC times.

dateutil takes more than the RFC allows, and some rules that never fit any day keep it busy for long.
The sandbox serves everybody under one lock, so both are dealt with here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from airflow_provider_bm.campaigns.rrule import check_parts, check_start

#: So many recurrences may lie in the past when a rule starts (a sandbox's own limit).
MAX_PAST: Final = 100_000

_FREQUENCIES = ("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
#: The least and the greatest number of each part; negative ones count from the end where that makes sense.
_RANGES = {
    "INTERVAL": (1, 10**6),
    "COUNT": (1, 10**6),
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYMONTH": (1, 12),
    "BYSETPOS": (-366, 366),
}
#: Frequencies with which dateutil looks at each single day for one that fits, and what has to fit.
_BY_DAY = ("SECONDLY", "MINUTELY", "HOURLY", "DAILY")
_DAYS = ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY")
_TEXTS = ("FREQ", "UNTIL", "BYDAY", "WKST")
#: By so much clocks are put forward or back at the most.
_LARGEST_CHANGE = timedelta(hours=2)
_ZONE = re.compile(r"TZID=([^:;\s]*)")


def occurrences(rule: str, start: datetime) -> Iterator[datetime]:
    """All times of a rule from its start on, in UTC and in order.

    :param rule: an RRULE, with or without ``RRULE:`` and a line ``DTSTART`` before it.
    :param start: where it starts: DTSTART for a rule that has none (and its first time, if it fits).
    :raises ValueError: if it is not a rule.
    """
    since = start.astimezone(UTC).replace(microsecond=0)
    first, parts = _parse(rule)
    text = first + "RRULE:" + ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        if parts["FREQ"] in _BY_DAY and not _fits_any_day(parts, since):
            return iter(())
        return _from(since, _times(text, since))
    except (TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        # The parser has no error of its own: what it trips over depends on what is wrong.
        raise ValueError(str(error) or type(error).__name__) from error


def _parse(rule: str) -> tuple[str, dict[str, str]]:
    lines = [line.strip() for line in rule.strip().splitlines()]
    first = ""
    if lines and lines[0].upper().startswith("DTSTART"):
        zone, value = check_start(lines[0])
        # Written as dateutil understands it: with VALUE beside it, it overlooks the zone.
        first = f"DTSTART;TZID={zone}:{value}\n" if zone else f"DTSTART:{value}\n"
    rules = [line.upper() for line in (lines[1:] if first else lines)]
    if len(rules) != 1 or "FREQ=" not in rules[0]:
        raise ValueError("it must be one rule with a FREQ")
    parts: dict[str, str] = {}
    for part in rules[0].removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or name in parts:
            raise ValueError(f"{part} is not a part of a rule, or is there twice")
        _check(name, value)
        parts[name] = value
    if "FREQ" not in parts:
        raise ValueError("it has no FREQ")
    check_parts(parts)
    if "BYSETPOS" in parts and parts["FREQ"] in _BY_DAY:
        # Of a single day's times few positions exist, and dateutil would look for others for ever.
        raise ValueError("the sandbox takes BYSETPOS only with WEEKLY, MONTHLY or YEARLY")
    return first, parts


def _check(name: str, value: str) -> None:
    if name in _RANGES:
        least, most = _RANGES[name]
        for number in value.split(","):
            if not re.fullmatch(r"[+-]?[0-9]{1,7}", number) or not least <= int(number) <= most:
                raise ValueError(f"{name} must be from {least} to {most}, not {number}")
            if least < 0 and int(number) == 0:
                raise ValueError(f"{name} cannot be 0")
    elif name not in _TEXTS:
        raise ValueError(f"there is no {name} in a rule")
    elif name == "FREQ" and value not in _FREQUENCIES:
        raise ValueError(f"FREQ must be one of: {', '.join(_FREQUENCIES)}")


def _fits_any_day(parts: dict[str, str], start: datetime) -> bool:
    # Searching year by year is quick even if there is nothing to find; day by day it is not.
    days = {name: value for name, value in parts.items() if name in _DAYS}
    if "BYDAY" in days:
        days["BYDAY"] = re.sub(r"[+-]?\d+", "", days["BYDAY"])
    text = ";".join(["FREQ=YEARLY", *(f"{name}={value}" for name, value in days.items())])
    return next(iter(rrulestr(text, dtstart=start)), None) is not None


def _times(text: str, start: datetime) -> Iterator[datetime]:
    try:
        found = rrulestr(text, dtstart=start)
    except ValueError:
        # UNTIL and DTSTART must both have a zone or both have none: take all of it for UTC then.
        text = re.sub(r"(UNTIL=[0-9T]+)Z", r"\1", text)
        found = rrulestr(text, dtstart=start.replace(tzinfo=None))
    zone = _ZONE.search(text)
    if zone is None:
        return map(_utc, found)
    # Which time a local one is that does not exist, versions of dateutil disagree about; zoneinfo takes the
    # offset from before the change, as the RFC asks for.
    there = ZoneInfo(zone[1])
    return _in_order(moment.replace(tzinfo=there, fold=0).astimezone(UTC) for moment in found)


def _in_order(times: Iterator[datetime]) -> Iterator[datetime]:
    """Each time once, and in order.

    Where clocks are put forward, local times that do not exist are those an hour later, which the rule may
    name, too.
    """
    waiting: list[datetime] = []
    latest = last = datetime.min.replace(tzinfo=UTC)
    for moment in chain(times, (None,)):
        if moment is not None:
            heappush(waiting, moment)
            latest = max(latest, moment)
        while waiting and (moment is None or waiting[0] < latest - _LARGEST_CHANGE):
            following = heappop(waiting)
            if following > last:
                yield following
                last = following


def _from(since: datetime, times: Iterator[datetime]) -> Iterator[datetime]:
    for _ in range(MAX_PAST):
        moment = next(times, None)
        if moment is None:
            return iter(())
        if moment >= since:
            return chain((moment,), times)
    raise ValueError(f"more than {MAX_PAST} of its times lie in the past")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
