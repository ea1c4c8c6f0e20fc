"""`test_connection()`, called by Airflow's UI and CLI, names what failed: network, token or service."""

from __future__ import annotations

import re

import pytest

from airflow_provider_bm.hooks import BMHook
from tests.hooks.http_stub import (
    LIST,
    NEVER_LEFT,
    NO_REPLY,
    SERVICE,
    TOKEN_URL,
    campaign,
    connection,
    page,
)

GOOD_TOKEN = {"json": {"access_token": "bm-token-that-is-good"}}
GOOD_LIST = {"json": page(campaign())}
WRONG = {"status_code": 401, "json": {"error": "invalid_client", "error_description": "No such client"}}


@pytest.mark.parametrize(
    ("token", "service", "good", "text"),
    [
        (GOOD_TOKEN, GOOD_LIST, True, f"Token and service {SERVICE} work"),
        (GOOD_TOKEN, {"json": page()}, True, "Token and service"),
        (WRONG, GOOD_LIST, False, "Token failed: HTTP 401 invalid_client .*No such client"),
        (
            {"status_code": 400, "json": {"error": "invalid_client"}},
            GOOD_LIST,
            False,
            "Token failed.*Client secret",
        ),
        ({"status_code": 403}, GOOD_LIST, False, "Token .*not allowed.*IP address"),
        ({"status_code": 404}, GOOD_LIST, False, "Token .*not found"),
        ({"status_code": 503}, GOOD_LIST, False, "Token failed: HTTP 503"),
        ({"text": "<html>Welcome</html>"}, GOOD_LIST, False, "Token failed.*is not JSON"),
        (NO_REPLY["time-out"], GOOD_LIST, False, r"Not reachable \(token\).*accounts.example.com"),
        (
            NEVER_LEFT["connection refused"],
            GOOD_LIST,
            False,
            r"Not reachable \(token\).*accounts.example.com",
        ),
        (GOOD_TOKEN, NEVER_LEFT["connection refused"], False, r"Not reachable \(service\).*api.example.com"),
        (GOOD_TOKEN, NO_REPLY["reset"], False, r"Not reachable \(service\).*api.example.com"),
        (GOOD_TOKEN, {"status_code": 404}, False, f"Service .*not found.*{SERVICE}"),
        (GOOD_TOKEN, {"status_code": 403}, False, "Service .*not allowed.*IP address"),
        (GOOD_TOKEN, {"status_code": 401}, False, "Service failed: HTTP 401"),
        (GOOD_TOKEN, {"json": {}}, False, "Service failed: The response to GET"),
        (
            GOOD_TOKEN,
            {"status_code": 302, "headers": {"Location": "/login"}},
            False,
            "Service failed.*redirected",
        ),
    ],
)
def test_message_names_the_step_that_failed(hook, http_stub, waits, token, service, good, text):
    http_stub.answer("POST", TOKEN_URL, token)
    http_stub.answer("GET", LIST, service)
    result, message = hook.test_connection()
    assert (result, message) == (good, message)
    assert re.match(text, message), message
    assert waits == [], "somebody waits for the result"


def test_connection_test_reads_one_campaign(hook, http_stub):
    http_stub.answer("GET", LIST, GOOD_LIST)
    assert hook.test_connection()[0]
    assert http_stub.sent() == [("GET", LIST + "?page_number=1&page_size=1")]


def test_cached_token_is_not_used(hook, http_stub):
    """A cached token may be days old, so it does not prove that the credentials are still valid."""
    http_stub.answer("GET", LIST, GOOD_LIST)
    list(hook.list_campaigns())
    http_stub.answer("POST", TOKEN_URL, WRONG)
    result, message = BMHook().test_connection()
    assert not result
    assert message.startswith("Token failed")


def test_failed_renewal_is_reported_as_token_not_service(hook, http_stub):
    http_stub.answer("POST", TOKEN_URL, GOOD_TOKEN, WRONG)
    http_stub.answer("GET", LIST, {"status_code": 401})
    assert hook.test_connection()[1].startswith("Token failed")


def test_connection_without_a_service(http_stub, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection().replace(SERVICE, ""))
    good, message = BMHook().test_connection()
    assert good
    assert "No Service UUID" in message
    assert http_stub.sent() == []


def test_message_mentions_draft_only(draft_hook, http_stub):
    http_stub.answer("GET", LIST, GOOD_LIST)
    good, message = draft_hook.test_connection()
    assert good
    assert "nothing can be sent" in message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        # Without the connection's name: it is a random one while Airflow tests a connection.
        ({"timeout": "x"}, "Connection failed: timeout: must be a number"),
        ({"verfy": True}, "Connection failed: Extra: unknown 'verfy'"),
    ],
)
def test_invalid_connection_is_reported(http_stub, monkeypatch, changes, text):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(**changes))
    good, message = BMHook().test_connection()
    assert not good
    assert re.match(text, message), message
    assert http_stub.mock.call_count == 0


def test_connection_test_of_airflow_itself(sandbox, monkeypatch):
    """As the Test button does, over real sockets."""
    from airflow.models import Connection

    known = Connection.get_connection_from_secrets("bm_default")
    assert known.test_connection() == (True, f"Token and service {sandbox.service_uuid} work.")
    sandbox.stop()
    good, message = known.test_connection()
    assert not good
    assert message.startswith("Not reachable (token)")
