"""The connection form in a real Airflow: create, edit and test a connection, as a person does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from airflow_provider_bm.sandbox import Sandbox
from tests.system.browser.connection_form import PLACEHOLDER_IS_CUT, ConnectionForm, connection_form
from tests.system.running import RunningAirflow, free_port
from tools.airflow_env import is_airflow_2

UNKNOWN_SERVICE = "00000000-0000-0000-0000-000000000001"
CLOSED = f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def form(page: Page, airflow: RunningAirflow, request: pytest.FixtureRequest) -> ConnectionForm:
    conn_id = re.sub(r"\W+", "_", request.node.name).strip("_")
    return connection_form(page, airflow.url, conn_id)


@pytest.fixture
def filled(form: ConnectionForm, sandbox: Sandbox) -> ConnectionForm:
    """The form of a new connection to the sandbox."""
    form.create()
    form.field("login").fill(sandbox.client_id)
    form.field("password").fill(sandbox.client_secret)
    form.field("schema").fill(sandbox.service_uuid)
    form.field("api_url").fill(sandbox.api_url)
    form.field("token_url").fill(sandbox.token_url)
    form.field("timeout").fill("20")
    form.tick("draft_only")
    return form


def stored(airflow: RunningAirflow, form: ConnectionForm) -> dict[str, Any]:
    """Return the connection that tasks get; its extras as texts, without those that count as not set."""
    output = airflow.home.airflow("connections", "get", form.conn_id, "--output", "json")
    (connection,) = json.loads(output[output.index("[") :])
    extra = connection["extra_dejson"]
    connection["extra"] = {
        name: str(value) for name, value in extra.items() if str(value) not in ("", "None")
    }
    return dict(connection)


def test_the_form_says_what_is_required(form: ConnectionForm) -> None:
    form.create()
    for name in ("host", "login", "password", "schema"):
        placeholder = form.field(name).get_attribute("placeholder")
        assert placeholder
        assert ("required" in placeholder) == (name != "schema")
        assert not form.field(name).evaluate(PLACEHOLDER_IS_CUT), placeholder
    assert ". (dot)" in form.description("separator")
    assert "- (hyphen)" in form.description("separator")
    for name in ("api_url", "token_url"):
        assert "127.0.0.1:8765" in form.description(name)
    if is_airflow_2():  # 3.x has no placeholders of custom fields
        assert "127.0.0.1:8765" in str(form.field("api_url").get_attribute("placeholder"))


def test_editing_keeps_secret_and_extras(
    filled: ConnectionForm, airflow: RunningAirflow, sandbox: Sandbox
) -> None:
    filled.save()
    created = stored(airflow, filled)
    assert created["password"] == sandbox.client_secret
    given = {"api_url": sandbox.api_url, "token_url": sandbox.token_url, "draft_only": "True"}
    assert given.items() <= created["extra"].items()
    assert float(created["extra"]["timeout"]) == 20

    filled.edit()
    assert filled.field("password").input_value() in ("", "***")
    filled.field("description").fill("edited")
    filled.save()
    edited = stored(airflow, filled)
    assert edited["description"] == "edited"
    assert edited["password"] == sandbox.client_secret
    assert edited["extra"] == created["extra"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({}, r"Token and service \S+ work\. It is draft_only: nothing can be sent\.", id="good"),
        pytest.param(
            {"password": "a-wrong-secret"},
            r"Token failed: HTTP 401 invalid_client .*check Client ID and Client secret of the connection",
            id="wrong_secret",
        ),
        pytest.param(
            {"schema": UNKNOWN_SERVICE},
            rf"Service not found or not allowed: HTTP 404 .*\(service {UNKNOWN_SERVICE}\)",
            id="wrong_service",
        ),
        pytest.param(
            {"token_url": f"http://{CLOSED}/oauth2/access-token"},
            rf"Not reachable \(token\): .*no connection to {CLOSED}",
            id="unreachable",
        ),
        pytest.param(
            {"schema": "news"},
            r"Connection failed: Service UUID \(schema\): must be a UUID, not 'news'",
            id="invalid",
        ),
    ],
)
def test_the_test_button(
    filled: ConnectionForm,
    airflow: RunningAirflow,
    sandbox: Sandbox,
    changes: dict[str, str],
    message: str,
) -> None:
    for name, value in changes.items():
        filled.field(name).fill(value)
    if not is_airflow_2():
        filled.save()
        # Without a port, the button of 3.3 does not work: see docs/connection.md.
        body = {"connection_id": filled.conn_id, "conn_type": "bm", "port": 0}
        airflow.api("PATCH", f"/connections/{filled.conn_id}?update_mask=port", body)
        filled.page.reload()
    shown = filled.test()
    assert re.match(message, shown), shown
    for secret in (sandbox.client_secret, *changes.get("password", "").split()):
        assert secret not in shown
