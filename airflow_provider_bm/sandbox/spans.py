"""Spans of time, by which journals are searched."""

from __future__ import annotations

from datetime import datetime

from .clock import as_utc
from .filters import read_time


def given_time(value: datetime | str | None) -> datetime | None:
    """Take a time as callers give it: aware, or text in RFC 3339, which is in UTC if it names no zone."""
    if value is None:
        return None
    if isinstance(value, str):
        return read_time(value)
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no time: give an aware datetime, or text in RFC 3339 format")
    return as_utc(value)


class Span:
    """From a time on and until before another; without an end where that is None."""

    def __init__(self, since: datetime | str | None = None, until: datetime | str | None = None) -> None:
        """Read the two times."""
        self._since, self._until = given_time(since), given_time(until)

    def holds(self, dt: str) -> bool:
        """Tell whether a time, as journals write it, is in between."""
        if self._since is None and self._until is None:
            return True
        moment = datetime.fromisoformat(dt)
        return (self._since is None or self._since <= moment) and (
            self._until is None or moment < self._until
        )
