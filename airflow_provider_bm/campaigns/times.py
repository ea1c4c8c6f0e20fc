"""Points in time. A time zone is required: without it, a time may be off by hours."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from airflow_provider_bm.exceptions import BMPayloadError, Problem

_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d+))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d(?::\d\d(?:\.\d+)?)?|[+-]\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

NO_ZONE: Final = (
    "the time zone is missing: pass an aware datetime, or end the text with Z or an offset such as +02:00"
)


def read_time(value: object) -> datetime:
    """Parse a point in time.

    :param value: an aware datetime, or a string in the format of RFC 3339, which may have a space instead of
        ``T`` and no seconds; digits after microseconds are rounded up
    :return: an aware datetime in the value's zone
    :raises ValueError: the value is anything else; the message says what would be right
    """
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(NO_ZONE)
        return value
    if not isinstance(value, str):
        raise ValueError("must be an aware datetime or a string such as '2024-05-01T17:05:00+00:00'")
    text = value.strip()
    match = _ISO.fullmatch(text)
    if match is None:
        if _DATE.fullmatch(text):
            raise ValueError("a date alone does not say when: add the time and a time zone")
        raise ValueError("must be a time such as '2024-05-01T17:05:00+00:00'")
    if match["zone"] is None:
        raise ValueError(NO_ZONE)
    fraction = match["fraction"] or ""
    clock = match["time"] + (f".{fraction[:6]:0<6}" if fraction else "")
    try:
        result = datetime.fromisoformat(f"{match['date']}T{clock}{match['zone'].upper()}")
    except ValueError as error:
        raise ValueError(f"there is no such time: {error}") from None
    return result + timedelta(microseconds=1) if fraction[6:].strip("0") else result


def parse_zone(value: object) -> ZoneInfo:
    """Return a time zone.

    :param value: its name, such as ``Europe/Zurich``
    :raises ValueError: there is no such zone
    """
    try:
        if isinstance(value, str):
            return ZoneInfo(value)
    except (ValueError, KeyError, OSError):
        pass
    raise ValueError("must be a time zone, such as 'Europe/Zurich' or 'UTC'")


def parse_time(value: object, field: str) -> datetime:
    """Parse a point in time that a user provides.

    :param value: an aware datetime, or a string in the format of RFC 3339
    :param field: its name in error messages
    :return: the same instant in UTC
    :raises BMPayloadError: the value is anything else, such as a time without a zone
    """
    try:
        return read_time(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BMPayloadError([Problem(field, value, str(error))], field) from None
