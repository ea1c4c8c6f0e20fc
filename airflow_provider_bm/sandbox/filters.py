"""Conditions of a list: the operators of the URL Filtering Guidelines."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from airflow_provider_bm.campaigns.constants import (
    CAMPAIGN_FIELDS,
    RESPONSE_FIELDS,
    STATUSES,
)
from airflow_provider_bm.campaigns.ids import UUID_PATTERN
from airflow_provider_bm.campaigns.segmentation_matching import compare
from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.sandbox.execution import OWN_FIELDS, Campaign
from airflow_provider_bm.sandbox.validation import ENUMS

COLUMNS = (*CAMPAIGN_FIELDS, *RESPONSE_FIELDS)
TIMES = tuple(name for name in RESPONSE_FIELDS if name.endswith("_dt"))

_NULL = ("isnull", "isnotnull", "isempty", "isnotempty")
#: Accepted in place of a value: false would mean the opposite.
_NO_VALUE = ("true", "")
_TEXT = ("startswith", "contains", "endswith", "doesnotcontain")
_ORDER = ("eq", "neq", "lt", "lte", "gte", "gt")
_MANY = ("in", "notin", "between", "notbetween")
OPERATORS = (*_NULL, *_ORDER, *_TEXT, *_MANY)
#: Operators that negate another one; fields that are not set match these.
_OPPOSITES = {"neq": "eq", "notin": "in", "notbetween": "between", "doesnotcontain": "contains"}
_CALL = re.compile(r"([^()]*)\(([^()]*)\)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+", re.ASCII)
WORDS = ENUMS | {"status": STATUSES}

Test = Callable[[Any], bool]


@dataclass
class Filter:
    """One condition of a list."""

    operator: str
    column: str
    values: list[str]
    #: Whether a value of the column, as :func:`getter` returns it, matches.
    test: Test


def getter(column: str) -> Callable[[Campaign], Any]:
    """Return a function that reads a column: None if it is not set, a datetime in whole seconds for times."""
    if column not in OWN_FIELDS:
        return lambda campaign: campaign.fields.get(column)
    read: Callable[[Campaign], Any] = attrgetter(OWN_FIELDS[column])
    if column not in TIMES:
        return read

    def seconds(campaign: Campaign) -> datetime | None:
        moment: datetime | None = read(campaign)
        return None if moment is None else moment.replace(microsecond=0)

    return seconds


def parse_filter(name: str, value: str) -> Filter:
    """Parse ``operator(column)=value`` or ``column=value``.

    :raises ValueError: there is no such operator or column, or the value is invalid
    """
    call = _CALL.fullmatch(name)
    operator, column = (call[1], call[2]) if call else ("eq", name)
    if operator not in OPERATORS:
        raise ValueError(f"unknown operator {operator!r}: there are {', '.join(OPERATORS)}")
    if column not in COLUMNS:
        raise ValueError(f"there is no field {column!r} to filter by" if call else "unknown parameter")
    values = value.split(",") if operator in _MANY else [value]
    if operator.endswith("between") and len(values) != 2:
        raise ValueError("needs two values, separated by a comma")
    if operator in _NULL and value not in _NO_VALUE:
        raise ValueError(f"{operator} takes no value: true, or nothing; not {value!r}")
    if operator in ("eq", "neq", "in", "notin"):
        _check(column, values)
    if column == "uuid":
        values = [value.lower() for value in values]
    return Filter(operator, column, values, _test(operator, column, values))


def _check(column: str, values: list[str]) -> None:
    """Reject values that the column cannot have."""
    if column == "uuid":
        wrong = [value for value in values if not UUID_PATTERN.fullmatch(value)]
        wanted = "a UUID"
    elif column in WORDS:
        wrong = [value for value in values if value not in WORDS[column]]
        wanted = f"of: {', '.join(WORDS[column])}"
    else:
        return
    if wrong:
        raise ValueError(f"must be {wanted}; not {', '.join(map(repr, wrong))}")


def _test(operator: str, column: str, values: list[str]) -> Test:
    if operator in ("isnull", "isempty"):
        return lambda value: value is None
    if operator in ("isnotnull", "isnotempty"):
        return lambda value: value is not None
    if operator in _OPPOSITES:
        opposite = _test(_OPPOSITES[operator], column, values)
        return lambda value: not opposite(value)
    if operator in ("startswith", "contains", "endswith"):
        return _text_test(operator, column in TIMES, values[0])
    wanted = [parse_time(value) for value in values] if column in TIMES else values
    if operator == "eq":
        return lambda value: value == wanted[0]
    if operator == "in":
        return frozenset(wanted).__contains__
    return _order_test(operator, _compare_times if column in TIMES else compare, wanted)


def _text_test(operator: str, of_time: bool, part: str) -> Test:
    def text(value: Any) -> str:
        return value.isoformat() if of_time else str(value)

    if operator == "startswith":
        return lambda value: value is not None and text(value).startswith(part)
    if operator == "endswith":
        return lambda value: value is not None and text(value).endswith(part)
    return lambda value: value is not None and part in text(value)


def _order_test(operator: str, order: Callable[[Any, Any], int], wanted: list[Any]) -> Test:
    first, last = wanted[0], wanted[-1]
    tests: dict[str, Test] = {
        "lt": lambda value: order(value, first) < 0,
        "lte": lambda value: order(value, first) <= 0,
        "gt": lambda value: order(value, first) > 0,
        "gte": lambda value: order(value, first) >= 0,
        "between": lambda value: order(value, first) >= 0 >= order(value, last),
    }
    chosen = tests[operator]
    return lambda value: value is not None and chosen(value)


def _compare_times(left: datetime, right: datetime) -> int:
    return (left > right) - (left < right)


def parse_time(text: str) -> datetime:
    """Parse a time of a filter; one without an offset is in UTC, and a date is its first second.

    :raises ValueError: it is not a time
    """
    whole = f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text
    if _LOCAL_TIME.fullmatch(whole):
        whole += "Z"
    try:
        return read_time(whole).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time in RFC 3339 format") from None
