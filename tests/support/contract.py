"""Validate requests and responses against docs/campaign-api.openapi.yaml.

Everything is compiled once; a request or an answer costs some hundredths of a millisecond.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import yaml

FILE = Path(__file__).resolve().parents[2] / "docs" / "campaign-api.openapi.yaml"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
#: Responses that are sent before the path is examined, and so also to unknown operations.
ANYWHERE = {401, 403, 404, 405, 429}

Pairs = Iterable[tuple[str, str]]


@cache
def document() -> dict[str, Any]:
    """Return the parsed contract."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def resolve(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    """Resolve a reference."""
    while "$ref" in thing:
        found: Any = document()
        for part in thing["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        thing = found
    return thing


def _closed(thing: Any) -> Any:
    """Schemas of responses that forbid properties which the contract does not name.

    Clients must accept additional properties, but the sandbox must not send any.
    """
    if isinstance(thing, dict):
        # Conditions name some properties of a schema, not all.
        conditions = ("if", "then", "anyOf")
        closed = {key: value if key in conditions else _closed(value) for key, value in thing.items()}
        if closed.get("type") == "object" and "properties" in closed:
            closed.setdefault("additionalProperties", False)
        return closed
    return [_closed(item) for item in thing] if isinstance(thing, list) else thing


class Schema:
    """A compiled schema of the contract."""

    def __init__(self, schema: Mapping[str, Any], *, closed: bool = False) -> None:
        self.types = resolve(schema).get("type")
        components = document()["components"]
        whole = {**schema, "components": _closed(components) if closed else copy.deepcopy(components)}
        self._validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

    def problems(self, value: Any, where: str) -> Iterator[str]:
        for error in self._validator.iter_errors(value):
            path = "".join(f"[{part!r}]" for part in error.instance_path)
            yield f"{where}{path}: {error.message[:300]}"

    def read(self, text: str) -> Any:
        """Convert the text of a parameter to its type."""
        if self.types == "array":
            return text.split(",")
        if self.types == "integer" and re.fullmatch("-?[0-9]+", text):
            return int(text)
        return text


@cache
def component(name: str) -> Schema:
    """A schema under components/schemas."""
    return Schema({"$ref": f"#/components/schemas/{name}"})


@cache
def _error() -> Schema:
    return Schema({"$ref": "#/components/schemas/Error"}, closed=True)


@dataclass
class Operation:
    """One operation of the contract."""

    method: str
    path: str
    route: re.Pattern[str]
    path_parameters: dict[str, Schema]
    query: dict[str, Schema]
    body: tuple[str, Schema] | None
    #: Status, and the schema of its JSON if it has a body.
    answers: dict[str, Schema | None]
    #: Whether other parameters are conditions.
    filtered: bool
    secured: bool


@cache
def operations() -> list[Operation]:
    """All operations of the contract."""
    found = []
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                found.append(_operation(method, path, item[method], item.get("parameters", [])))
    return found


def _operation(method: str, path: str, raw: Mapping[str, Any], shared: list[Any]) -> Operation:
    parameters = [resolve(parameter) for parameter in [*shared, *raw.get("parameters", [])]]
    queries = {
        parameter["name"]: Schema(parameter["schema"])
        for parameter in parameters
        if parameter["in"] == "query"
    }
    body = None
    if "requestBody" in raw:
        [(media_type, content)] = raw["requestBody"]["content"].items()
        body = media_type, Schema(content["schema"])
    answers: dict[str, Schema | None] = {}
    for status, reference in raw["responses"].items():
        content = resolve(reference).get("content", {})
        answers[status] = Schema(content[JSON]["schema"], closed=True) if content else None
    return Operation(
        method=method.upper(),
        path=path,
        route=re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]*)", re.escape(path))),
        path_parameters={
            parameter["name"]: Schema(parameter["schema"])
            for parameter in parameters
            if parameter["in"] == "path"
        },
        query=queries,
        body=body,
        answers=answers,
        filtered=queries.pop("filters", None) is not None,
        secured=raw.get("security", True) != [],
    )


def find(method: str, path: str) -> Operation | None:
    """Find the operation of a call.

    :param path: after the API's base; of the token endpoint, the whole path
    """
    for operation in operations():
        if operation.method == method and operation.route.fullmatch(path):
            return operation
    return None


def request_problems(
    method: str, path: str, query: Pairs, headers: Mapping[str, str], body: bytes | None
) -> list[str]:
    """List how a request violates the contract.

    :param path: after the API's base; of the token endpoint, the whole path
    """
    operation = find(method, path)
    if operation is None:
        return ["there is no such operation"]
    problems = list(_query_problems(operation, query))
    route = operation.route.fullmatch(path)
    for name, schema in operation.path_parameters.items():
        problems += schema.problems(route[name] if route else "", f"path {name}")
    if operation.secured and not re.fullmatch(r"Bearer [^ ]+", headers.get("Authorization", "")):
        problems.append("there is no Bearer token")
    if operation.body is None:
        return [*problems, "there is a body"] if body else problems
    wanted, schema = operation.body
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        return [*problems, f"the body is {media_type!r}, not {wanted!r}"]
    try:
        content = _read_body(wanted, body or b"")
    except ValueError as error:
        return [*problems, f"the body is not {wanted}: {error}"]
    return [*problems, *schema.problems(content, "body"), *embedded_problems(content)]


def _read_body(media_type: str, body: bytes) -> Any:
    if media_type != FORM:
        return json.loads(body)
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _query_problems(operation: Operation, query: Pairs) -> Iterator[str]:
    seen = set()
    for name, value in query:
        schema = operation.query.get(name)
        if schema is not None:
            yield from schema.problems(schema.read(value), f"query {name}")
            if name in seen:
                yield f"query {name}: is there twice"
            seen.add(name)
        elif operation.filtered:
            yield from component("Filters").problems({name: value}, "query ")
        else:
            yield f"query {name}: there is no such parameter"


def embedded_problems(body: Any) -> Iterator[str]:
    """Validate JSON within strings (contentSchema), which validators ignore."""
    if not isinstance(body, dict):
        return
    if isinstance(body.get("query"), str) and body["query"]:
        yield from _json_problems("SegmentationQuery", body["query"], "body['query']")
    texts = [None, "sms", "webpush"]
    if body.get("sending_type") not in texts and isinstance(body.get("template"), str):
        yield from _json_problems("ResponseBody", body["template"], "body['template']")


def _json_problems(schema: str, text: str, where: str) -> Iterator[str]:
    try:
        value = json.loads(text)
    except ValueError:
        yield f"{where}: is not JSON"
    else:
        yield from component(schema).problems(value, where)


def response_problems(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> list[str]:
    """List how a response violates the contract: its status, or its content.

    ``default`` alone does not allow a server to send any status.

    :param path: after the API's base; of the token endpoint, the whole path
    """
    operation = find(method, path)
    if operation is None:
        if status not in ANYWHERE:
            return [f"{status} to a call that is no operation"]
        if status == 405 and not headers.get("Allow"):
            return ["405 without Allow"]
        schema: Schema | None = _error()
    elif str(status) in operation.answers:
        schema = operation.answers[str(status)]
    else:
        return [f"status {status} is not documented"]
    if schema is None:
        return ["there is a body"] if body else []
    if headers.get("Content-Type", "").partition(";")[0].strip() != JSON:
        return [f"the answer is {headers.get('Content-Type')!r}"]
    try:
        content = json.loads(body)
    except ValueError:
        return ["the answer is not JSON"]
    return list(schema.problems(content, "answer"))
