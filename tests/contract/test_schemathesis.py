"""Schemathesis generates requests from the contract: the sandbox must always return a documented response.

In the suite it tries a few hundred calls, the same in each run. To try others, and more of them::

    CONTRACT_EXAMPLES=2000 make test TESTS=tests/contract/test_schemathesis.py

In addition, tests/support/contract_watch.py checks each request and response, as in every test.
"""

from __future__ import annotations

import copy
import itertools
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.schemas import BaseSchema

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.api import API_PATH, TOKEN_PATH
from tests.support.contract import document
from tests.support.leaks import GUARD

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "0"))
OPERATIONS = [
    "getAccessToken",
    "createCampaign",
    "listCampaigns",
    "getCampaign",
    "updateCampaign",
    "changeCampaignStatus",
    "deleteCampaign",
]
ALWAYS = ["not_a_server_error", "status_code_conformance", "content_type_conformance"]
ALWAYS += ["response_headers_conformance", "response_schema_conformance"]
#: A chunked body is refused before the API processes it.
NO_LENGTH = 411
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = ("FREQ=DAILY;COUNT=2", "FREQ=WEEKLY;BYDAY=MO;BYHOUR=8", "nonsense")
TIMES = ("2099-05-01 17:05:00", "2024-05-01 17:05:00", "2099-02-30 00:00:00")


def settings(few: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        stateful_step_count=8,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )


def checks(*more: str) -> list[Any]:
    load_all_checks()
    return CHECKS.get_by_names([*ALWAYS, *more])


@pytest.fixture(autouse=True)
def _invented_secrets_are_none() -> Iterator[None]:
    """Schemathesis invents client secrets such as "webpush_title": the guard must not search for them."""
    known = set(GUARD.secrets)
    logging.disable()  # thousands of lines a second
    yield
    logging.disable(logging.NOTSET)
    GUARD.take()
    GUARD.secrets.intersection_update(known)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(token_lifetime=10**9, start=START) as running:
        running.clock.freeze()
        yield running


def authorization(sandbox: Sandbox) -> dict[str, str]:
    token = sandbox.store.clients.issue_token(sandbox.client_id, sandbox.client_secret, 3600)
    return {"Authorization": f"Bearer {token}"}


def as_served(sandbox: Sandbox, *, linked: bool = False) -> BaseSchema:
    """The contract with the paths of one host. The vendor has two hosts."""
    contract = copy.deepcopy(document())
    paths = contract["paths"]
    contract["paths"] = {path if path == TOKEN_PATH else API_PATH + path: paths[path] for path in paths}
    del contract["servers"], contract["paths"][TOKEN_PATH]["servers"]
    contract["components"]["parameters"]["serviceUuid"]["schema"] = {"const": sandbox.service_uuid}
    if linked:
        _link(contract)
    config = schemathesis.Config()
    config.projects.default.phases.stateful.inference.algorithms = []
    schema = schemathesis.openapi.from_dict(contract, config=config)
    schema.config.update(base_url=sandbox.url)
    return schema


def _link(contract: dict[str, Any]) -> None:
    """Add links, which the vendor does not describe: later calls use the UUID of a campaign."""
    campaign = contract["paths"][f"{API_PATH}/services/{{serviceUuid}}/campaigns/{{campaignUuid}}"]
    every = contract["paths"][f"{API_PATH}/services/{{serviceUuid}}/campaigns"]

    def links(uuid: str) -> dict[str, Any]:
        found = {
            name: {"operationId": name, "parameters": {"campaignUuid": uuid}}
            for name in ("getCampaign", "updateCampaign", "changeCampaignStatus", "deleteCampaign")
        }
        clone = {"operationId": "createCampaign", "requestBody": {"clone_uuid": uuid}}
        return found | {"clone": clone, "list": {"operationId": "listCampaigns"}}

    every["post"]["responses"]["201"]["links"] = links("$response.body#/uuid")
    every["get"]["responses"]["200"]["links"] = links("$response.body#/data/0/uuid")
    for method in ("get", "put", "patch"):
        campaign[method]["responses"]["200"]["links"] = links("$response.body#/uuid")
    gone = {"operationId": "getCampaign", "parameters": {"campaignUuid": "$request.path.campaignUuid"}}
    campaign["delete"]["responses"]["204"]["links"] = {"gone": gone}


class Plausible:
    """Replaces arbitrary texts by existing or nearly valid values."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.lists = itertools.cycle([*sandbox.recipient_lists.values(), sandbox.service_uuid])
        self.times, self.rules = itertools.cycle(TIMES), itertools.cycle(RULES)

    def __call__(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        if "grant_type" in body:
            return body | {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}
        body = dict(body)
        if "recipient_lists" in body:
            body["recipient_lists"] = next(self.lists)
        kind = body.get("schedule_type")
        if kind == "now":
            body.pop("schedule_rrule", None)
        elif kind in ("once", "scheduled"):
            body["schedule_rrule"] = next(self.times if kind == "once" else self.rules)
        if body.get("query") and body["query"] != "":
            body["query"] = QUERY
        if body.get("template") and body.get("sending_type") not in (None, "sms", "webpush"):
            body["template"] = '{"text": "Hello {first_name}"}'
        return body


QUERY = (
    '{"segmentation":[{"operator":"OR","rules":'
    '[{"field":"first_name","condition":"eq","value":"John","operator":"AND"}]}]}'
)


def use(case: Any, uuid: str) -> None:
    """Use this campaign in a call, if the call has one."""
    if "campaignUuid" in case.path_parameters:
        case.path_parameters["campaignUuid"] = uuid


def ask(case: Any, wanted: list[Any], headers: dict[str, str]) -> int:
    response = case.call(headers=headers)
    if response.status_code != NO_LENGTH:
        case.validate_response(response, checks=wanted)
    return int(response.status_code)


def test_stateful(sandbox):
    schema = as_served(sandbox, linked=True)
    wanted = checks("use_after_free", "ensure_resource_availability")
    seen: dict[tuple[str, int], int] = {}

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            # A scenario must not depend on the previous one.
            self.known = itertools.cycle([True, True, False])
            sandbox.reset()
            sandbox.clock.freeze()
            sandbox.clock.set(START)
            for status in ("draft", "stopped"):
                self.uuid = sandbox.create(status=status, schedule_type="once", schedule_rrule=TIMES[0])[
                    "uuid"
                ]
            self.headers, self.plausible = authorization(sandbox), Plausible(sandbox)

        def step(self, given: Any) -> Any:
            # Most first steps use a campaign that does not exist: replace most of these by an existing one.
            path = given.case.meta and given.case.meta.components.get(ParameterLocation.PATH)
            if given.transition is None and path and path.mode.is_positive and next(self.known):
                use(given.case, self.uuid)
            return super().step(given)

        def before_call(self, case: Any) -> None:
            if case.meta is None or case.meta.generation.mode.is_positive:
                case.body = self.plausible(case.body)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": self.headers}

        def after_call(self, response: Any, case: Any) -> None:
            super().after_call(response, case)
            if response.status_code == 201:
                self.uuid = response.json()["uuid"]
            sandbox.clock.advance(1)
            call = case.operation.definition.raw["operationId"], response.status_code
            seen[call] = seen.get(call, 0) + 1

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            if response.status_code != NO_LENGTH:
                case.validate_response(response, checks=wanted, recorder=self.recorder)

    run_state_machine_as_test(Machine, settings=settings(60))
    print(sum(seen.values()), "calls:", dict(sorted(seen.items())))
    # There is no link to the token request, so each scenario starts with a token.
    assert {name for name, status in seen if status < 300} == set(OPERATIONS) - {"getAccessToken"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_requests_outside_the_contract_are_rejected(sandbox, name):
    """Invalid arguments of one operation, on a campaign that exists."""
    schema, headers = as_served(sandbox), authorization(sandbox)
    operation = schema.find_operation_by_id(name)
    uuid = sandbox.create()["uuid"]
    wanted, asked = checks("negative_data_rejection"), []
    negative = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @settings(30)
    @hypothesis.given(case=negative)
    def refused(case):
        path = case.meta.components.get(ParameterLocation.PATH)
        if path is not None and path.mode.is_positive:
            use(case, uuid)
        asked.append(ask(case, wanted, headers))

    refused()
    print(name, {status: asked.count(status) for status in sorted(set(asked))})
    assert asked


@pytest.mark.parametrize("name", OPERATIONS)
def test_requests_within_the_contract_get_a_documented_reply(sandbox, name):
    schema, headers = as_served(sandbox), authorization(sandbox)
    operation = schema.find_operation_by_id(name)
    wanted, plausible, asked = checks(), Plausible(sandbox), []

    @settings(30)
    @hypothesis.given(case=operation.as_strategy())
    def documented(case):
        if len(asked) % 2:
            case.body = plausible(case.body)
            use(case, sandbox.create(status="stopped", schedule_type="once", schedule_rrule=TIMES[0])["uuid"])
        asked.append(ask(case, wanted, headers))

    documented()
    print(name, {status: asked.count(status) for status in sorted(set(asked))})
    assert asked
