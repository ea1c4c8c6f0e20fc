from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import CampaignCreate, parse_uuid
from airflow_provider_bm.exceptions import BMPayloadError
from tests.campaigns.samples import LIST_A, LIST_B, problems_of, required, unhurried


def lists(value: Any) -> str:
    text: str = CampaignCreate(**required(recipient_lists=value)).to_payload()["recipient_lists"]
    return text


@unhurried
@given(st.uuids())
def test_valid_ids(value: UUID) -> None:
    assert parse_uuid(value) == parse_uuid(str(value)) == parse_uuid(str(value).upper()) == str(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "None",
        None,
        7,
        b"cf9eeb30-c1af-11ee-8073-bf4d6e8c1618",
        f"{{{LIST_A}}}",
        f"urn:uuid:{LIST_A}",
        LIST_A.replace("-", ""),
        f" {LIST_A}",
        f"{LIST_A}\n",
        f"{LIST_A}/../x",
        LIST_A[:-1],
        LIST_A.replace("c", "g"),
        LIST_A.replace("3", "٣"),
        {"uuid": LIST_A},
    ],
)
def test_invalid_ids(value: Any) -> None:
    with pytest.raises(BMPayloadError) as caught:
        parse_uuid(value, "clone_uuid")
    (problem,) = caught.value.problems
    assert problem.field == "clone_uuid"
    assert problem.value == value
    assert "UUID" in problem.expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (LIST_A, LIST_A),
        (f" {LIST_A} , {LIST_B} ", f"{LIST_A},{LIST_B}"),
        ([LIST_B, LIST_A], f"{LIST_B},{LIST_A}"),
        ((LIST_B, LIST_A), f"{LIST_B},{LIST_A}"),
        ({LIST_A, LIST_B}, f"{LIST_B},{LIST_A}"),
        ([UUID(LIST_A)], LIST_A),
        (UUID(LIST_A), LIST_A),
        ([f"{LIST_A},{LIST_B}"], f"{LIST_A},{LIST_B}"),
        ([LIST_A, LIST_B, LIST_A.upper(), f" {LIST_B}"], f"{LIST_A},{LIST_B}"),
    ],
)
def test_recipient_lists(value: Any, expected: str) -> None:
    assert lists(value) == expected


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("", ["recipient_lists"]),
        ([], ["recipient_lists"]),
        (set(), ["recipient_lists"]),
        (5, ["recipient_lists"]),
        ({"a": LIST_A}, ["recipient_lists"]),
        (f"{LIST_A},", ["recipient_lists"]),
        ("None", ["recipient_lists"]),
        ([LIST_A, "x", None], ["recipient_lists[1]", "recipient_lists[2]"]),
    ],
)
def test_invalid_recipient_lists(value: Any, fields: list[str]) -> None:
    assert sorted(problems_of(lambda: lists(value))) == fields


@pytest.mark.parametrize(
    "value", [str([LIST_A, LIST_B]), str((LIST_A,)), str({LIST_A}), str([UUID(LIST_A)]), f'["{LIST_A}"]']
)
def test_a_python_list_rendered_as_text_is_recognized(value: str) -> None:
    hint = problems_of(lambda: lists(value))["recipient_lists"]
    assert "render_template_as_native_obj" in hint
    assert ".output" in hint


@unhurried
@given(st.lists(st.uuids(), min_size=1))
def test_duplicate_lists_are_dropped(values: list[UUID]) -> None:
    sent = lists([str(value) for value in values]).split(",")
    assert sent == list(dict.fromkeys(str(value) for value in values))
