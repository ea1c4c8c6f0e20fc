from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bm.campaigns.variables import unfilled_variables, unused_variables, variables_in


@pytest.mark.parametrize(
    ("campaign", "found"),
    [
        ({"template": "Hi {first_name}, {wind} {wind}"}, ["first_name", "wind"]),
        ({"template": "{ spaced }, {}, {1}, {a:b}, {a-b} and no more {"}, []),
        ({"template": "Grüezi {größe}"}, ["größe"]),
        ({"template": '{"html": "<style>p{color:red}</style> {city}"}'}, ["city"]),
        ({"sending_type": "email", "template": '{"a": {"b": ["{x}"]}, "c": "{\\u0079}"}'}, ["x", "y"]),
        ({"sending_type": "email", "template": '{"{key}": 1}'}, []),
        ({"sending_type": "email", "template": "{broken"}, []),
        ({"sending_type": "sms", "template": '{"text": "{city}"}'}, ["city"]),
        ({"template": {"text": "{city}", "more": [{"deep": "{zip}"}]}}, ["city", "zip"]),
        ({"sending_type": "webpush", "template": "{a}", "webpush_title": "{b}"}, ["a", "b"]),
        ({"sending_type": "sms", "template": "{a}", "webpush_title": "{b}"}, ["a"]),
        ({"template": None}, []),
        ({}, []),
    ],
)
def test_variables(campaign: dict[str, Any], found: list[str]) -> None:
    assert variables_in(campaign) == found


@pytest.mark.parametrize(
    ("template", "values", "unfilled"),
    [
        ("Hi {first_name}, {wind}", {"wind": "5"}, []),
        ("Hi {firstname}, {wind}", {}, ["firstname", "wind"]),
        ("Hi {unsubscribe_url}", {}, []),
        ("{text}", {"text": "Hi {first_name}, {unsubscribe_url}"}, []),
        ("{text}", {"text": "Hi {frist_name} {text}"}, ["frist_name", "text"]),
    ],
)
def test_unfilled_variables(template: str, values: dict[str, str], unfilled: list[str]) -> None:
    assert unfilled_variables({"template": template}, values, ("unsubscribe_url",)) == unfilled


def test_unused_variables() -> None:
    campaign = {"sending_type": "sms", "template": "{wind} {gust speed}", "webpush_title": "{temp}"}
    assert unused_variables(campaign, {"wind": 1, "gust speed": 2, "temp": 3, "win": 4}) == ["temp", "win"]
    assert unused_variables(campaign, None) == []


def test_deeply_nested_templates() -> None:
    nested: Any = "{city}"
    for _ in range(100_000):
        nested = [nested]
    assert variables_in({"sending_type": "email", "template": {"a": nested}}) == ["city"]
