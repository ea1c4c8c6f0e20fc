"""A time of day in the time zone of each row of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from airflow_provider_bm.campaigns.problems import Problems
from airflow_provider_bm.campaigns.times import parse_zone
from airflow_provider_bm.exceptions import BMPayloadError

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True)
class LocalTime:
    """A time of day in the time zone that a row names; see :func:`local_time`.

    :ivar time: hours and minutes, such as ``09:00``
    :ivar zone_column: the column with the name of the zone
    """

    time: str
    zone_column: str

    def next(self, row: Mapping[str, Any], now: datetime | None = None) -> datetime:
        """Return the next such time for a row.

        A local time that a clock change skips is interpreted with the offset before the change. If a local
        time occurs twice, the first occurrence is used.

        :param row: values by column
        :param now: an aware datetime; the result is not earlier; default: the current time
        :return: an aware datetime in the row's zone
        :raises BMPayloadError: the row lacks the column, or the time zone is unknown
        """
        now = now or datetime.now(UTC)
        try:
            if self.zone_column not in row:
                raise ValueError("the row has no such column")
            zone = parse_zone(row[self.zone_column])
        except ValueError as error:
            problems = Problems()
            problems.add(self.zone_column, row.get(self.zone_column), str(error))
            raise BMPayloadError(problems, "local time") from None
        hours, minutes = map(int, self.time.split(":"))
        day = now.astimezone(zone).date()
        while True:
            moment = datetime.combine(day, time(hours, minutes), zone)
            if moment.astimezone(UTC) >= now:
                return moment
            day += timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.time} in the time zone of column {self.zone_column!r}"


def local_time(at: str, *, zone_column: str) -> LocalTime:
    """Schedule each row of a table at a time of day in its own time zone.

    :param at: hours and minutes, such as ``"09:00"``
    :param zone_column: the column with the name of the time zone, such as ``Europe/Zurich``
    :raises BMPayloadError: an argument is invalid

    >>> from datetime import UTC, datetime
    >>> now = datetime(2026, 1, 1, 8, 30, tzinfo=UTC)
    >>> print(local_time("09:00", zone_column="tz").next({"tz": "Europe/Zurich"}, now))
    2026-01-02 09:00:00+01:00
    """
    problems = Problems()
    if not isinstance(at, str) or not _TIME.fullmatch(at):
        problems.add("at", at, "must be a time of day in hours and minutes, such as '09:00'")
    if not isinstance(zone_column, str) or not zone_column.strip():
        problems.add("zone_column", zone_column, "must be the name of a column")
    if problems:
        raise BMPayloadError(problems, "local time")
    return LocalTime(at, zone_column)
