"""What RFC 5545 forbids in a recurrence rule (3.3.10) and its ``DTSTART`` (3.8.2.4).

dateutil ignores it, and with it some of the rule: ``FREQ=DAILY;BYDAY=1MO`` would run every Monday. And
it reads times as people write them: ``10`` is that day of the month in which it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

#: Parts that not every frequency can have, and those that can.
_ONLY_WITH: Final = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY"),
    "BYMONTHDAY": ("YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"),
}
_LIST: Final = r"\d{1,7}(,\d{1,7})*"
_SIGNED_LIST: Final = r"[+-]?\d{1,7}(,[+-]?\d{1,7})*"
_DAY: Final = r"(SU|MO|TU|WE|TH|FR|SA)"
#: How each part is written, and in words. Those that are not here are the parser's.
_WRITTEN: Final = {
    **dict.fromkeys(("INTERVAL", "COUNT"), (r"\d+", "a number without a sign")),
    **dict.fromkeys(("BYSECOND", "BYMINUTE", "BYHOUR", "BYMONTH"), (_LIST, "numbers without a sign")),
    **dict.fromkeys(("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"), (_SIGNED_LIST, "numbers")),
    "BYDAY": (rf"([+-]?\d{{1,7}})?{_DAY}(,([+-]?\d{{1,7}})?{_DAY})*", "days such as MO or -1FR"),
    "WKST": (_DAY, "a day such as MO"),
    "UNTIL": (r"\d{8}(T\d{6}Z?)?", "a date or a time in UTC, like 20261231T235959Z"),
}
#: So many of a weekday there are at the most.
_MOST_DAYS: Final = {"MONTHLY": 5, "YEARLY": 53}
_START_WANTED: Final = (
    "DTSTART must be like DTSTART:20261231T080000Z, DTSTART;TZID=Europe/Zurich:20261231T080000 "
    "or DTSTART;VALUE=DATE:20261231"
)


def starts_in(text: str) -> Iterator[str]:
    """Take the lines ``DTSTART`` out of iCalendar text that dateutil can read.

    :param text: one rule, or lines such as ``DTSTART`` and ``RRULE``
    :return: the lines, as they are
    """
    return (line for line in text.split() if line.upper().startswith("DTSTART"))


def check_start(line: str) -> tuple[str | None, str]:
    """Check a line ``DTSTART``.

    :param line: the line, in any case: only that of the zone's name matters
    :return: the time zone if it has one, and the date or time, in upper case
    :raises ValueError: if RFC 5545 does not allow it, or there is no such time or zone
    """
    head, colon, value = line.partition(":")
    name, *given = head.split(";")
    value = value.upper()
    parameters = {key.upper(): text for key, _, text in (one.partition("=") for one in given)}
    zone = parameters.get("TZID")
    written = r"\d{8}T\d{6}Z?" if "T" in value else r"\d{8}"
    kind = "DATE-TIME" if "T" in value else "DATE"
    right = re.fullmatch(written, value, re.ASCII) and parameters.get("VALUE", kind).upper() == kind
    # A zone is for local times only.
    right = right and (zone is None or (kind == "DATE-TIME" and not value.endswith("Z")))
    wrong = name.upper() != "DTSTART" or len(parameters) < len(given) or parameters.keys() - {"VALUE", "TZID"}
    if not colon or wrong or not right:
        raise ValueError(_START_WANTED)
    try:
        datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S" if "T" in value else "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        raise ValueError(f"DTSTART: there is no {value}") from None
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ValueError, KeyError, OSError):
            # dateutil would take the time for UTC without a word.
            raise ValueError(f"there is no time zone {zone!r}") from None
    return zone, value


def rules_in(text: str) -> Iterator[dict[str, str]]:
    """Take the rules out of iCalendar text that dateutil can read.

    :param text: one rule, or lines such as ``DTSTART`` and ``RRULE``
    :return: the parts of each rule, by name, in upper case
    """
    for line in text.upper().split():
        _, _, rule = line.rpartition(":")
        if "FREQ=" in rule:
            yield dict(part.partition("=")[::2] for part in rule.split(";"))


def check_parts(parts: Mapping[str, str]) -> None:
    """Check how the parts of a rule are written, and them against each other.

    :param parts: the parts by name, in upper case
    :raises ValueError: if RFC 5545 forbids one, or some together; the message says which
    """
    frequency, days = parts.get("FREQ", ""), parts.get("BYDAY", "")
    for name, value in parts.items():
        written, words = _WRITTEN.get(name, (".*", ""))
        if not re.fullmatch(written, value, re.ASCII):
            raise ValueError(f"{name} must be {words}, not {value}")
    for name, allowed in _ONLY_WITH.items():
        if name in parts and frequency not in allowed:
            raise ValueError(f"{name} is only for FREQ={' or '.join(allowed)}, not {frequency}")
    if re.search(r"\d", days):
        if frequency not in ("MONTHLY", "YEARLY"):
            raise ValueError(f"BYDAY={days}: days with a number are only for FREQ=MONTHLY or YEARLY")
        if "BYWEEKNO" in parts:
            raise ValueError(f"BYDAY={days}: days with a number are not for rules with BYWEEKNO")
        most = _MOST_DAYS[frequency]
        if not all(1 <= int(number) <= most for number in re.findall(r"\d+", days)):
            raise ValueError(f"BYDAY={days}: with FREQ={frequency}, a day's number is from 1 to {most}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other")
    if "BYSETPOS" in parts and not any(name.startswith("BY") for name in parts if name != "BYSETPOS"):
        raise ValueError("BYSETPOS needs another part that begins with BY")
