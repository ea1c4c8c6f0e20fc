"""What makes a segmentation query valid (Campaign API 4.7 to 4.9): one check for all ways to write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_bm.campaigns.constants import (
    CONDITIONS,
    CONTACT_FIELDS,
    GROUP_OPERATORS,
    RULE_OPERATORS,
)
from airflow_provider_bm.campaigns.problems import Problems, check_choice, check_keys

#: Conditions that an empty value makes sense for. ``startswith ""`` would match everybody.
_EMPTY_IS_FINE = ("eq", "neq", "in", "notin", "isnull", "isnotnull")


def check_segmentation(value: Any, path: str, numbers: bool, problems: Problems) -> dict[str, Any]:
    """Check a whole query.

    :param value: what may be a ``SegmentationQuery`` of the API
    :param path: what to call it
    :param numbers: whether whole numbers are taken for the strings that native rendering made them from
    :param problems: where problems are noted
    :return: the query in plain dicts and lists; to be used only if no problem was noted
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
            wanted = f"must be {first}, like the first rule's: one group holds only ANDs or only ORs"
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
        condition = result.get("condition")
        result["value"] = _check_value(value["value"], f"{path}.value", condition, numbers, problems)
    return {key: result[key] for key in ("field", "condition", "value", "operator") if key in result}


def _check_value(value: Any, path: str, condition: str | None, numbers: bool, problems: Problems) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        if not value:
            problems.add(path, value, "must not be empty")
        return [
            _check_one(one, f"{path}[{index}]", condition, numbers, problems)
            for index, one in enumerate(value)
        ]
    if value == "" and condition in ("in", "notin"):
        problems.add(path, value, "must be an array of strings")
    return _check_one(value, path, condition, numbers, problems)


def _check_one(value: Any, path: str, condition: str | None, numbers: bool, problems: Problems) -> Any:
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        problems.add(path, value, "must be a string or an array of strings")
    elif not value and condition is not None and condition not in _EMPTY_IS_FINE:
        problems.add(path, value, f"must not be empty with {condition}, which could match everybody")
    return value


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
