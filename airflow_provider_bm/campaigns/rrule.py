"""What RFC 5545 forbids side by side in a recurrence rule (3.3.10).

dateutil ignores it, and with it some of the rule: ``FREQ=DAILY;BYDAY=1MO`` would run every Monday.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

#: Parts that not every frequency can have, and those that can.
_ONLY_WITH: Final = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY"),
    "BYMONTHDAY": ("YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"),
}


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
    """Check the parts of a rule against each other.

    :param parts: the parts by name, in upper case
    :raises ValueError: if RFC 5545 forbids them together; the message says which
    """
    frequency, days = parts.get("FREQ", ""), parts.get("BYDAY", "")
    for name, allowed in _ONLY_WITH.items():
        if name in parts and frequency not in allowed:
            raise ValueError(f"{name} is only for FREQ={' or '.join(allowed)}, not {frequency}")
    if re.search(r"\d", days):
        if frequency not in ("MONTHLY", "YEARLY"):
            raise ValueError(f"BYDAY={days}: days with a number are only for FREQ=MONTHLY or YEARLY")
        if "BYWEEKNO" in parts:
            raise ValueError(f"BYDAY={days}: days with a number are not for rules with BYWEEKNO")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other")
    if "BYSETPOS" in parts and not any(name.startswith("BY") for name in parts if name != "BYSETPOS"):
        raise ValueError("BYSETPOS needs another part that begins with BY")
