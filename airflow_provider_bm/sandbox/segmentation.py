"""Segmentation queries (4.7 to 4.9): validation and evaluation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from airflow_provider_bm.campaigns import segmentation_matching
from airflow_provider_bm.campaigns.constants import (
    CONDITIONS,
    CONTACT_FIELDS,
    GROUP_OPERATORS,
    RULE_OPERATORS,
)
from airflow_provider_bm.campaigns.json_text import parse_json

_DAYS = re.compile(r"[0-9]{1,6}")


def problems(text: str) -> list[str]:
    """Return all problems of a query; empty if it is valid."""
    try:
        query = parse_json(text)
    except ValueError as error:
        return [f"it is not JSON: {error}"]
    return list(_query_problems(query))


def _query_problems(query: Any) -> Iterator[str]:
    if not isinstance(query, dict):
        yield "it must be a JSON object"
        return
    yield from _keys("query", query, ("segmentation",))
    groups = query.get("segmentation")
    if "segmentation" in query and not (isinstance(groups, list) and groups):
        yield "segmentation must be an array with at least one group"
        return
    for number, group in enumerate(groups or ()):
        yield from _group_problems(f"segmentation[{number}]", group)


def _group_problems(where: str, group: Any) -> Iterator[str]:
    if not isinstance(group, dict):
        yield f"{where} must be an object"
        return
    yield from _keys(where, group, ("operator", "rules"))
    if "operator" in group:
        yield from _one_of(f"{where}.operator", group["operator"], GROUP_OPERATORS)
    if "rules" not in group:
        return
    rules = group["rules"]
    if not (isinstance(rules, list) and rules):
        yield f"{where}.rules must be an array with at least one rule"
        return
    for number, rule in enumerate(rules):
        yield from _rule_problems(f"{where}.rules[{number}]", rule)
    operators = [rule.get("operator") for rule in rules if isinstance(rule, dict)]
    if any(operator != operators[0] for operator in operators):
        yield f"{where}.rules must all have the same operator as the first one"


def _rule_problems(where: str, rule: Any) -> Iterator[str]:
    if not isinstance(rule, dict):
        yield f"{where} must be an object"
        return
    yield from _keys(where, rule, ("field", "condition", "value", "operator"))
    for name, allowed in (("field", CONTACT_FIELDS), ("condition", CONDITIONS), ("operator", RULE_OPERATORS)):
        if name in rule:
            yield from _one_of(f"{where}.{name}", rule[name], allowed)
    value = rule.get("value", "")
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        yield f"{where}.value must be a string or an array of strings"
    elif rule.get("condition") == "ann_in_days" and not (len(values) == 1 and _DAYS.fullmatch(values[0])):
        yield f"{where}.value must be a number of days for ann_in_days"


def _keys(where: str, thing: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{where} lacks {name}" for name in known if name not in thing)
    yield from (f"{where} has an unknown property {name!r}" for name in thing if name not in known)


def _one_of(where: str, value: Any, allowed: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(value, str) or value not in allowed:
        yield f"{where} must be one of: {', '.join(allowed)}"


def matcher(text: str, today: date) -> Callable[[Mapping[str, str]], bool]:
    """Return a function that evaluates a valid query for one contact."""
    return segmentation_matching.matcher(json.loads(text), today)
