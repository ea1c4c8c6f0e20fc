from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import (
    CampaignClone,
    CampaignCreate,
    CampaignUpdate,
    SegmentationGroup,
    SegmentationQuery,
    SegmentationRule,
    check_complete,
)
from airflow_provider_bm.campaigns.constants import (
    CONDITIONS,
    CONTACT_FIELDS,
    GROUP_OPERATORS,
    RULE_OPERATORS,
)
from airflow_provider_bm.campaigns.values import is_missing
from airflow_provider_bm.exceptions import BMPayloadError
from tests.campaigns.samples import LIST_A, QUERY, problems_of, required, unhurried, whole

BUILT = SegmentationQuery.where(first_name="John", last_name="Smith").or_where(nick_name="Johnny")


def audience(**fields: Any) -> tuple[str | None, str | None]:
    payload = CampaignCreate(**required(**fields)).to_payload()
    return payload.get("query_type"), payload.get("query")


def changed(path: str, value: Any) -> Any:
    """The sample query with one thing in it changed; a value of ``...`` removes it."""
    query: Any = copy.deepcopy(QUERY)
    place = query
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return query


def test_the_example_of_the_documentation() -> None:
    assert BUILT.to_dict() == QUERY
    assert json.loads(BUILT.to_json()) == QUERY
    assert SegmentationQuery.from_dict(QUERY) == BUILT


def test_all_ways_to_write_a_query_are_sent_alike_and_imply_segmentation() -> None:
    compact = json.dumps(QUERY, separators=(",", ":"))
    for query in (QUERY, BUILT, compact):
        assert audience(query=query) == ("segmentation", compact)
        assert audience(query=query, query_type="segmentation") == ("segmentation", compact)
    spaced = json.dumps(QUERY, indent=2)
    assert audience(query=spaced) == ("segmentation", spaced)
    assert CampaignUpdate(query=BUILT).to_payload() == {"query_type": "segmentation", "query": compact}


def test_letters_are_not_escaped() -> None:
    query = SegmentationQuery.where(city="Zürich")
    assert "Zürich" in query.to_json()
    assert "Zürich" in (audience(query=query)[1] or "")


def test_whole_numbers_of_native_rendering_become_strings_but_json_is_left_alone() -> None:
    native = changed("segmentation.0.rules.0.value", 8000)
    assert '"value":"8000"' in (audience(query=native)[1] or "")
    in_json = problems_of(lambda: audience(query=json.dumps(native)))
    assert list(in_json) == ["query.segmentation[0].rules[0].value"]


def test_query_type_against_query() -> None:
    assert audience() == (None, None)
    assert audience(query_type="all") == ("all", None)
    assert list(problems_of(lambda: audience(query_type="segmentation"))) == ["query"]
    assert list(problems_of(lambda: audience(query_type="all", query=QUERY))) == ["query_type"]
    assert "segmentation" in problems_of(lambda: audience(query_type="segmentaton"))["query_type"]
    assert list(problems_of(CampaignUpdate(query_type="all", query=QUERY).to_payload)) == ["query_type"]
    clone = CampaignClone(clone_uuid=LIST_A, query_type="all", query=QUERY)
    assert list(problems_of(clone.to_payload)) == ["query_type"]
    clone = CampaignClone(clone_uuid=LIST_A, query_type="segmentation")
    assert clone.to_payload()["query_type"] == "segmentation"
    assert CampaignUpdate(query_type="all", query="").to_payload() == {"query_type": "all", "query": ""}
    assert list(problems_of(CampaignUpdate(query_type="segmentation", query="").to_payload)) == ["query"]


def test_a_campaign_may_keep_a_query_that_all_does_not_use() -> None:
    payload = whole(query_type="all", query=json.dumps(QUERY))
    assert check_complete(payload) == payload
    assert check_complete(whole(query=QUERY))["query_type"] == "segmentation"
    assert check_complete(whole(query=QUERY, query_type=""))["query_type"] == "segmentation"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("segmentation", [], "query.segmentation"),
        ("segmentation", {}, "query.segmentation"),
        ("segmentation", "x", "query.segmentation"),
        ("segmentation", ..., "query.segmentation"),
        ("segmentations", [], "query.segmentations"),
        ("segmentation.1", "x", "query.segmentation[1]"),
        ("segmentation.0.operator", "AND", "query.segmentation[0].operator"),
        ("segmentation.0.operator", "or", "query.segmentation[0].operator"),
        ("segmentation.0.operator", ..., "query.segmentation[0].operator"),
        ("segmentation.0.rules", [], "query.segmentation[0].rules"),
        ("segmentation.0.rules", None, "query.segmentation[0].rules"),
        ("segmentation.0.rules", ..., "query.segmentation[0].rules"),
        ("segmentation.0.rule", [], "query.segmentation[0].rule"),
        ("segmentation.0.rules.1", [], "query.segmentation[0].rules[1]"),
        ("segmentation.0.rules.1.condition", "equals", "query.segmentation[0].rules[1].condition"),
        ("segmentation.0.rules.1.condition", ..., "query.segmentation[0].rules[1].condition"),
        ("segmentation.0.rules.1.field", "firstname", "query.segmentation[0].rules[1].field"),
        ("segmentation.0.rules.1.field", ["a"], "query.segmentation[0].rules[1].field"),
        ("segmentation.0.rules.1.operator", "OR", "query.segmentation[0].rules[1].operator"),
        ("segmentation.0.rules.0.operator", "NOT", "query.segmentation[0].rules[0].operator"),
        ("segmentation.0.rules.1.extra", 1, "query.segmentation[0].rules[1].extra"),
        ("segmentation.0.rules.1.value", ..., "query.segmentation[0].rules[1].value"),
        ("segmentation.0.rules.1.value", [], "query.segmentation[0].rules[1].value"),
        ("segmentation.0.rules.1.value", None, "query.segmentation[0].rules[1].value"),
        ("segmentation.0.rules.1.value", True, "query.segmentation[0].rules[1].value"),
        ("segmentation.0.rules.1.value", 1.5, "query.segmentation[0].rules[1].value"),
        ("segmentation.0.rules.1.value", {"a": "b"}, "query.segmentation[0].rules[1].value"),
        ("segmentation.0.rules.1.value", ["a", None], "query.segmentation[0].rules[1].value[1]"),
    ],
)
def test_invalid_queries(path: str, value: Any, field: str) -> None:
    query = changed(path, value)
    for form in (query, json.dumps(query)):
        problems = problems_of(lambda form=form: audience(query=form))  # type: ignore[misc]
        assert list(problems) == [field]
    with pytest.raises(BMPayloadError):
        SegmentationQuery.from_dict(query)


@pytest.mark.parametrize("value", [{}, "{}", [], "[]", [QUERY], 5, True, "x", "12", "None", " "])
def test_values_that_are_not_queries(value: Any) -> None:
    problems = problems_of(lambda: audience(query=value))
    assert all(field.startswith("query") for field in problems)


def test_all_problems_of_a_query_are_listed() -> None:
    query = changed("segmentation.0.rules.0.field", "firstname")
    query["segmentation"][1]["rules"][0]["condition"] = "is"
    problems = problems_of(lambda: audience(query=query))
    assert list(problems) == [
        "query.segmentation[0].rules[0].field",
        "query.segmentation[1].rules[0].condition",
    ]
    assert "did you mean 'first_name'?" in problems["query.segmentation[0].rules[0].field"]


def test_a_python_dict_rendered_as_text_is_recognized() -> None:
    assert "render_template_as_native_obj" in problems_of(lambda: audience(query=str(QUERY)))["query"]


def test_repeated_keys_are_refused() -> None:
    text = json.dumps(QUERY)[:-1] + ', "segmentation": []}'
    assert "twice" in problems_of(lambda: audience(query=text))["query"]


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("ann_in_days", "x"),
        ("ann_in_days", "-1"),
        ("ann_in_days", "1.5"),
        ("ann_in_days", -1),
        ("ann_in_days", ["1", "2"]),
        ("isnull", "false"),
        ("isnotnull", "No"),
        ("neq", "nan"),
        ("notin", ["Bern", "None"]),
        ("eq", float("nan")),
        ("eq", "cut \ud83d"),
    ],
)
def test_values_that_would_match_the_wrong_contacts(condition: str, value: Any) -> None:
    problems = problems_of(SegmentationRule("city", condition, value).to_dict)
    assert all(field.startswith("rule.value") for field in problems)


def test_days_until_an_anniversary() -> None:
    for value in ("0", "7", 7):
        assert SegmentationRule("birthday", "ann_in_days", value).to_dict()["value"] == str(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["mobile", "phone", "b_mobile", "b_phone"])
def test_phone_numbers_must_be_text(field: str) -> None:
    problems = problems_of(SegmentationRule(field, "eq", 41587000000).to_dict)  # type: ignore[arg-type]
    assert "lost its plus" in problems["rule.value"]
    assert SegmentationRule("zip", "eq", 8000).to_dict()["value"] == "8000"  # type: ignore[arg-type]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_empty_value_must_not_match_everybody(condition: str) -> None:
    def sent(value: Any) -> Any:
        return SegmentationRule("city", condition, value).to_dict()["value"]

    value = "7" if condition == "ann_in_days" else "x"
    assert sent(value) == value
    assert sent([value]) == sent((value,)) == [value]
    if condition in ("eq", "neq", "isnull", "isnotnull"):
        assert sent("") == ""
    else:
        assert list(problems_of(lambda: sent(""))) == ["rule.value"]
    if condition in ("in", "notin"):
        assert sent(["", "x"]) == ["", "x"]


@pytest.mark.parametrize(
    ("lookups", "condition", "value"),
    [
        ({"birthday__lt": "2000-01-01"}, "lt", "2000-01-01"),
        ({"birthday__ann_in_days": 7}, "ann_in_days", "7"),
        ({"city__in": ["Bern", "Basel"]}, "in", ["Bern", "Basel"]),
        ({"city__in": {"Bern", "Basel"}}, "in", ["Basel", "Bern"]),
        ({"email__isnull": True}, "isnull", ""),
        ({"email__isnull": False}, "isnotnull", ""),
        ({"email__isnotnull": True}, "isnotnull", ""),
        ({"email__isnotnull": False}, "isnull", ""),
        ({"email__isnull": "False"}, "isnotnull", ""),
        ({"email__isnull": "true"}, "isnull", ""),
        ({"email__isnull": 0}, "isnotnull", ""),
        ({"b_job_title": "CEO"}, "eq", "CEO"),
        ({"column_1__startswith": "x"}, "startswith", "x"),
    ],
)
def test_lookups(lookups: dict[str, Any], condition: str, value: Any) -> None:
    (group,) = SegmentationQuery.where(**lookups).to_dict()["segmentation"]
    (rule,) = group["rules"]
    field = next(iter(lookups)).partition("__")[0]
    assert rule == {"field": field, "condition": condition, "value": value, "operator": "AND"}


@pytest.mark.parametrize(
    ("method", "connector", "operator"),
    [
        ("or_where", "OR", "AND"),
        ("or_where_any", "OR", "OR"),
        ("and_not", "AND NOT", "AND"),
        ("and_not_any", "AND NOT", "OR"),
        ("or_not", "OR NOT", "AND"),
        ("or_not_any", "OR NOT", "OR"),
    ],
)
def test_groups(method: str, connector: str, operator: str) -> None:
    start = SegmentationQuery.where_any(city="Bern", region="Bern")
    explicit = SegmentationRule("email", "contains", "@")
    query = getattr(start, method)(explicit, email__endswith=".ch")
    first, second = query.to_dict()["segmentation"]
    assert [rule["operator"] for rule in first["rules"]] == ["OR", "OR"]
    assert second["operator"] == connector
    assert [rule["operator"] for rule in second["rules"]] == [operator, operator]
    assert len(start.segmentation) == 1


def test_an_instance_cannot_start_a_new_query() -> None:
    for name in ("where", "where_any"):
        with pytest.raises(AttributeError, match="or_where"):
            getattr(BUILT, name)


def test_to_dict_validates() -> None:
    wrong = SegmentationQuery.where(firstname="x").or_where()
    assert list(problems_of(wrong.to_json)) == [
        "query.segmentation[0].rules[0].field",
        "query.segmentation[1].rules",
    ]
    mixed = SegmentationQuery.where(SegmentationRule("city", "eq", "Bern", "OR"), region="Bern")
    assert list(problems_of(mixed.to_dict)) == ["query.segmentation[0].rules[1].operator"]
    assert list(problems_of(SegmentationQuery(segmentation=()).to_json)) == ["query.segmentation"]
    assert list(problems_of(lambda: audience(query=wrong))) == list(problems_of(wrong.to_json))


def test_parts_may_be_in_the_api_s_form() -> None:
    rule = {"field": "city", "condition": "eq", "value": "Bern", "operator": "AND"}
    built = SegmentationQuery.where(city="Bern")
    assert SegmentationQuery(segmentation=({"operator": "OR", "rules": [rule]},)).to_dict() == built.to_dict()
    assert SegmentationGroup(rules=(rule,)).to_dict() == built.segmentation[0].to_dict()
    assert list(problems_of(SegmentationGroup(rules=("city",)).to_dict)) == ["group.rules[0]"]


def test_groups_and_rules_on_their_own() -> None:
    group = SegmentationGroup(rules=(SegmentationRule("city", "in", ("Bern",)),))
    assert SegmentationGroup.from_dict(group.to_dict()) == group
    assert list(problems_of(SegmentationGroup(rules=()).to_dict)) == ["group.rules"]
    assert list(problems_of(lambda: SegmentationRule.from_dict({"field": "city"}))) == [
        "rule.condition",
        "rule.value",
        "rule.operator",
    ]


def values_for(condition: str) -> st.SearchStrategy[Any]:
    if condition in ("isnull", "isnotnull"):
        return st.just("")
    if condition == "ann_in_days":
        return st.integers(0, 366).map(str)
    text = st.text(min_size=1).filter(lambda text: not is_missing(text))
    return text | st.lists(text, min_size=1).map(tuple)


@st.composite
def groups(draw: st.DrawFn) -> SegmentationGroup:
    operator = draw(st.sampled_from(RULE_OPERATORS))
    rule = st.sampled_from(CONDITIONS).flatmap(
        lambda condition: st.builds(
            SegmentationRule,
            st.sampled_from(CONTACT_FIELDS),
            st.just(condition),
            values_for(condition),
            st.just(operator),
        )
    )
    rules = draw(st.lists(rule, min_size=1, max_size=3))
    return SegmentationGroup(rules=tuple(rules), operator=draw(st.sampled_from(GROUP_OPERATORS)))


@unhurried
@given(st.lists(groups(), min_size=1, max_size=3).map(tuple))
def test_round_trip(segmentation: tuple[SegmentationGroup, ...]) -> None:
    query = SegmentationQuery(segmentation=segmentation)
    assert SegmentationQuery.from_dict(query.to_dict()) == query
    assert SegmentationQuery.from_dict(json.loads(query.to_json())) == query
    assert audience(query=query) == audience(query=query.to_dict()) == ("segmentation", query.to_json())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (SegmentationQuery.where(city="Bern"), 'city is "Bern"'),
        (SegmentationQuery.where(city__in=["Bern", "Basel"]), 'city is "Bern" or "Basel"'),
        (SegmentationQuery.where(city__notin=["Bern", "Basel"]), 'city is none of "Bern", "Basel"'),
        (
            SegmentationQuery.where_any(zip__gte=3000, city__isnull=True),
            'zip is at least "3000" or city is empty',
        ),
        (
            SegmentationQuery.where(first_name="John", last_name="Smith").or_where(nick_name="Johnny"),
            '(first_name is "John" and last_name is "Smith") or (nick_name is "Johnny")',
        ),
        (
            SegmentationQuery.where(birthday__ann_in_days=7).and_not(city="Bern").or_not(region="x"),
            '(birthday has its anniversary within 7 days) but not (city is "Bern") or not (region is "x")',
        ),
        (
            SegmentationQuery(
                segmentation=(
                    SegmentationGroup(rules=(SegmentationRule("city", "eq", "Bern"),), operator="AND NOT"),
                )
            ),
            'not (city is "Bern")',
        ),
    ],
)
def test_a_query_in_words(query: SegmentationQuery, words: str) -> None:
    assert str(query) == words


def test_an_invalid_query_is_shown_as_it_is() -> None:
    assert str(SegmentationQuery.where(town="Bern")).startswith("SegmentationQuery(")


@pytest.mark.parametrize(
    ("contact", "matches"),
    [
        ({"city": "Bern", "zip": 3000}, True),
        ({"city": "Bern", "zip": "2999"}, False),
        ({"city": "Bern", "zip": ""}, False),
        ({"city": "Bern", "zip": None, "birthday": "2000-03-05"}, True),
        ({"city": "Bern", "zip": float("nan"), "birthday": date(2000, 3, 5)}, True),
        ({"city": "Bern", "birthday": "2000-03-11"}, False),
        ({"city": "Bern", "zip": 3000, "email": "x@example.com"}, False),
        ({}, False),
    ],
)
def test_matches(contact: dict[str, Any], matches: bool) -> None:
    query = (
        SegmentationQuery.where(city="Bern", zip__gte="3000")
        .or_where(birthday__ann_in_days=7)
        .and_not(email__endswith="example.com")
    )
    assert query.matches(contact, today=date(2026, 3, 1)) is matches


def test_matching_validates_the_query() -> None:
    assert list(problems_of(lambda: SegmentationQuery.where(town="Bern").matches({})))


def test_a_query_in_the_details_of_a_dag() -> None:
    from airflow.serialization.helpers import serialize_template_field

    query = SegmentationQuery.where(city__in={"Bern", "Basel"})
    # Airflow 2 shows the text of what is not JSON.
    assert serialize_template_field(query, "query") in (query.to_dict(), str(query))
