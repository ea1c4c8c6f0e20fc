"""`get_conn()`: authorization, timeouts, proxies and certificates of the session."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_bm.exceptions import BMAuthError
from airflow_provider_bm.hooks import BMHook
from tests.hooks.http_stub import API, LIST, ONE, TOKEN_URL, campaign, connection, page

PROXY_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def sent_by(monkeypatch, http_stub, **extra):
    """The requests of one call as they would be sent: the token request and the call itself."""
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(**extra))
    http_stub.answer("GET", LIST, {"json": page()})
    list(BMHook().list_campaigns())
    return http_stub.mock.request_history[-2:]


def test_session_adds_the_token(hook, http_stub):
    http_stub.answer("GET", LIST, {"json": page()})
    assert hook.get_conn().get(LIST).json() == page()
    (request,) = http_stub.requests
    assert request.headers["Authorization"] == "Bearer bm-token-number-1"
    assert request.headers["User-Agent"].startswith("airflow-provider-bm/")
    assert request.timeout == (10.0, 30.0)


@pytest.mark.off_contract("any POST will do")
def test_session_renews_a_refused_token_once(hook, http_stub):
    http_stub.answer("POST", ONE, {"status_code": 401}, {"status_code": 200})
    assert hook.get_conn().post(ONE, json={"a": 1}).ok
    assert [request.json() for request in http_stub.requests] == [{"a": 1}] * 2
    http_stub.answer("POST", ONE, {"status_code": 401})
    assert hook.get_conn().post(ONE, json={"a": 1}).status_code == 401
    assert len(http_stub.requests) == 4


def test_session_raises_bm_auth_error_for_wrong_credentials(hook, http_stub):
    http_stub.answer("POST", TOKEN_URL, {"status_code": 401, "json": {"error": "invalid_client"}})
    with pytest.raises(BMAuthError, match="invalid_client"):
        hook.get_conn().get(LIST)


@pytest.mark.parametrize("url", [
    "https://other.example.com/news/v1", "https://api.example.com.evil.example.net/", "http://api.example.com/",
    "https://api.example.com:8443/news/v1", "https://example.com/", "https://accounts.example.com/me",
])  # fmt: skip
def test_token_is_not_sent_to_other_origins(hook, http_stub, url):
    http_stub.answer("GET", url, {"status_code": 401})
    assert hook.get_conn().get(url).status_code == 401
    assert "Authorization" not in http_stub.requests[0].headers
    assert http_stub.mock.call_count == 1


@pytest.mark.parametrize("url", [API, "https://api.example.com:443/x", "https://API.example.com/x"])
def test_token_is_sent_to_the_api(hook, http_stub, url):
    http_stub.answer("GET", url, {})
    hook.get_conn().get(url)
    assert http_stub.requests[0].headers["Authorization"] == "Bearer bm-token-number-1"


def test_redirects_are_not_followed_even_if_asked_for(hook, http_stub):
    http_stub.answer("GET", LIST, {"status_code": 302, "headers": {"Location": "https://other.example.net/"}})
    assert hook.get_conn().get(LIST, allow_redirects=True).status_code == 302
    assert len(http_stub.requests) == 1


@pytest.mark.parametrize(
    ("timeout", "expected"), [(30, (10.0, 30.0)), (5, (5.0, 5.0)), ("2.5", (2.5, 2.5)), (600, (10.0, 600.0))]
)
def test_each_request_has_timeouts(http_stub, monkeypatch, timeout, expected):
    assert [request.timeout for request in sent_by(monkeypatch, http_stub, timeout=timeout)] == [expected] * 2


def test_caller_may_override_the_timeout(hook, http_stub):
    http_stub.answer("GET", LIST, {})
    hook.get_conn().get(LIST, timeout=99)
    assert http_stub.requests[0].timeout == 99


CONN, ENV = "http://conn.example.com:3128", "http://env.example.com:3128"


@pytest.mark.parametrize(
    ("extra", "environment", "used"),
    [
        ({}, {}, None),
        ({"https": CONN}, {}, CONN),
        ({"http": CONN}, {}, None),
        ({"all": CONN}, {}, CONN),
        ({"https://api.example.com": CONN, "https://accounts.example.com": CONN}, {}, CONN),
        ({}, {"HTTPS_PROXY": ENV}, ENV),
        ({}, {"ALL_PROXY": ENV}, ENV),
        ({}, {"HTTPS_PROXY": ENV, "NO_PROXY": "example.com"}, None),
        ({"https": CONN}, {"HTTPS_PROXY": ENV}, CONN),
        ({"all": CONN}, {"HTTPS_PROXY": ENV}, CONN),
        ({"all": CONN}, {"ALL_PROXY": ENV}, CONN),
        ({"https": CONN}, {"HTTPS_PROXY": ENV, "NO_PROXY": "example.com"}, CONN),
        ({"https": ""}, {"HTTPS_PROXY": ENV}, None),
        ({"http": CONN}, {"HTTPS_PROXY": ENV}, ENV),
    ],
)
def test_the_connections_proxy_wins_over_the_environments(http_stub, monkeypatch, extra, environment, used):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for request in sent_by(monkeypatch, http_stub, proxies=extra):
        assert (requests.utils.select_proxy(request.url, request.proxies) or None) == used


def test_proxies_and_ca_bundle_apply_to_prepared_requests(http_stub, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", ENV)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/env.pem")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(proxies={"all": CONN}, verify="/conn.pem"))
    http_stub.answer("GET", LIST, {})
    session = BMHook().get_conn()
    session.send(session.prepare_request(requests.Request("GET", LIST)))
    (request,) = http_stub.requests
    assert requests.utils.select_proxy(LIST, request.proxies) == CONN
    assert request.verify == "/conn.pem"


@pytest.mark.parametrize(
    ("verify", "environment", "used"),
    [
        (None, {}, True),
        (True, {}, True),
        (True, {"REQUESTS_CA_BUNDLE": "/env.pem"}, "/env.pem"),
        (None, {"CURL_CA_BUNDLE": "/env.pem"}, "/env.pem"),
        ("/conn.pem", {}, "/conn.pem"),
        ("/conn.pem", {"REQUESTS_CA_BUNDLE": "/env.pem"}, "/conn.pem"),
    ],
)
def test_the_connections_ca_bundle_wins_over_the_environments(
    http_stub, monkeypatch, verify, environment, used
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert [request.verify for request in sent_by(monkeypatch, http_stub, verify=verify)] == [used] * 2


def test_netrc_is_never_used(http_stub, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password netrc-password-1\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(LIST) == ("somebody", "netrc-password-1")
    token, call = sent_by(monkeypatch, http_stub)
    assert "Authorization" not in token.headers
    assert call.headers["Authorization"] == "Bearer bm-token-number-1"
    http_stub.answer("GET", "https://other.example.com/", {})
    BMHook().get_conn().get("https://other.example.com/")
    assert "Authorization" not in http_stub.requests[-1].headers


def test_adapter_has_no_retries(hook):
    for scheme in ("https://", "http://"):
        retries = hook.get_conn().get_adapter(scheme).max_retries
        assert (retries.total, retries.read) == (0, False)


def test_twenty_calls_of_several_hooks_make_one_token_request(hook, http_stub):
    http_stub.answer("GET", ONE, {"json": campaign()})
    for each in [hook, BMHook(), BMHook(service_uuid=None)] * 7:
        each.get_campaign(campaign()["uuid"])
    assert (len(http_stub.token_requests), len(http_stub.requests)) == (1, 21)
