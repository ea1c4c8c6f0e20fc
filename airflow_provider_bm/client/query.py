"""Query parameters of the list: filters, sort, fields, pages (3.2 and the URL Filtering Guidelines)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.campaigns.constants import OPTIONAL_FIELDS, SENDING_TYPES, STATUSES
from airflow_provider_bm.client.assumptions import (
    FIELDS_SEPARATOR,
    FILTER_VALUE_SEPARATOR,
    FILTER_WITHOUT_VALUE,
    SORT_SEPARATOR,
)
from airflow_provider_bm.exceptions import BMPayloadError, Problem

#: Filters: ``{"contains(name)": "Storm", "status": ["active", "draft"]}``, or pairs if a field needs the
#: same operator twice.
Filters = Mapping[str, Any] | Iterable[tuple[str, Any]]

_NO_VALUE = ("isnull", "isnotnull", "isempty", "isnotempty")
_MANY_VALUES = ("in", "notin", "between", "notbetween")
_ONE_VALUE = ("eq", "neq", "startswith", "contains", "endswith", "doesnotcontain", "lt", "lte", "gte", "gt")
#: Operators that compare with a part of a text.
_SUBSTRING_OPERATORS = ("startswith", "contains", "endswith", "doesnotcontain")
#: Parameters of the list that are not about columns (3.2).
_NO_FILTERS = ("fields", "sort", "page_number", "page_size")
OPERATORS = (*_NO_VALUE, *_ONE_VALUE, *_MANY_VALUES)
_KEY = re.compile(
    r"(?:(?P<operator>[a-z]+)\((?P<inner>[A-Za-z_][A-Za-z0-9_]*)\)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))"
)
_COLUMN = re.compile(r"-?[A-Za-z_][A-Za-z0-9_]*")


def list_params(
    *,
    sending_type: str | Sequence[str] | None = None,
    status: str | Sequence[str] | None = None,
    filters: Filters | None = None,
    fields: str | Sequence[str] = (),
    sort: str | Sequence[str] = (),
) -> list[tuple[str, str]]:
    """The query of a list, without the page.

    :raises BMPayloadError: naming each invalid filter, column and optional part
    """
    problems: list[Problem] = []
    params: list[tuple[str, str]] = []
    for name, value, known in (("sending_type", sending_type, SENDING_TYPES), ("status", status, STATUSES)):
        if value is None:
            continue
        values = _texts(value)
        problems += [
            Problem(name, each, f"must be one of {', '.join(known)}") for each in values if each not in known
        ]
        params.append(_param(name, values if len(values) != 1 else values[0], problems))
    for key, value in _pairs(filters or ()):
        params.append(_param(key, value, problems))
    if problems:
        raise BMPayloadError(problems, "list of campaigns")
    return [*params, *sort_param(sort), *fields_param(fields)]


def sort_param(sort: str | Sequence[str]) -> list[tuple[str, str]]:
    """The ``sort`` parameter (3.2).

    :raises BMPayloadError: naming what is not a column
    """
    columns = _texts(sort)
    problems = [
        Problem("sort", each, "must be a column, or -column for descending")
        for each in columns
        if not _COLUMN.fullmatch(each)
    ]
    if problems:
        raise BMPayloadError(problems, "list of campaigns")
    return [("sort", SORT_SEPARATOR.join(columns))] if columns else []


def fields_param(fields: str | Sequence[str]) -> list[tuple[str, str]]:
    """The ``fields`` parameter (3.2, 3.3): optional parts of the response.

    :raises BMPayloadError: naming what is not an optional part
    """
    names = optional_fields(fields)
    return [("fields", FIELDS_SEPARATOR.join(names))] if names else []


def optional_fields(fields: str | Sequence[str]) -> list[str]:
    """The names of optional parts of the response, checked."""
    names = _texts(fields)
    problems = [
        Problem("fields", each, f"must be one of {', '.join(OPTIONAL_FIELDS)}")
        for each in names
        if each not in OPTIONAL_FIELDS
    ]
    if problems:
        raise BMPayloadError(problems, "request")
    return names


def filter_of(key: str) -> tuple[str, str]:
    """Operator and column of a filter's key that was checked before."""
    operator, bracket, rest = key.partition("(")
    return (operator, rest.removesuffix(")")) if bracket else ("eq", key)


def _pairs(filters: Filters) -> Iterator[tuple[str, Any]]:
    pairs = filters.items() if isinstance(filters, Mapping) else _in_order(filters)
    pairs = list(pairs) if isinstance(pairs, Iterable) and not isinstance(pairs, str) else [pairs]
    if any(not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in pairs):
        raise BMPayloadError(
            [Problem("filters", filters, 'must be a mapping such as {"contains(name)": "Storm"}, or pairs')],
            "list of campaigns",
        )
    yield from pairs


def _param(key: str, value: Any, problems: list[Problem]) -> tuple[str, str]:
    match = _KEY.fullmatch(key) if isinstance(key, str) else None
    many = isinstance(value, (list, tuple, set, frozenset))
    operator = (match["operator"] or ("in" if many else "eq")) if match else ""
    name = f"filters[{key!r}]"
    if match is None or operator not in OPERATORS:
        problems.append(
            Problem(
                name, value, f"must be `field` or `operator(field)`, operator one of {', '.join(OPERATORS)}"
            )
        )
        return str(key), ""
    if key in _NO_FILTERS:
        problems.append(Problem(name, value, "is not a filter, but a separate argument"))
    if many and operator not in _MANY_VALUES:
        problems.append(
            Problem(name, value, f"{operator} takes one value; use in, notin or between for several")
        )
        return key, ""
    texts = [_value(each) for each in _in_order(value)] if many else [_value(value)]
    if operator in _NO_VALUE:
        if value not in (None, "", True, FILTER_WITHOUT_VALUE):
            problems.append(Problem(name, value, f"{operator} takes no value: it must be None, True or ''"))
        return key, FILTER_WITHOUT_VALUE
    if value is None or not texts or any(text is None for text in texts):
        problems.append(
            Problem(
                name,
                value,
                "must be text, a number or an aware datetime; to find empty fields, use isnull(field)",
            )
        )
        return key, ""
    if operator in _SUBSTRING_OPERATORS and texts == [""]:
        problems.append(Problem(name, value, "must not be empty: every text contains it"))
    if many and any(FILTER_VALUE_SEPARATOR in (text or "") for text in texts):
        problems.append(Problem(name, value, "one of several values must not contain a comma"))
    if operator in ("between", "notbetween") and many and len(texts) != 2:
        problems.append(Problem(name, value, f"{operator} takes two values"))
    if many and not match["operator"]:
        key = f"in({key})"
    return key, FILTER_VALUE_SEPARATOR.join(text or "" for text in texts)


def _value(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value)


def _texts(value: str | Sequence[str] | None) -> list[str]:
    """A list of names, from a sequence or a comma separated string."""
    if isinstance(value, str):
        value = value.split(",")
    elif not isinstance(value, Iterable):
        value = [] if value is None else [value]
    return [text for part in _in_order(value) if (text := str(part).strip())]


def _in_order(values: Any) -> Any:
    """Sort sets, whose order differs between processes, so that equal queries are equal."""
    return sorted(values, key=str) if isinstance(values, (set, frozenset)) else values
