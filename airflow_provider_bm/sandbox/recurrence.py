"""Recurrence rules: iCalendar RRULE strings to UTC times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from dateutil.rrule import rrulestr


def occurrences(rule: str, start: datetime) -> Iterator[datetime]:
    """All times of a rule, in UTC and in order.

    :param rule: an RRULE, with or without ``RRULE:`` and ``DTSTART``.
    :param start: DTSTART for a rule that has none (aware; the first time of the rule, if it fits).
    :raises ValueError: if it is not a rule.
    """
    text = rule.strip()
    if not re.search(r"\bFREQ=", text, re.IGNORECASE):
        raise ValueError("it has no FREQ")
    first = start.astimezone(UTC).replace(microsecond=0)
    try:
        try:
            found = rrulestr(text, dtstart=first)
        except ValueError:
            # UNTIL without a zone does not go together with an aware DTSTART: all of it is UTC then.
            found = rrulestr(text, dtstart=first.replace(tzinfo=None))
        times = iter(found)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        # The parser has no error of its own: what it trips over depends on what is wrong.
        raise ValueError(str(error) or type(error).__name__) from error
    return (_utc(moment) for moment in times)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
