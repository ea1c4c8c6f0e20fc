"""Evaluation of segmentation queries (Campaign API 4.7 to 4.9) for one contact, and queries in words.

Groups are evaluated from first to last. BM is assumed to do the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

#: Contact fields that contain several values, separated by commas.
_MULTIPLE: Final = frozenset({"subscription_options_in", "subscription_options_out"})
_WORDS: Final = {
    "eq": "is",
    "neq": "is not",
    "isnull": "is empty",
    "isnotnull": "is not empty",
    "in": "is",
    "notin": "is not",
    "startswith": "starts with",
    "endswith": "ends with",
    "contains": "contains",
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is greater than",
    "gte": "is at least",
}


def matcher(query: Mapping[str, Any], today: date) -> Callable[[Mapping[str, str]], bool]:
    """Return a function that evaluates a query for one contact.

    :param query: a valid ``SegmentationQuery`` of the API
    :param today: the date for ``ann_in_days``
    """
    groups = query["segmentation"]

    def matches(contact: Mapping[str, str]) -> bool:
        result: bool | None = None
        for group in groups:
            combine = all if group["rules"][0]["operator"] == "AND" else any
            hit = combine(rule_matches(rule, contact, today) for rule in group["rules"])
            operator = group["operator"]
            if result is None:
                # Nothing precedes the first group: NOT excludes from all contacts.
                result = hit if operator == "OR" else not hit
            elif operator == "AND NOT":
                result = result and not hit
            else:
                result = result or (hit if operator == "OR" else not hit)
        return bool(result)

    return matches


def rule_matches(rule: Mapping[str, Any], contact: Mapping[str, str], today: date) -> bool:
    """Return whether a contact matches a rule. A field without a value matches only negative conditions.

    :param rule: a valid ``SegmentationRule`` of the API
    :param contact: values by contact field; fields without a value are absent
    :param today: the date for ``ann_in_days``
    """
    field, condition, value = rule["field"], rule["condition"], rule["value"]
    values: list[str] = value if isinstance(value, list) else [value]
    actual = contact.get(field)
    if condition in ("isnull", "isnotnull"):
        return (actual is None) == bool(condition == "isnull")
    if actual is None:
        return condition in ("neq", "notin")
    members = actual.split(",") if field in _MULTIPLE else [actual]
    if condition in ("eq", "in", "neq", "notin"):
        return any(member in values for member in members) == bool(condition in ("eq", "in"))
    if condition == "ann_in_days":
        return anniversary_within(actual, int(values[0]), today)
    return any(_TESTS[condition](actual, each) for each in values)


def compare(left: str, right: str) -> int:
    """Compare two values: as numbers if both are, otherwise as text (correct for ISO dates, too)."""
    try:
        a, b = float(left), float(right)
    except ValueError:
        a = b = math.nan
    if math.isnan(a) or math.isnan(b):
        return (left > right) - (left < right)
    return (a > b) - (a < b)


_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
    "lt": lambda actual, value: compare(actual, value) < 0,
    "lte": lambda actual, value: compare(actual, value) <= 0,
    "gt": lambda actual, value: compare(actual, value) > 0,
    "gte": lambda actual, value: compare(actual, value) >= 0,
}


def anniversary_within(birthday: str, days: int, today: date) -> bool:
    """Return whether the anniversary of a day is today or within a number of days."""
    try:
        born = date.fromisoformat(birthday)
    except ValueError:
        return False
    upcoming = [_anniversary(born, year) for year in (today.year, today.year + 1)]
    return min((day - today).days for day in upcoming if day >= today) <= days


def _anniversary(born: date, year: int) -> date:
    try:
        return born.replace(year=year)
    except ValueError:  # 29 February: the day before in other years
        return date(year, 2, 28)


def query_in_words(query: Mapping[str, Any]) -> str:
    """Describe a query, such as ``(first_name is "John" and last_name is "Smith") or (city is "Bern")``.

    :param query: a valid ``SegmentationQuery`` of the API
    """
    text = ""
    for group in query["segmentation"]:
        connector = f" {group['rules'][0]['operator'].lower()} "
        rules = connector.join(_rule_in_words(rule) for rule in group["rules"])
        negated = "NOT" in group["operator"]
        if not text:
            text = f"not ({rules})" if negated else f"({rules})"
        else:
            text += f" {group['operator'].lower().replace('and not', 'but not')} ({rules})"
    return text[1:-1] if len(query["segmentation"]) == 1 and text.startswith("(") else text


def _rule_in_words(rule: Mapping[str, Any]) -> str:
    field, condition, value = rule["field"], rule["condition"], rule["value"]
    values = value if isinstance(value, list) else [value]
    if condition == "ann_in_days":
        return f"{field} has its anniversary within {values[0]} days"
    words = f"{field} {_WORDS[condition]}"
    if condition in ("isnull", "isnotnull"):
        return words
    quoted = [f'"{each}"' for each in values]
    if condition in ("neq", "notin") and len(quoted) > 1:
        return f"{field} is none of {', '.join(quoted)}"
    return f"{words} {' or '.join(quoted)}"
