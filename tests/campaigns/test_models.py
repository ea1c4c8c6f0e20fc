from __future__ import annotations

import copy
import dataclasses
import json
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import jinja2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import (
    CampaignClone,
    CampaignCreate,
    CampaignStatus,
    CampaignUpdate,
    SegmentationGroup,
    SegmentationQuery,
    parse_uuid,
)
from airflow_provider_bm.campaigns.constants import (
    CAMPAIGN_FIELDS,
    CHANGE_STATUSES,
    CREATE_STATUSES,
    JSON_TEMPLATE_SENDING_TYPES,
    SENDING_TYPES,
    STATUSES,
)
from airflow_provider_bm.campaigns.text import normalize_name
from airflow_provider_bm.campaigns.values import MISSING_TEXTS
from airflow_provider_bm.exceptions import BMPayloadError
from tests.campaigns.samples import LIST_A, LIST_B, QUERY, problems_of, required, unhurried

JSON_TEMPLATE = {"message": {"text": "Grüezi 👋"}}
MISSING: list[Any] = [
    *MISSING_TEXTS,
    " nan ",
    float("nan"),
    np.float64("nan"),
    Decimal("NaN"),
    Decimal("sNaN"),
    pd.NA,
    pd.NaT,
    jinja2.Undefined(name="x"),
    jinja2.StrictUndefined(name="x"),
]


def deeply_nested() -> Any:
    nested: Any = "x"
    for _ in range(100_000):
        nested = {"a": nested}
    return nested


def create(**changes: Any) -> dict[str, Any]:
    return CampaignCreate(**required(**changes)).to_payload()


def test_shortest_campaign() -> None:
    assert create() == {
        "name": "Storm",
        "status": "active",
        "sending_type": "sms",
        "schedule_type": "now",
        "template": "Hello {first_name}",
        "sender": "+41587000000",
        "recipient_lists": LIST_A,
    }


def test_every_field_is_sent_in_the_order_of_the_documentation() -> None:
    webpush = {name: f" {name}" for name in CAMPAIGN_FIELDS if name.startswith("webpush_")}
    given_fields = required(
        sending_type="webpush",
        status="draft",
        schedule_rrule="2024-05-01T17:05:00Z",
        query_type="segmentation",
        query=json.dumps(QUERY),
        **webpush,
    )
    payload = CampaignCreate(**given_fields).to_payload()
    assert tuple(payload) == CAMPAIGN_FIELDS
    assert payload == given_fields | {"schedule_type": "once", "schedule_rrule": "2024-05-01 17:05:00"}


def test_models_are_frozen_and_keyword_only() -> None:
    models: list[Any] = [CampaignCreate, CampaignClone, CampaignUpdate, CampaignStatus]
    for model in models:
        assert model.__dataclass_params__.frozen
        assert all(field.kw_only for field in dataclasses.fields(model))


def test_every_problem_is_listed() -> None:
    fields = required(
        name=" ",
        sending_type="SMS",
        template=["x"],
        sender=None,
        recipient_lists="x",
        status="finished",
        schedule_type="daily",
        query={},
        webpush_title=1.5,
    )
    with pytest.raises(BMPayloadError) as caught:
        CampaignCreate(**fields).to_payload()
    found = {problem.field: problem for problem in caught.value.problems}
    assert set(found) == {*required(), "status", "schedule_type", "query.segmentation", "webpush_title"}
    assert "did you mean 'sms'?" in found["sending_type"].expected
    assert found["sending_type"].value == "SMS"
    assert all(field in str(caught.value) for field in found)


@pytest.mark.parametrize("name", ["name", "sending_type", "template", "sender", "recipient_lists", "status"])
def test_required_fields_of_a_new_campaign(name: str) -> None:
    assert list(problems_of(CampaignCreate(**required(**{name: None})).to_payload)) == [name]


@pytest.mark.parametrize(
    ("model", "allowed"),
    [
        (CampaignCreate, CREATE_STATUSES),
        (CampaignClone, CREATE_STATUSES),
        (CampaignUpdate, STATUSES),
        (CampaignStatus, CHANGE_STATUSES),
    ],
)
@pytest.mark.parametrize("status", [*STATUSES, "Active", "", "None", 1, ["active"]])
def test_status_of_each_model(model: Any, allowed: tuple[str, ...], status: Any) -> None:
    base: dict[Any, dict[str, Any]] = {CampaignCreate: required(), CampaignClone: {"clone_uuid": LIST_A}}
    instance = model(**base.get(model, {}) | {"status": status})
    if status in allowed:
        assert instance.to_payload()["status"] == status
    else:
        assert list(problems_of(instance.to_payload)) == ["status"]


def test_a_str_enum_is_a_choice() -> None:
    class Channel(StrEnum):
        SMS = "sms"

    sent = create(sending_type=Channel.SMS)["sending_type"]
    assert sent == "sms"
    assert type(sent) is str


@pytest.mark.parametrize("name", ["name", "sender", "webpush_title", "webpush_icon"])
def test_text_fields(name: str) -> None:
    assert create(**{name: "007"})[name] == "007"
    for wrong in (True, 1.5, ["x"], {"x": 1}, b"x", *MISSING, "cut \ud83d", 10**5000):
        assert list(problems_of(lambda wrong=wrong: create(**{name: wrong}))) == [name]  # type: ignore[misc]


@pytest.mark.parametrize("name", ["name", "webpush_title", "webpush_icon"])
def test_texts_of_digits_that_native_rendering_made_numbers(name: str) -> None:
    for number in (41587000000, np.int64(41587000000)):
        assert create(**{name: number})[name] == "41587000000"


@pytest.mark.parametrize("number", [41587000000, np.int64(41587000000)])
def test_a_sender_must_be_text(number: Any) -> None:
    problems = problems_of(lambda: create(sender=number))
    assert "sender='+41587000000'" in problems["sender"]
    assert list(problems_of(lambda: create(sender=41.5))) == ["sender"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (" Storm\n\twarning \u00a0 ", "Storm warning"),
        ("Storm\r\nwarning\u2028today", "Storm warning today"),
        ("Grüezi 🔥 👨\u200d👩\u200d👧", "Grüezi 🔥 👨\u200d👩\u200d👧"),
        ("None of our shops", "None of our shops"),
        (7, "7"),
    ],
)
def test_names_are_normalised(name: Any, expected: str) -> None:
    assert create(name=name)["name"] == expected
    assert CampaignUpdate(name=name).to_payload() == {"name": expected}
    assert normalize_name(str(name)) == expected


@pytest.mark.parametrize(
    ("name", "part"),
    [("a\x00b", "'\\x00'"), ("a\x1cb", "'\\x1c'"), ("\x9f", "'\\x9f'"), ("\ud83d", "surrogate")],
)
def test_names_without_control_characters_and_half_surrogates(name: str, part: str) -> None:
    assert part in problems_of(lambda: create(name=name))["name"]


@pytest.mark.parametrize("name", ["name", "sender", "template"])
@pytest.mark.parametrize("value", ["", "  \n"])
def test_texts_that_must_not_be_empty(name: str, value: str) -> None:
    assert list(problems_of(lambda: create(**{name: value}))) == [name]
    assert list(problems_of(CampaignUpdate(**{name: value}).to_payload)) == [name]


@pytest.mark.parametrize(
    "clear",
    [
        {"webpush_title": ""},
        {"webpush_image": ""},
        {"query": "", "query_type": "all"},
        {"schedule_rrule": "", "schedule_type": "now"},
    ],
)
def test_the_empty_text_clears_an_optional_field(clear: Any) -> None:
    assert CampaignUpdate(**clear).to_payload() == clear
    clone = CampaignClone(clone_uuid=LIST_A, status=None, **clear)
    assert clone.to_payload() == {"clone_uuid": LIST_A, **clear}


@pytest.mark.parametrize("name", ["query", "schedule_rrule"])
def test_an_empty_text_never_widens_the_audience_or_the_schedule(name: str) -> None:
    empty: Any = {name: ""}
    assert list(problems_of(CampaignUpdate(**empty).to_payload)) == [name]
    assert list(problems_of(CampaignClone(clone_uuid=LIST_A, **empty).to_payload)) == [name]


@pytest.mark.parametrize("name", ["query", "schedule_rrule"])
def test_a_new_campaign_has_nothing_to_clear(name: str) -> None:
    assert list(problems_of(lambda: create(**{name: ""}))) == [name]


@pytest.mark.parametrize("sending_type", SENDING_TYPES)
def test_template_of_each_channel(sending_type: str) -> None:
    def sent(template: Any) -> str:
        text: str = create(sending_type=sending_type, template=template)["template"]
        return text

    text = ' {"a": "\\u00fc"} '
    assert sent(text) == text
    if sending_type not in JSON_TEMPLATE_SENDING_TYPES:
        assert sent("Hi") == "Hi"
        assert "plain text" in problems_of(lambda: sent(JSON_TEMPLATE))["template"]
    else:
        assert json.loads(sent(JSON_TEMPLATE)) == JSON_TEMPLATE
        assert "Grüezi 👋" in sent(JSON_TEMPLATE)
        assert "line 1 column 2" in problems_of(lambda: sent("{text: 1}"))["template"]
        assert "render_template_as_native_obj" in problems_of(lambda: sent(str(JSON_TEMPLATE)))["template"]
        not_objects: list[Any] = [
            "Hi",
            "[]",
            "{}",
            "12",
            '{"a": NaN}',
            '{"a": 1, "a": 2}',
            "[" * 100_000,
            {},
            {"a": float("nan")},
            {"a": object()},
            {"a": "cut \ud83d"},
            {"\ud83d": "cut"},
            '{"a": "cut \\ud83d"}',
            {"a": 10**5000},
            '{"a": 1' + "0" * 5000 + "}",
            deeply_nested(),
            '{"a": 1,}',
        ]
        for wrong in not_objects:
            assert list(problems_of(lambda wrong=wrong: sent(wrong))) == ["template"]  # type: ignore[misc]
    never: list[Any] = [[], [JSON_TEMPLATE], 12, True, b"Hi", "cut \ud83d", *MISSING]
    for wrong in never:
        assert list(problems_of(lambda wrong=wrong: sent(wrong))) == ["template"]  # type: ignore[misc]


def test_template_of_an_unknown_channel() -> None:
    assert CampaignUpdate(template="{not json").to_payload() == {"template": "{not json"}
    assert json.loads(CampaignUpdate(template=JSON_TEMPLATE).to_payload()["template"]) == JSON_TEMPLATE
    never: list[Any] = [[], {}, " ", 5]
    for wrong in never:
        assert list(problems_of(CampaignUpdate(template=wrong).to_payload)) == ["template"]


def test_shortest_clone() -> None:
    clone = CampaignClone(clone_uuid=UUID(LIST_B), template_vars={"temp": "-22C", "wind": "100km/h"})
    assert clone.to_payload() == {
        "clone_uuid": LIST_B,
        "template_vars": {"temp": "-22C", "wind": "100km/h"},
        "status": "active",
    }


def test_clone_needs_a_uuid() -> None:
    wrong = CampaignClone(clone_uuid="None", name="", template_vars={"a": None})  # type: ignore[dict-item]
    assert sorted(problems_of(wrong.to_payload)) == ["clone_uuid", "name", "template_vars.a"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (-22, "-22"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (np.float32(0.1), "0.1"),
        (np.int64(7), "7"),
        (2.123456, "2.123456"),
        (IntEnum("Level", "HIGH").HIGH, "1"),
        *((text, text) for text in ("1.50", "+41", "007", "", " x ", "Nonesuch", "None of us", "Nan", "{x}")),
    ],
)
def test_template_vars(value: Any, expected: str) -> None:
    clone = CampaignClone(clone_uuid=LIST_A, template_vars={"wind": value})
    assert clone.to_payload()["template_vars"] == {"wind": expected}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"wind": wrong}, "template_vars.wind")
        for wrong in (True, {}, [], b"x", Decimal("Infinity"), object(), 0.1 + 0.2, 1e22, Fraction(1, 3))
    ]
    + [({"wind": wrong}, "template_vars.wind") for wrong in (None, *MISSING, "cut \ud83d", 10**5000)]
    + [({"cut \ud83d": "x"}, "template_vars.'cut \\ud83d'")]
    + [
        ({"{wind}": "x"}, "template_vars.{wind}"),
        ({"": "x"}, "template_vars"),
        ({" ": "x"}, "template_vars"),
        ({5: "x"}, "template_vars"),
        ("{'wind': 'x'}", "template_vars"),
        ([("wind", "x")], "template_vars"),
    ],
)
def test_invalid_template_vars(value: Any, field: str) -> None:
    problems = problems_of(CampaignClone(clone_uuid=LIST_A, template_vars=value).to_payload)
    assert list(problems) == [field]
    assert ("render_template_as_native_obj" in problems[field]) == isinstance(value, str)


names = st.text(min_size=1).filter(lambda name: name.strip() and not set(name) & set("{}"))


@unhurried
@given(st.dictionaries(names, st.text().filter(lambda text: text.strip() not in MISSING_TEXTS)))
def test_texts_in_template_vars_are_never_changed(values: dict[str, str]) -> None:
    before = dict(values)
    assert CampaignClone(clone_uuid=LIST_A, template_vars=values).to_payload()["template_vars"] == before


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1 + 0.2, "0.30"),
        (1e22, "10000000000000000000000.00"),
        (Decimal("2.5"), "2.50"),
        (Fraction(1, 3), "0.33"),
        (np.float32(0.1), "0.10"),
        (5, "5"),
        ("0.1", "0.1"),
    ],
)
def test_float_format(value: Any, expected: str) -> None:
    clone = CampaignClone(clone_uuid=LIST_A, template_vars={"wind": value})
    assert clone.to_payload(float_format=".2f")["template_vars"] == {"wind": expected}


def test_an_invalid_float_format() -> None:
    clone = CampaignClone(clone_uuid=LIST_A, template_vars={"wind": 1.5})
    assert "float_format='.2q'" in problems_of(lambda: clone.to_payload(".2q"))["template_vars.wind"]
    assert "float_format=5" in problems_of(lambda: clone.to_payload(5))["template_vars.wind"]  # type: ignore[arg-type]


#: Values that no payload may contain, and that are hard to describe, sort or compare.
HOSTILE: list[Any] = [
    10**5000,
    {10**5000},
    Decimal("sNaN"),
    "cut \ud83d",
    {"cut \ud83d": "cut \ud83d"},
    np.array([1, 2]),
    pd.DataFrame({"a": [1, 2]}),
    pd.NaT,
    ["cut \ud83d", 10**5000, {"a": Decimal("sNaN")}],
]


@pytest.mark.parametrize("value", [*HOSTILE, "nested"], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", [*CAMPAIGN_FIELDS, "template_vars", "clone_uuid"])
def test_no_value_causes_another_error_or_an_unprintable_message(name: str, value: Any) -> None:
    value = deeply_nested() if isinstance(value, str) and value == "nested" else value
    for sending_type in ("sms", "email", None):
        base = {"clone_uuid": LIST_A, "sending_type": sending_type}
        models: list[Any] = [lambda base=base: CampaignClone.from_mapping(base | {name: value}).to_payload()]
        if name in CAMPAIGN_FIELDS:
            models += [
                lambda: CampaignCreate.from_mapping(required(**{name: value})).to_payload(),
                lambda: CampaignUpdate.from_mapping({name: value}).to_payload(),
            ]
        for call in models:
            with pytest.raises(BMPayloadError) as caught:
                call()
            assert str(caught.value).encode()
            assert name in str(caught.value)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters())
    | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters()), inner) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@unhurried
@given(st.dictionaries(st.sampled_from([*CAMPAIGN_FIELDS, "clone_uuid", "template_vars", "x"]), anything))
def test_any_values_are_valid_or_a_payload_error(values: dict[str, Any]) -> None:
    for model in (CampaignCreate, CampaignClone, CampaignUpdate, CampaignStatus):
        try:
            text = json.dumps(model.from_mapping(values).to_payload(), ensure_ascii=False)
        except BMPayloadError as error:
            text = str(error)
        assert text.encode()


def test_unknown_fields_with_odd_names() -> None:
    for field in (10**5000, "cut \ud83d", None, ("a",)):
        with pytest.raises(BMPayloadError) as caught:
            CampaignUpdate.from_mapping({field: 1})  # type: ignore[dict-item]
        assert str(caught.value).encode()


def test_queries_that_are_not_built_of_groups_and_rules() -> None:
    for query in (
        SegmentationQuery(segmentation=None),  # type: ignore[arg-type]
        SegmentationQuery(segmentation=deeply_nested()),
        SegmentationQuery(segmentation=(SegmentationGroup(rules=5),)),  # type: ignore[arg-type]
        SegmentationQuery.where(city={10**5000, "Bern"}),
        SegmentationQuery.where(city__isnull=10**5000),
        SegmentationQuery.where(city="cut \ud83d"),
    ):
        with pytest.raises(BMPayloadError) as caught:
            create(query=query)
        assert str(caught.value).encode()


def test_the_message_reports_that_nothing_was_sent() -> None:
    with pytest.raises(BMPayloadError, match=r"^Invalid campaign; nothing was sent:\n  name="):
        create(name="")
    with pytest.raises(BMPayloadError, match=r"^Invalid campaign_uuid:\n  campaign_uuid="):
        parse_uuid("x")


def test_an_update_contains_only_the_fields_that_are_set() -> None:
    assert CampaignUpdate().to_payload() == {}
    assert CampaignUpdate(name="x", recipient_lists=[LIST_A]).to_payload() == {
        "name": "x",
        "recipient_lists": LIST_A,
    }


def test_from_mapping_takes_what_the_constructor_takes() -> None:
    assert CampaignCreate.from_mapping(required()) == CampaignCreate(**required())
    assert CampaignUpdate.from_mapping({"name": "x"}) == CampaignUpdate(name="x")
    assert CampaignStatus.from_mapping({"status": "stopped"}).to_payload() == {"status": "stopped"}
    clone = {"clone_uuid": LIST_A, "template_vars": {"a": 1}}
    assert CampaignClone.from_mapping(clone) == CampaignClone(**clone)  # type: ignore[arg-type]


def test_from_mapping_lists_unknown_missing_and_wrong() -> None:
    mapping = {"nmae": "Storm", "uuid": LIST_A, "clone_uuid": LIST_A, "sending_type": "smss", 5: 6}
    problems = problems_of(lambda: CampaignCreate.from_mapping(mapping))  # type: ignore[arg-type]
    assert set(problems) == {"nmae", "uuid", "clone_uuid", "5", *required()}
    assert "did you mean 'name'?" in problems["nmae"]
    assert "responses only" in problems["uuid"]
    assert "clones only" in problems["clone_uuid"]
    assert list(problems_of(lambda: CampaignUpdate.from_mapping({"status": None, "x": 1}))) == ["x"]
    assert list(problems_of(lambda: CampaignClone.from_mapping({}))) == ["clone_uuid"]
    assert list(problems_of(lambda: CampaignStatus.from_mapping({}))) == ["status"]
    assert list(problems_of(lambda: CampaignUpdate.from_mapping("x"))) == ["mapping"]  # type: ignore[arg-type]


def test_arguments_are_not_modified() -> None:
    fields = required(
        sending_type="email",
        template=copy.deepcopy(JSON_TEMPLATE),
        query=copy.deepcopy(QUERY),
        recipient_lists=[LIST_A, LIST_A],
    )
    before = copy.deepcopy(fields)
    CampaignCreate.from_mapping(fields).to_payload()
    assert fields == before
