"""Validation of segmentation queries (Campaign API 4.7 to 4.9): one check for all ways to write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import (
    CONDITIONS,
    CONTACT_FIELDS,
    GROUP_OPERATORS,
    RULE_OPERATORS,
)
from airflow_provider_bm.campaigns.problems import Problems, check_choice, check_keys
from airflow_provider_bm.campaigns.text import check_unicode
from airflow_provider_bm.campaigns.values import format_number, is_missing, is_number

#: Conditions that make sense with an empty value. ``startswith ""`` would match everybody.
_EMPTY_IS_FINE: Final = ("eq", "neq", "in", "notin")
_PHONE_FIELDS: Final = ("mobile", "phone", "b_mobile", "b_phone")
_DAYS = re.compile(r"[0-9]{1,6}")


def check_segmentation(value: Any, path: str, numbers: bool, problems: Problems) -> dict[str, Any]:
    """Check a whole query.

    :param value: a ``SegmentationQuery`` of the API
    :param path: its path in messages
    :param numbers: whether to convert whole numbers to strings: native rendering turns digits into numbers
    :param problems: the list to which problems are added
    :return: the query in plain dicts and lists; use it only if no problem was added
    """
    if not isinstance(value, Mapping):
        problems.add(path, value, 'must be an object such as {"segmentation": [{"operator": …, "rules": …}]}')
        return {}
    check_keys(path, value, ("segmentation",), problems)
    groups = _entries(value, "segmentation", path, problems)
    checked = [
        check_group(group, f"{path}.segmentation[{index}]", numbers, problems)
        for index, group in enumerate(groups)
    ]
    return {"segmentation": checked}


def check_group(value: Any, path: str, numbers: bool, problems: Problems) -> dict[str, Any]:
    """Check one ``SegmentationGroup``; parameters as for :func:`check_segmentation`."""
    if not isinstance(value, Mapping):
        problems.add(path, value, 'must be an object such as {"operator": "OR", "rules": […]}')
        return {}
    check_keys(path, value, ("operator", "rules"), problems)
    operator = None
    if "operator" in value:
        operator = check_choice(f"{path}.operator", value["operator"], GROUP_OPERATORS, problems)
    rules = _entries(value, "rules", path, problems)
    checked = [
        check_rule(rule, f"{path}.rules[{index}]", numbers, problems) for index, rule in enumerate(rules)
    ]
    first = checked[0].get("operator") if checked else None
    for index, rule in enumerate(checked):
        if first and rule.get("operator") not in (None, first):
            wanted = f"must be {first}, like the first rule's: a group has only ANDs or only ORs"
            problems.add(f"{path}.rules[{index}].operator", rule["operator"], wanted)
    return {"operator": operator, "rules": checked}


def check_rule(value: Any, path: str, numbers: bool, problems: Problems) -> dict[str, Any]:
    """Check one ``SegmentationRule``; parameters as for :func:`check_segmentation`."""
    if not isinstance(value, Mapping):
        wanted = '{"field": "city", "condition": "eq", "value": "Bern", "operator": "AND"}'
        problems.add(path, value, f"must be an object such as {wanted}")
        return {}
    check_keys(path, value, ("field", "condition", "value", "operator"), problems)
    result: dict[str, Any] = {}
    words = (("field", CONTACT_FIELDS), ("condition", CONDITIONS), ("operator", RULE_OPERATORS))
    for key, allowed in words:
        if key in value:
            result[key] = check_choice(f"{path}.{key}", value[key], allowed, problems)
    if "value" in value:
        result["value"] = _check_value(value["value"], f"{path}.value", result, numbers, problems)
    return {key: result[key] for key in ("field", "condition", "value", "operator") if key in result}


def _check_value(
    value: Any, path: str, rule: Mapping[str, Any], numbers: bool, problems: Problems
) -> str | list[str]:
    condition = rule.get("condition")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        if not value:
            problems.add(path, value, "must not be empty")
        if condition == "ann_in_days" and len(value) != 1:
            problems.add(path, value, "must be one number of days with ann_in_days")
        return [
            _check_single(each, f"{path}[{index}]", rule, numbers, problems)
            for index, each in enumerate(value)
        ]
    if condition in ("in", "notin") and isinstance(value, str) and not value:
        problems.add(path, value, "must be an array of strings")
    return _check_single(value, path, rule, numbers, problems)


def _check_single(value: Any, path: str, rule: Mapping[str, Any], numbers: bool, problems: Problems) -> str:
    condition = rule.get("condition")
    expected = None
    text = ""
    try:
        if is_missing(value):
            raise ValueError("is a missing value, which could match nobody or everybody")
        if numbers and is_number(value) and isinstance(value, Integral):
            if rule.get("field") in _PHONE_FIELDS:
                raise ValueError("must be text, since a number has lost its plus or leading zeros")
            text = format_number(value)
        elif isinstance(value, str):
            text = value
            check_unicode(text)
        else:
            raise ValueError("must be a string or an array of strings")
    except ValueError as error:
        expected = str(error)
    if expected is not None or condition is None:
        pass
    elif condition in ("isnull", "isnotnull"):
        if text.strip().lower() in ("false", "no", "off"):
            opposite = "isnotnull" if condition == "isnull" else "isnull"
            expected = (
                f"must be empty, since the server may ignore it: {opposite} is the opposite of {condition}"
            )
    elif condition == "ann_in_days":
        if not _DAYS.fullmatch(text):
            expected = "must be a whole number of days, 0 or more, with ann_in_days"
    elif not text and condition not in _EMPTY_IS_FINE:
        expected = f"must not be empty with {condition}, which could match everybody"
    if expected is not None:
        problems.add(path, value, expected)
    return text


def _entries(value: Mapping[Any, Any], key: str, path: str, problems: Problems) -> Sequence[Any]:
    entries = value.get(key)
    if key not in value:
        return ()
    if not isinstance(entries, Sequence) or isinstance(entries, str | bytes | bytearray):
        problems.add(f"{path}.{key}", entries, "must be an array")
        return ()
    if not entries:
        problems.add(f"{path}.{key}", entries, "must not be empty, since that could match everybody")
    return entries
