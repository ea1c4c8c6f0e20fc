"""The contract is valid OpenAPI, and agrees with the code."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from airflow_provider_bm import campaigns
from airflow_provider_bm.campaigns import constants as words
from airflow_provider_bm.client import assumptions, query
from airflow_provider_bm.sandbox import filters
from airflow_provider_bm.sandbox.api import TOKEN_PATH
from tests.support import contract
from tests.support.contract import METHODS, Schema, component, document, resolve

SCHEMAS = document()["components"]["schemas"]
READABLE = {*words.CAMPAIGN_FIELDS, *words.RESPONSE_FIELDS}


def values(schema: dict[str, Any]) -> tuple[str, ...]:
    return tuple(resolve(schema)["enum"])


def everything(thing: Any) -> Iterator[dict[str, Any]]:
    """All objects of the document."""
    if isinstance(thing, dict):
        yield thing
    for inner in thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ():
        yield from everything(inner)


def test_document_is_valid_openapi():
    assert document()["openapi"].startswith("3.1.")
    validate(document())


def examples(thing: dict[str, Any]) -> list[Any]:
    """The examples of a schema, parameter or body."""
    found = thing.get("examples", [thing["example"]] if "example" in thing else [])
    return [example["value"] for example in found.values()] if isinstance(found, dict) else list(found)


def test_examples_match_their_schemas():
    count = 0
    for thing in everything(document()):
        schema = thing.get("schema", thing)
        for example in examples(thing):
            count += 1
            bare = {key: value for key, value in schema.items() if key not in ("example", "examples")}
            assert list(Schema(bare, closed=True).problems(example, "example")) == [], example
            assert list(contract.embedded_problems(example)) == [], example
    assert count > 25


def test_every_body_has_an_example():
    operations = [item[m] for item in document()["paths"].values() for m in METHODS if m in item]
    bodies = [operation["requestBody"] for operation in operations if "requestBody" in operation]
    for operation in operations:
        bodies += [resolve(response) for status, response in operation["responses"].items() if status < "401"]
    bare = [body for body in bodies for content in body.get("content", {}).values() if not examples(content)]
    assert [body for body in bare if body["description"] != "Invalid request."] == []


def test_validator_finds_errors():
    with pytest.raises(OpenAPIValidationError):
        validate({**document(), "paths": {"/x": {"get": {"responses": 5}}}})


def test_the_operations():
    calls = {(m.upper(), path) for path, item in document()["paths"].items() for m in item if len(m) < 7}
    campaigns = "/services/{serviceUuid}/campaigns"
    assert calls == {
        ("POST", TOKEN_PATH),
        *((method, campaigns) for method in ("GET", "POST")),
        *((method, f"{campaigns}/{{campaignUuid}}") for method in ("GET", "PUT", "PATCH", "DELETE")),
    }


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Campaign", words.CAMPAIGN_FIELDS),
        ("CampaignCreate", words.CAMPAIGN_FIELDS),
        ("CampaignUpdate", words.CAMPAIGN_FIELDS),
        ("CampaignClone", (*words.CLONE_FIELDS, *words.CAMPAIGN_FIELDS)),
        ("CampaignResponse", (*words.CAMPAIGN_FIELDS, *words.RESPONSE_FIELDS, *words.OPTIONAL_FIELDS)),
        ("CampaignStatus", ("status",)),
    ],
)
def test_fields_agree_with_the_code(name, fields):
    assert tuple(SCHEMAS[name]["properties"]) == fields


@pytest.mark.parametrize("name", ["CampaignCreate", "CampaignClone", "CampaignUpdate", "CampaignStatus"])
def test_payload_models_agree_with_the_schemas(name):
    model = getattr(campaigns, name)
    assert {field.name for field in dataclasses.fields(model)} == set(SCHEMAS[name]["properties"])


def test_required_fields():
    for name in ("Campaign", "CampaignCreate", "CampaignUpdate", "CampaignResponse"):
        assert tuple(SCHEMAS[name]["required"]) == words.REQUIRED_FIELDS
    # Of the model, schedule_type is inferred, and status has a default.
    given = dataclasses.fields(campaigns.CampaignCreate)
    required = {field.name for field in given if field.default is dataclasses.MISSING}
    assert required == set(words.REQUIRED_FIELDS) - {"status", "schedule_type"}


def test_vocabulary_agrees_with_the_code():
    campaign, rule = SCHEMAS["Campaign"]["properties"], SCHEMAS["SegmentationRule"]["properties"]
    assert values(campaign["status"]) == words.STATUSES
    assert values(SCHEMAS["CreateStatus"]) == words.CREATE_STATUSES
    assert values(SCHEMAS["CampaignStatus"]["properties"]["status"]) == words.CHANGE_STATUSES
    assert values(campaign["sending_type"]) == words.SENDING_TYPES
    in_json = SCHEMAS["JsonTemplate"]["if"]["properties"]["sending_type"]
    assert values(in_json) == words.JSON_TEMPLATE_SENDING_TYPES
    assert values(campaign["schedule_type"]) == words.SCHEDULE_TYPES
    assert values(campaign["query_type"]) == words.QUERY_TYPES
    assert values(SCHEMAS["OptionalField"]) == words.OPTIONAL_FIELDS
    assert values(SCHEMAS["SegmentationGroup"]["properties"]["operator"]) == words.GROUP_OPERATORS
    assert values(rule["operator"]) == words.RULE_OPERATORS
    assert values(rule["condition"]) == words.CONDITIONS
    assert values(rule["field"]) == words.CONTACT_FIELDS


def alternatives(pattern: str) -> list[set[str]]:
    return [set(group.split("|")) for group in re.findall(r"\(([a-z_|]+)\)", pattern)]


def test_filters_agree_with_the_code():
    call, plain = SCHEMAS["FilterName"]["anyOf"]
    operators, columns = alternatives(call["pattern"])
    assert operators == set(query.OPERATORS) == set(filters.OPERATORS)
    assert columns == READABLE == set(filters.COLUMNS)
    # These two are separate parameters.
    assert set(values(plain)) == READABLE - {"status", "sending_type"}
    (sorted_by,) = alternatives(SCHEMAS["SortColumn"]["pattern"])
    assert sorted_by == READABLE
    for operator, column in itertools.product(sorted(operators), sorted(columns)):
        assert not list(component("FilterName").problems(f"{operator}({column})", ""))
    enums = {
        tuple(group.split("|"))
        for pattern, schema in SCHEMAS["Filters"]["patternProperties"].items()
        if re.search("status|_type", pattern)
        for group in re.findall(r"\(([a-z|]+)\)", schema["pattern"])
    }
    assert enums == {words.STATUSES, words.SENDING_TYPES, words.SCHEDULE_TYPES, words.QUERY_TYPES}


def test_every_assumption_of_the_client_is_marked():
    marks = " ".join(part["x-assumed"] for part in everything(document()) if "x-assumed" in part)
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", marks))
    assert named == {name for name in vars(assumptions) if name.isupper()}


def test_assumption_marks_have_a_reason():
    for thing in everything(document()):
        for mark in ("x-assumed", "x-known"):
            assert len(thing.get(mark, "a few words")) > 10, thing
        assert {key for key in thing if str(key).startswith("x-")} <= {"x-assumed", "x-known"}
