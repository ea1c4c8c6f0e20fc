"""Segmentation queries, evaluated for one contact."""

from __future__ import annotations

from datetime import date

import pytest

from airflow_provider_bm.campaigns.segmentation_matching import anniversary_within, matcher, rule_matches

JOHN = {
    "uuid": "1",
    "first_name": "John",
    "last_name": "Smith",
    "zip": "900",
    "birthday": "1980-03-05",
    "subscription_options_in": "sms,email",
}
TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("field", "condition", "value", "expected"),
    [
        ("first_name", "eq", "John", True),
        ("first_name", "eq", "john", False),
        ("first_name", "eq", ["Jane", "John"], True),
        ("first_name", "neq", "John", False),
        ("nick_name", "neq", "John", True),
        ("nick_name", "eq", "", False),
        ("nick_name", "isnull", "", True),
        ("first_name", "isnull", "", False),
        ("first_name", "isnotnull", "", True),
        ("first_name", "in", ["Jane", "John"], True),
        ("first_name", "notin", ["Jane", "John"], False),
        ("nick_name", "notin", ["Jane"], True),
        ("first_name", "startswith", "Jo", True),
        ("first_name", "endswith", "hn", True),
        ("first_name", "contains", "oh", True),
        ("first_name", "contains", "x", False),
        ("zip", "lt", "1000", True),
        ("zip", "lte", "900", True),
        ("zip", "gt", "1000", False),
        ("zip", "gte", "900", True),
        ("birthday", "lt", "1990-01-01", True),
        ("birthday", "gt", "1990-01-01", False),
        ("nick_name", "lt", "a", False),
        ("birthday", "ann_in_days", "3", True),
        ("birthday", "ann_in_days", "2", False),
        ("first_name", "ann_in_days", "400", False),
        ("subscription_options_in", "eq", "email", True),
        ("subscription_options_in", "in", ["viber"], False),
    ],
)
def test_conditions(field, condition, value, expected):
    rule = {"field": field, "condition": condition, "value": value, "operator": "AND"}
    assert rule_matches(rule, JOHN, TODAY) is expected


@pytest.mark.parametrize(
    ("birthday", "today", "days", "expected"),
    [
        ("1980-03-02", "2026-03-02", 0, True),
        ("1980-03-01", "2026-03-02", 363, False),
        ("1980-03-01", "2026-03-02", 364, True),
        ("1980-01-01", "2026-12-30", 2, True),
        ("1980-02-29", "2026-02-27", 1, True),
        ("1980-02-29", "2028-02-28", 1, True),
        ("1980-02-29", "2028-02-28", 0, False),
        ("nonsense", "2026-03-02", 9, False),
    ],
)
def test_anniversaries(birthday, today, days, expected):
    assert anniversary_within(birthday, days, date.fromisoformat(today)) is expected


def _group(operator, *names, connect="AND", field="first_name"):
    rules = [{"field": field, "condition": "eq", "value": name, "operator": connect} for name in names]
    return {"operator": operator, "rules": rules}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([_group("OR", "John")], True),
        ([_group("OR", "John", "Jane")], False),
        ([_group("OR", "John", "Jane", connect="OR")], True),
        ([_group("OR", "Jane"), _group("OR", "John")], True),
        ([_group("OR", "John"), _group("AND NOT", "Smith", field="last_name")], False),
        ([_group("OR", "John"), _group("AND NOT", "Baker", field="last_name")], True),
        ([_group("OR", "Jane"), _group("OR NOT", "Baker", field="last_name")], True),
        ([_group("OR", "Jane"), _group("OR NOT", "Smith", field="last_name")], False),
        ([_group("AND NOT", "Jane")], True),
        ([_group("AND NOT", "John")], False),
    ],
)
def test_groups(groups, expected):
    assert matcher({"segmentation": groups}, TODAY)(JOHN) is expected
