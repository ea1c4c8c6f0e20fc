"""Recurrence rules: parsing and checking of iCalendar RRULEs (RFC 5545, 3.3.10 and 3.8.5.3).

The client and the sandbox share this check. A rule need not match its start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from airflow_provider_bm.campaigns.problems import did_you_mean

FREQUENCIES: Final = ("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

#: Smallest and largest number of each part. Negative numbers count from the end; zero is then not a number.
_RANGES: Final = {
    "INTERVAL": (1, 10**6),
    "COUNT": (1, 10**6),
    "BYSECOND": (0, 60),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYMONTH": (1, 12),
    "BYSETPOS": (-366, 366),
}
_SINGLE: Final = ("INTERVAL", "COUNT")
_DAY: Final = rf"({'|'.join(WEEKDAYS)})"
#: Pattern of each other part, and its description.
_PATTERNS: Final = {
    "FREQ": ("|".join(FREQUENCIES), f"one of {', '.join(FREQUENCIES)}"),
    "BYDAY": (rf"([+-]?\d{{1,7}})?{_DAY}(,([+-]?\d{{1,7}})?{_DAY})*", "days such as MO or -1FR"),
    "WKST": (_DAY, "a day such as MO"),
    "UNTIL": (r"\d{8}(T\d{6}Z?)?", "a date or a time in UTC, such as 20261231T235959Z"),
}
_PARTS: Final = (*_PATTERNS, *_RANGES)
#: Parts that some frequencies cannot have, and the frequencies that can.
_ONLY_WITH: Final = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY"),
    "BYMONTHDAY": ("YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"),
}
#: Maximum occurrences of a weekday per period.
_MAX_WEEKDAYS: Final = {"MONTHLY": 5, "YEARLY": 53}
_START_EXPECTED: Final = (
    "DTSTART must be like DTSTART:20261231T080000Z, DTSTART;TZID=Europe/Zurich:20261231T080000 "
    "or DTSTART;VALUE=DATE:20261231"
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A valid rule.

    :ivar parts: its parts by name, in upper case
    :ivar start: its ``DTSTART`` without a zone, or None
    :ivar zone: the zone of its local times: ``UTC``, a ``TZID``, or None if they float
    """

    parts: Mapping[str, str]
    start: datetime | None = None
    zone: str | None = None

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of a part, in ascending order; empty if the rule does not have it."""
        return sorted({int(number) for number in self.parts.get(name, "").split(",") if number})


def check_rule(text: str, from_server: bool = False) -> None:
    """Check a recurrence rule.

    :param text: one rule, ``FREQ=…``, with or without ``RRULE:`` before it and a line ``DTSTART`` beside it
    :param from_server: whether the rule comes from the server: a trailing semicolon is accepted, and so is an
        UNTIL in UTC with a floating DTSTART, which counts as UTC, or the reverse
    :raises ValueError: RFC 5545 does not allow the rule; the message names the part
    """
    parse_rule(text, from_server)


def parse_rule(text: str, from_server: bool = False) -> Rule:
    """Parse a recurrence rule.

    :param text: see :func:`check_rule`
    :param from_server: see :func:`check_rule`
    :raises ValueError: RFC 5545 does not allow the rule; the message names the part
    """
    start: tuple[datetime, str | None] | None = None
    parts: dict[str, str] | None = None
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name = re.split("[:;=]", line, maxsplit=1)[0].upper()
        if name == "DTSTART" and start is None:
            start = _parse_start(line)
        elif parts is None and (name == "RRULE" or name in _PARTS):
            parts = _parse_parts(line.upper().removeprefix("RRULE:"), from_server)
        elif name in ("RRULE", "DTSTART", *_PARTS):
            raise ValueError("it must be one rule, with at most one DTSTART")
        elif name.startswith("BY"):
            raise ValueError(_unknown_part(name))
        else:
            raise ValueError(f"it must be one RRULE, with or without a DTSTART; {name} is not supported")
    if parts is None:
        raise ValueError("it must be one rule with a FREQ, such as FREQ=DAILY;BYHOUR=8")
    if start is not None and "UNTIL" in parts and not from_server:
        # RFC 5545, 3.3.10: both in UTC or with a zone, or both floating.
        if start[1] is None and parts["UNTIL"].endswith("Z"):
            raise ValueError("UNTIL is in UTC, but DTSTART has no time zone: end it in Z, or add a TZID")
        if start[1] is not None and not parts["UNTIL"].endswith("Z"):
            raise ValueError("DTSTART has a time zone, so UNTIL must be in UTC: end it in Z")
    if start is None:
        return Rule(parts=parts)
    return Rule(parts=parts, start=start[0], zone=start[1])


def _parse_start(line: str) -> tuple[datetime, str | None]:
    """Parse a line ``DTSTART``. Case matters only in the name of a zone (RFC 5545, 3.8.2.4)."""
    head, colon, value = line.partition(":")
    name, *parameters = head.split(";")
    value = value.strip().upper()
    values = {key.upper(): text for key, _, text in (parameter.partition("=") for parameter in parameters)}
    zone = values.get("TZID")
    kind = "DATE-TIME" if "T" in value else "DATE"
    valid = (
        colon
        and name.upper() == "DTSTART"
        and re.fullmatch(r"\d{8}(T\d{6}Z?)?", value, re.ASCII)
        and values.get("VALUE", kind).upper() == kind
        and len(values) == len(parameters)
        and not values.keys() - {"VALUE", "TZID"}
        # Only a local time can have a TZID.
        and (zone is None or (kind == "DATE-TIME" and not value.endswith("Z")))
    )
    if not valid:
        raise ValueError(_START_EXPECTED)
    start = _parse_time("DTSTART", value)
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ValueError, KeyError, OSError):
            raise ValueError(f"there is no time zone {zone!r}") from None
    return start, "UTC" if value.endswith("Z") else zone


def _parse_parts(text: str, from_server: bool) -> dict[str, str]:
    if from_server:
        text = text.rstrip(";")
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            raise ValueError("it has an extra semicolon")
        if not equals:
            raise ValueError(f"{part} is not a part such as BYHOUR=8")
        if name not in _PARTS:
            raise ValueError(_unknown_part(name))
        if name in parts:
            raise ValueError(f"{name} occurs twice")
        _check_part(name, value)
        parts[name] = value
    if "FREQ" not in parts:
        raise ValueError("it has no FREQ")
    _check_combination(parts)
    return parts


def _unknown_part(name: str) -> str:
    hint = "; use BYDAY" if name == "BYWEEKDAY" else did_you_mean(name, _PARTS)
    return f"RFC 5545 has no part {name}{hint}"


def _check_part(name: str, value: str) -> None:
    if name in _PATTERNS:
        pattern, expected = _PATTERNS[name]
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"{name} must be {expected}, not {value}")
        if name == "UNTIL":
            _parse_time(name, value)
        return
    least, most = _RANGES[name]
    signs = "[+-]?" if least < 0 else ""
    for number in [value] if name in _SINGLE else value.split(","):
        if not re.fullmatch(rf"{signs}\d{{1,7}}", number, re.ASCII) or not least <= int(number) <= most:
            if name in _SINGLE:
                expected = f"a positive number up to {most}, without a sign"
            elif least < 0:
                expected = f"numbers from 1 to {most}, or from -1 to {least} to count from the end"
            else:
                expected = f"numbers from {least} to {most}, without a sign"
            raise ValueError(f"{name} must be {expected}, not {number}")
        if least < 0 and int(number) == 0:
            raise ValueError(f"{name} must be numbers other than 0")


def _check_combination(parts: Mapping[str, str]) -> None:
    frequency, days = parts["FREQ"], parts.get("BYDAY", "")
    for name, allowed in _ONLY_WITH.items():
        if name in parts and frequency not in allowed:
            raise ValueError(f"{name} is only for FREQ={' or '.join(allowed)}, not {frequency}")
    if re.search(r"\d", days):
        if frequency not in _MAX_WEEKDAYS:
            raise ValueError(f"BYDAY={days}: days with a number are only for FREQ=MONTHLY or YEARLY")
        if "BYWEEKNO" in parts:
            raise ValueError(f"BYDAY={days}: days with a number are not for rules with BYWEEKNO")
        most = _MAX_WEEKDAYS[frequency]
        if not all(1 <= int(number) <= most for number in re.findall(r"\d+", days)):
            raise ValueError(f"BYDAY={days}: with FREQ={frequency}, a day's number is from 1 to {most}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other")
    if "BYSETPOS" in parts and not any(name.startswith("BY") for name in parts if name != "BYSETPOS"):
        raise ValueError("BYSETPOS needs another part that begins with BY")


def parse_time(value: str) -> datetime:
    """Return the time of a valid ``UNTIL`` or ``DTSTART`` without its zone; a date means its midnight."""
    return datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S" if "T" in value else "%Y%m%d")  # noqa: DTZ007


def _parse_time(name: str, value: str) -> datetime:
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError(f"{name}: there is no {value}") from None
