"""Tokens: one for each process and set of credentials, renewed once and in time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.assumptions import TOKEN_LIFETIME
from airflow_provider_bm.client.auth import Token, TokenCache, forget_tokens
from airflow_provider_bm.client.responses import Response, token_of
from airflow_provider_bm.exceptions import (
    BMAuthError,
    BMForbiddenError,
    BMResponseError,
    BMServerError,
)
from tests.client.conftest import settings_for

TOKEN_PATH = "access-token"
WRONG = "not-the-right-secret"
WEEK = 604800


class Endpoint:
    """A token endpoint with a clock, whose tokens expire."""

    def __init__(self, lifetime: float = WEEK) -> None:
        self.now, self.issued, self.lifetime, self.takes = 0.0, 0, lifetime, 0.0
        self.cache = TokenCache(lambda: self.now)

    def fetch(self) -> Token:
        self.issued += 1
        self.now += self.takes
        return Token(f"token-{self.issued}", self.lifetime)

    def get(self, rejected: str | None = None) -> str:
        return self.cache.get(self.fetch, rejected=rejected)


@pytest.mark.parametrize(
    ("lifetime", "good_until"),
    [(WEEK, WEEK - 300), (3600, 3300), (100, 90), (1, 0.9), (float("inf"), 10**12)],
)
def test_token_is_renewed_before_it_expires(lifetime, good_until):
    endpoint = Endpoint(lifetime)
    assert endpoint.get() == "token-1"
    endpoint.now = good_until - 0.01
    assert endpoint.get() == "token-1"
    endpoint.now = good_until
    assert endpoint.get() == ("token-2" if lifetime < float("inf") else "token-1")


def test_token_lifetime_counts_from_the_request():
    endpoint = Endpoint(100)
    endpoint.takes = 60
    endpoint.get()
    endpoint.now = 91
    assert endpoint.get() == "token-2"


def test_a_refused_token_is_renewed_once():
    endpoint = Endpoint()
    endpoint.get()
    assert [endpoint.get("token-1"), endpoint.get("token-1"), endpoint.get()] == ["token-2"] * 3
    assert endpoint.cache.known() == ["token-2", "token-1"]


def test_failure_is_not_cached():
    endpoint, failures = Endpoint(), [BMServerError(status=503, call="POST x")]

    def fetch() -> Token:
        if failures:
            raise failures.pop()
        return endpoint.fetch()

    with pytest.raises(BMServerError):
        endpoint.cache.get(fetch)
    assert endpoint.cache.get(fetch) == "token-1"


def reply(content: str, status: int = 200) -> Response:
    return Response(
        "POST https://accounts.example.com/token", "accounts.example.com", status, {}, content.encode()
    )


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [
        ('{"access_token": "abc.DEF_-~+/=", "token_type": "Bearer", "expires_in": 604800}', WEEK),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": "3000"}', 3000),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": 0.5}', 0.5),
        ('{"access_token": "abc.DEF_-~+/="}', TOKEN_LIFETIME),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": null}', TOKEN_LIFETIME),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": 0}', TOKEN_LIFETIME),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": -5}', TOKEN_LIFETIME),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": "soon"}', TOKEN_LIFETIME),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": NaN}', TOKEN_LIFETIME),
        ('{"access_token": "abc.DEF_-~+/=", "expires_in": []}', TOKEN_LIFETIME),
    ],
)
def test_token_responses_that_are_accepted(body, lifetime):
    assert token_of(reply(body)) == Token("abc.DEF_-~+/=", lifetime)


SHOWN = "a-token-to-be-hidden"


@pytest.mark.parametrize(
    "body",
    [
        "", "<html>", "[]", "null", "{}",
        '{"access_token": ""}', '{"access_token": null}', '{"access_token": 7}',
        f'{{"access_token": "{SHOWN}', f"access_token={SHOWN}&expires_in=7", f'"{SHOWN}"', f'["{SHOWN}"]',
        f'{{"access_token": "{SHOWN}\\r\\nX-Evil: 1"}}', f'{{"access_token": "{SHOWN} {SHOWN}"}}',
        f'{{"access_token": "{SHOWN}\\u0000"}}', f'{{"access_token": "{SHOWN}\\u00e9"}}',
        f'{{"token": "{SHOWN}"}}', f'{{"access_token": ["{SHOWN}"]}}',
    ],
)  # fmt: skip
def test_a_reply_without_a_usable_token_is_not_shown(body, leak_guard):
    leak_guard.register(SHOWN)
    with pytest.raises(BMResponseError) as caught:
        token_of(reply(body))
    assert SHOWN not in str(caught.value)
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (401, '{"error": "invalid_client", "error_description": "Who?"}', BMAuthError, "invalid_client.*Who"),
        (400, '{"error": "invalid_grant"}', BMAuthError, "invalid_grant.*check Client ID and Client secret"),
        (401, "", BMAuthError, "HTTP 401"),
        (403, "", BMForbiddenError, "IP address"),
        (503, "<html>busy</html>", BMServerError, "busy"),
        (302, "", BMResponseError, "redirected"),
    ],
)
def test_refused_credentials(status, body, kind, text):
    with pytest.raises(kind, match=text):
        token_of(reply(body, status))


def test_twenty_calls_share_one_token_and_one_connection(sandbox, client, payload):
    created = client.create_campaign(payload | {"status": "draft"})
    for _ in range(19):
        client.get_campaign(created["uuid"])
    requests = sandbox.requests()
    assert [request["path"].endswith(TOKEN_PATH) for request in requests] == [True] + [False] * 20
    assert len({request["connection"] for request in requests}) == 1


def in_threads(count, call):
    """Run calls in threads that start at the same moment."""
    barrier = threading.Barrier(count)

    def one(index):
        barrier.wait(10)
        return call(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("shared", [True, False])
def test_twenty_threads_share_one_token(sandbox, new_client, shared):
    sandbox.fault("POST", TOKEN_PATH, delay=0.2)
    clients = [new_client()] * 20 if shared else [new_client() for _ in range(20)]
    assert in_threads(20, lambda index: list(clients[index].list_campaigns())) == [[]] * 20
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 1


def test_twenty_threads_renew_a_revoked_token_once(sandbox, client):
    list(client.list_campaigns())
    sandbox.revoke_tokens()
    sandbox.fault("POST", TOKEN_PATH, delay=0.2)
    assert in_threads(20, lambda _: list(client.list_campaigns())) == [[]] * 20
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 2


def test_twenty_threads_share_a_refusal(sandbox, new_client):
    """Twenty tries with a wrong secret could lock the account."""
    client = new_client(client_secret=WRONG)
    sandbox.fault("POST", TOKEN_PATH, delay=0.3)

    def refused(_):
        with pytest.raises(BMAuthError) as caught:
            list(client.list_campaigns())
        return caught.value

    errors = in_threads(20, refused)
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 1
    assert len({id(error) for error in errors}) == 20
    assert {(error.status, error.code, error.of_token) for error in errors} == {(401, "invalid_client", True)}
    with pytest.raises(BMAuthError):
        list(client.list_campaigns())
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 2


def test_credentials_do_not_share_a_token(sandbox, new_client):
    sandbox.add_client("other", "the-secret-of-another", [sandbox.service_uuid])
    for changes in ({}, {"client_id": "other", "client_secret": "the-secret-of-another"}, {}):
        list(new_client(**changes).list_campaigns())
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 2
    wrong = new_client(client_secret=WRONG)
    with pytest.raises(BMAuthError):
        list(wrong.list_campaigns())


def test_an_expired_token_is_renewed_without_a_401(sandbox, new_client):
    sandbox.clock.freeze()  # only the client's clock runs
    sandbox.token_lifetime = 1
    client = new_client()
    list(client.list_campaigns())
    time.sleep(1)
    list(client.list_campaigns())
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 2
    assert all(request["status"] == 200 for request in sandbox.requests())


def test_a_client_made_before_a_fork_has_the_new_caches(sandbox):
    """The old lock may have been acquired by a thread that does not exist in the child process."""
    client = BMClient(settings_for(sandbox), sleep=lambda _: None)
    client.refresh_token()
    forget_tokens()
    list(client.list_campaigns())
    assert len(sandbox.requests("POST", TOKEN_PATH)) == 2
    client.close()
