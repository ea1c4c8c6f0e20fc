"""Tokens, services, routes, and the shape of errors."""

from __future__ import annotations

import json
import socket
import uuid

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox, SandboxClient

NOBODYS = "067673d6-003a-41ce-ad14-a14b94e2f3d3"


def test_token(api, sandbox):
    sandbox.token_lifetime = Sandbox().token_lifetime
    reply = api.token()
    assert reply.status_code == 200
    assert reply.json()["token_type"] == "Bearer"
    assert reply.json()["expires_in"] == 604800
    assert reply.json()["access_token"] != api.token().json()["access_token"]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody", "client_secret": ""}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
    ],
)
def test_invalid_token_requests(api, changes, status, error):
    reply = api.token(**changes)
    assert (reply.status_code, reply.json()["error"]) == (status, error)


def test_token_request_must_be_a_form_without_basic_authorization(api):
    body = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
    assert requests.post(api.sandbox.token_url, json=body).json()["error"] == "invalid_request"
    assert requests.get(api.sandbox.token_url).status_code == 405
    form = {"grant_type": "client_credentials"}
    reply = requests.post(api.sandbox.token_url, data=form, auth=("sandbox", "sandbox-secret"))
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
    assert "send client_id and client_secret in the form-encoded body" in reply.json()["error_description"]


def test_token_expires_by_the_clock(api, sandbox):
    sandbox.token_lifetime = 604800
    api.login()
    sandbox.clock.advance(604799)
    assert api.call("GET").status_code == 200
    sandbox.clock.advance(1)
    reply = api.call("GET")
    assert reply.status_code == 401
    assert reply.json()["code"] == "unauthorized"
    assert api.login().call("GET").status_code == 200


def test_tokens_revoked(api, sandbox):
    sandbox.revoke_tokens()
    assert api.call("GET").status_code == 401


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer never-issued", "Basic c2FuZGJveDpzYW5kYm94"])
def test_invalid_tokens(api, value):
    headers = {} if value is None else {"Authorization": value}
    assert requests.get(api.url, headers=headers).status_code == 401


@pytest.mark.parametrize("remote", [False, True])
def test_add_service_with_a_uuid(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    real = "9C8E2A14-C1AF-11EE-8073-BF4D6E8C1618"
    assert handle.add_service(real) == real.lower()
    for service, message in (
        (real, "service 9c8e2a14-.* exists already"),
        (sandbox.service_uuid, "service .* exists already"),
        ("mine", "service_uuid must be a UUID, not 'mine'"),
    ):
        with pytest.raises(ValueError, match=message):
            handle.add_service(service)
    assert sandbox.create(service_uuid=real)


def test_services_are_isolated(api, sandbox):
    other = sandbox.add_service()
    url = f"{sandbox.api_url}/services/{other}/campaigns"
    assert api.session.get(url).status_code == 403
    assert api.session.get(url.replace(other, str(uuid.uuid4()))).status_code == 404
    sandbox.add_client("second", "second-secret", [other])
    created = api.post(status="draft").json()["uuid"]
    api.login(client_id="second", client_secret="second-secret")
    assert api.call("GET").status_code == 403
    assert api.session.get(url).json()["data"] == []
    assert api.session.get(f"{url}/{created}").status_code == 404
    clone = api.session.post(url, json={"clone_uuid": created})
    assert list(api.problems(clone)) == ["clone_uuid"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "", 405),
        ("DELETE", "", 405),
        ("OPTIONS", "", 405),
        ("BREW", "", 405),
        ("POST", f"/{NOBODYS}", 405),
        ("GET", f"/{NOBODYS}", 404),
        ("GET", "/not-a-uuid", 404),
        ("GET", "/", 404),
        ("DELETE", f"/{NOBODYS}", 404),
        ("GET", "/../other", 404),
        ("GET", "x", 404),
    ],
)
def test_routes(api, method, path, status):
    reply = api.call(method, path)
    assert reply.status_code == status
    assert set(reply.json()) >= {"code", "message"}
    assert (reply.headers.get("Allow") is not None) == (status == 405)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "text/plain"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"status": "stopped", "status": "active"}', "application/json"),
        (b'{"status": NaN}', "application/json"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_body_must_be_a_json_object(api, sandbox, method, body, content_type):
    path = "" if method == "POST" else "/" + sandbox.create()["uuid"]
    reply = api.call(method, path, data=body, headers={"Content-Type": content_type})
    assert reply.status_code == 400
    assert reply.json()["code"] == "bad_request"
    assert len(sandbox.campaigns()) == (method != "POST")


def test_invalid_http_gets_an_error_body(api):
    reply = api.call("POST", data=iter([b"{}"]))  # chunked
    assert reply.status_code == 411
    assert reply.json()["code"] == "length_required"
    reply = api.call("POST", headers={"Content-Length": "nonsense"})
    assert reply.status_code == 400
    assert reply.json()["message"]


@pytest.mark.off_contract("the sandbox is made to fail")
def test_internal_error_gets_an_error_body(api, sandbox, monkeypatch, caplog):
    monkeypatch.setattr(sandbox.store, "run_due", lambda: 1 / 0)
    reply = api.call("GET")
    assert reply.status_code == 500
    assert reply.json()["code"] == "internal_error"
    assert "Traceback" not in reply.text
    assert "ZeroDivisionError" in caplog.text


def test_rate_limit(api, sandbox):
    sandbox.rate_limit(per_second=0.001, retry_after="3")
    assert api.call("GET").status_code == 200
    reply = api.call("GET")
    assert reply.status_code == 429
    assert reply.headers["Retry-After"] == "3"
    assert reply.json()["code"] == "too_many_requests"
    assert api.token().status_code == 200
    sandbox.rate_limit(None)
    assert api.login().call("GET").status_code == 200
    for wrong in (
        {"per_second": float("nan")},
        {"per_second": "1"},
        {"per_second": 1, "retry_after": "1\r\n"},
    ):
        with pytest.raises(ValueError, match=r"per_second must be|retry_after must be"):
            sandbox.rate_limit(**wrong)


def test_repeated_slashes_are_not_collapsed(api, sandbox):
    path = api.url.removeprefix(sandbox.url)
    for url in (f"{sandbox.url}/{path}", f"{sandbox.url}/{path}?page_size=1"):
        assert api.session.get(url).status_code == 404


def test_truncated_body_is_not_applied(api, sandbox):
    body = json.dumps(api.payload()).encode()
    head = (
        f"POST {api.url.removeprefix(sandbox.url)} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {api.session.headers['Authorization']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) + 1}\r\n\r\n"
    )
    with socket.create_connection((sandbox.host, sandbox.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert sandbox.campaigns() == []
