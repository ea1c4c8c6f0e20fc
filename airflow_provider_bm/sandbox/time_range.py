"""Ranges of time, by which journals are searched."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_bm.sandbox import filters
from airflow_provider_bm.sandbox.clock import as_utc


def parse_time(value: datetime | str | None) -> datetime | None:
    """Return a time in UTC.

    :param value: aware, or text in RFC 3339, which is in UTC without an offset
    :raises ValueError: it is neither
    """
    if value is None:
        return None
    return filters.parse_time(value) if isinstance(value, str) else as_utc(value)


class TimeRange:
    """From a time on, and until before another; unbounded where that is None."""

    def __init__(self, since: datetime | str | None = None, until: datetime | str | None = None) -> None:
        """Parse the two times."""
        self._since, self._until = parse_time(since), parse_time(until)

    def __contains__(self, dt: str) -> bool:
        """Return whether a time, in the format of the journals, is in the range."""
        if self._since is None and self._until is None:
            return True
        moment = datetime.fromisoformat(dt)
        return (self._since is None or self._since <= moment) and (
            self._until is None or moment < self._until
        )
