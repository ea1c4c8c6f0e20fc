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

from .execution import OWN_FIELDS, Campaign
from .segmentation import compare
from .validation import ENUMS, UUID

COLUMNS = (*CAMPAIGN_FIELDS, *RESPONSE_FIELDS)
TIMES = tuple(name for name in RESPONSE_FIELDS if name.endswith("_dt"))

_NULL = ("isnull", "isnotnull", "isempty", "isnotempty")
#: What may stand where there is no value: false would mean the opposite.
_NO_VALUE = ("true", "")
_TEXT = ("startswith", "contains", "endswith", "doesnotcontain")
_ORDER = ("eq", "neq", "lt", "lte", "gte", "gt")
_MANY = ("in", "notin", "between", "notbetween")
OPERATORS = (*_NULL, *_ORDER, *_TEXT, *_MANY)
#: Operators that say the opposite of another one; what is not set fulfils these.
_OPPOSITES = {"neq": "eq", "notin": "in", "notbetween": "between", "doesnotcontain": "contains"}
_CALL = re.compile(r"([^()]*)\(([^()]*)\)")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
WORDS = ENUMS | {"status": STATUSES}

Test = Callable[[Any], bool]


@dataclass
class Filter:
    """One condition of a list."""

    operator: str
    column: str
    values: list[str]
    #: Whether a value of the column, as :func:`getter` gives it, fulfils the condition.
    test: Test


def getter(column: str) -> Callable[[Campaign], Any]:
    """Make the look at a column: None if it is not set, a datetime in whole seconds for times."""
    if column not in OWN_FIELDS:
        return lambda campaign: campaign.fields.get(column)
    look: Callable[[Campaign], Any] = attrgetter(OWN_FIELDS[column])
    if column not in TIMES:
        return look

    def seconds(campaign: Campaign) -> datetime | None:
        moment: datetime | None = look(campaign)
        return None if moment is None else moment.replace(microsecond=0)

    return seconds


def parse_filter(name: str, value: str) -> Filter:
    """Read ``operator(column)=value`` or ``column=value``; raise ValueError if that makes no sense."""
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
        values = [one.lower() for one in values]
    return Filter(operator, column, values, _test(operator, column, values))


def _check(column: str, values: list[str]) -> None:
    """Refuse values that the column cannot have."""
    if column == "uuid":
        wrong = [one for one in values if not UUID.fullmatch(one)]
        wanted = "a UUID"
    elif column in WORDS:
        wrong = [one for one in values if one not in WORDS[column]]
        wanted = f"of: {', '.join(WORDS[column])}"
    else:
        return
    if wrong:
        raise ValueError(f"must be {wanted}; not {', '.join(map(repr, wrong))}")


def _test(operator: str, column: str, values: list[str]) -> Test:
    if operator in ("isnull", "isempty"):
        return lambda held: held is None
    if operator in ("isnotnull", "isnotempty"):
        return lambda held: held is not None
    if operator in _OPPOSITES:
        opposite = _test(_OPPOSITES[operator], column, values)
        return lambda held: not opposite(held)
    if operator in ("startswith", "contains", "endswith"):
        return _text_test(operator, column in TIMES, values[0])
    wanted = [read_time(one) for one in values] if column in TIMES else values
    if operator == "eq":
        return lambda held: held == wanted[0]
    if operator == "in":
        return frozenset(wanted).__contains__
    return _order_test(operator, _compare_times if column in TIMES else compare, wanted)


def _text_test(operator: str, of_time: bool, value: str) -> Test:
    def text(held: Any) -> str:
        return held.isoformat() if of_time else str(held)

    if operator == "startswith":
        return lambda held: held is not None and text(held).startswith(value)
    if operator == "endswith":
        return lambda held: held is not None and text(held).endswith(value)
    return lambda held: held is not None and value in text(held)


def _order_test(operator: str, order: Callable[[Any, Any], int], wanted: list[Any]) -> Test:
    first, last = wanted[0], wanted[-1]
    tests: dict[str, Test] = {
        "lt": lambda held: order(held, first) < 0,
        "lte": lambda held: order(held, first) <= 0,
        "gt": lambda held: order(held, first) > 0,
        "gte": lambda held: order(held, first) >= 0,
        "between": lambda held: order(held, first) >= 0 >= order(held, last),
    }
    chosen = tests[operator]
    return lambda held: held is not None and chosen(held)


def _compare_times(left: datetime, right: datetime) -> int:
    return (left > right) - (left < right)


def read_time(text: str) -> datetime:
    """Read a time of a filter; one without a zone is in UTC, and a date is its first second."""
    try:
        # Python reads more than RFC 3339 has, such as weeks.
        if not _TIME.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time in RFC 3339 format") from None
