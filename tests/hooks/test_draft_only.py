"""A `draft_only` connection can send nothing: neither methods of the hook nor its session."""

from __future__ import annotations

import functools
import json
import logging
import threading

import pytest
import requests

from airflow_provider_bm.exceptions import BMDraftOnlyError
from airflow_provider_bm.hooks import BMHook
from tests.hooks.http_stub import (
    API,
    GIVEN,
    LIST,
    ONE,
    OTHER,
    TOKEN_URL,
    UUID,
    campaign,
    connection,
    page,
    writable,
)

DRAFT = campaign(status="draft")
WRITES = {
    "create": (lambda hook: hook.create_campaign(GIVEN), "POST", LIST),
    "create active": (lambda hook: hook.create_campaign(GIVEN | {"status": "active"}), "POST", LIST),
    "clone": (lambda hook: hook.clone_campaign(OTHER, name="Storm"), "POST", LIST),
    "clone of no name": (lambda hook: hook.clone_campaign(OTHER), "POST", LIST),
    "clone active": (lambda hook: hook.clone_campaign(OTHER, status="active"), "POST", LIST),
    "clone as it is": (lambda hook: hook.clone_campaign(OTHER, status=None), "POST", LIST),
    "update": (lambda hook: hook.update_campaign(UUID, {"name": "Gale"}), "PUT", ONE),
    "update to active": (lambda hook: hook.update_campaign(UUID, {"status": "active"}), "PUT", ONE),
    "replace": (lambda hook: hook.update_campaign(UUID, writable(), replace=True), "PUT", ONE),
}


@pytest.mark.parametrize("before", ["draft", "active", "stopped", "finished"])
@pytest.mark.parametrize("name", WRITES)
def test_writes_become_drafts(draft_hook, http_stub, caplog, name, before):
    call, method, url = WRITES[name]
    http_stub.answer("GET", ONE, {"json": campaign(status=before)})
    http_stub.answer(method, url, {"json": DRAFT})
    with caplog.at_level(logging.WARNING, "airflow_provider_bm"):
        assert call(draft_hook) == DRAFT
    assert http_stub.body()["status"] == "draft"
    assert len(http_stub.sent(method)) == 1
    # Ignore other loggers, and threads of earlier tests.
    records = [each for each in caplog.records if each.thread == threading.get_ident()]
    (record,) = (each for each in records if each.name.startswith("airflow_provider_bm"))
    assert "draft_only" in record.getMessage()
    named = {"PUT": UUID, "POST": "Storm"}[method] if name != "clone of no name" else "without a name"
    assert named in record.getMessage() or "clone" in name


def test_drafts_are_not_logged_as_changed(draft_hook, http_stub, caplog):
    http_stub.answer("POST", LIST, {"json": DRAFT})
    with caplog.at_level(logging.WARNING, "airflow_provider_bm"):
        draft_hook.create_campaign(GIVEN | {"status": "draft"})
    assert caplog.records == []


def test_activating_is_refused_before_any_request_and_logged(draft_hook, http_stub, caplog):
    with pytest.raises(BMDraftOnlyError, match=f"draft_only.*{UUID} was not activated") as caught:
        draft_hook.set_campaign_status(UUID, "active")
    assert caught.value.permanent
    assert http_stub.mock.call_count == 0
    (record,) = (entry for entry in caplog.records if entry.levelno == logging.WARNING)
    assert record.getMessage() == str(caught.value)


def test_calls_that_cannot_send_work(draft_hook, http_stub):
    http_stub.answer("GET", ONE, {"json": campaign()})
    http_stub.answer("GET", LIST, {"json": page()})
    http_stub.answer("PATCH", ONE, {"json": campaign(status="stopped")})
    http_stub.answer("DELETE", ONE, {"status_code": 204})
    draft_hook.get_campaign(UUID)
    list(draft_hook.list_campaigns())
    draft_hook.set_campaign_status(UUID, "stopped")
    draft_hook.delete_campaign(UUID)
    assert http_stub.sent("PATCH") == [("PATCH", ONE)]


def twice(first: str, second: str) -> str:
    return f'{{"status": "{first}", "status": "{second}"}}'


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "post", "put", "patch"])
@pytest.mark.parametrize(
    "body",
    [
        {}, {"json": {}}, {"json": {"status": "active"}}, {"json": {"status": "finished"}}, {"json": [1]},
        {"json": {"status": ["draft"]}}, {"json": {"Status": "draft"}}, {"data": {"status": "draft"}},
        {"data": b"\xff"}, {"data": iter([b'{"status": "draft"}'])}, {"data": "draft"}, {"json": "draft"},
        {"data": twice("active", "draft")}, {"data": twice("active", "stopped")},
        {"data": twice("draft", "active")}, {"data": "[" * 100_000},
    ],
)  # fmt: skip
def test_session_refuses_requests_that_can_send(draft_hook, http_stub, method, body):
    with pytest.raises(BMDraftOnlyError, match=f"{method.upper()} .* was not sent"):
        draft_hook.get_conn().request(method, ONE, **body)
    assert http_stub.requests == []


_BARE = pytest.mark.off_contract("nothing but the status counts here")


@pytest.mark.parametrize(
    ("method", "status"),
    [
        pytest.param("POST", "draft", marks=_BARE),
        pytest.param("PUT", "draft", marks=_BARE),
        ("PATCH", "stopped"),
    ],
)
def test_session_allows_what_cannot_send(draft_hook, http_stub, method, status):
    http_stub.answer(method, ONE, {"json": {}})
    assert draft_hook.get_conn().request(method, ONE, json={"status": status}).ok


@pytest.mark.parametrize(("method", "status"), [("PUT", "stopped"), ("PATCH", "draft")])
def test_no_other_extras_have_a_field(draft_hook, http_stub, method, status):
    with pytest.raises(BMDraftOnlyError):
        draft_hook.get_conn().request(method, ONE, json={"status": status})


def test_session_refuses_prepared_requests_that_can_send(draft_hook, http_stub):
    session = draft_hook.get_conn()
    request = session.prepare_request(requests.Request("POST", LIST, json={"status": "draft"}))
    request.body = json.dumps({"status": "active"}).encode()
    request.method = "post"
    with pytest.raises(BMDraftOnlyError):
        session.send(request)
    assert http_stub.requests == []


@pytest.mark.parametrize(
    "urls",
    [
        {"api_url": API, "token_url": "https://api.example.com/oauth2/access-token"},
        {"api_url": API, "token_url": API + "/token"},
        {"api_url": API, "token_url": "https://API.Example.com/oauth2/token?".rstrip("?")},
        {"api_url": API, "token_url": "https://accounts.example.com"},
        {"api_url": API, "token_url": "HTTPS://accounts.example.com/access token".replace(" ", "%20")},
    ],
)
def test_token_request_is_allowed_for_any_token_url(http_stub, monkeypatch, urls):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(draft_only=True, **urls))
    http_stub.answer("POST", urls["token_url"], {"json": {"access_token": "bm-token-of-elsewhere"}})
    http_stub.answer("GET", LIST, {"json": page()})
    assert list(BMHook().list_campaigns()) == []


def test_domain_in_capitals_is_still_restricted(http_stub, monkeypatch):
    changed = connection(draft_only=True).replace('"example.com"', '"Example.COM"')
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", changed)
    http_stub.answer("GET", LIST, {"json": page()})
    assert list(BMHook().list_campaigns()) == []
    assert http_stub.requests[0].headers["Authorization"] == "Bearer bm-token-number-1"


def test_token_url_does_not_bypass_draft_only(http_stub, monkeypatch):
    """Only the path of the token endpoint is exempt: not its host, and never a path of campaigns."""
    urls = {"api_url": API, "token_url": "https://api.example.com/oauth2/access-token"}
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(draft_only=True, **urls))
    http_stub.answer("POST", urls["token_url"], {"json": {"access_token": "bm-token-of-elsewhere"}})
    post = functools.partial(BMHook().get_conn().post, json={"status": "active"})
    for url in (LIST, urls["token_url"] + "/../../news/v1", LIST.upper().replace("HTTPS", "https")):
        with pytest.raises(BMDraftOnlyError):
            post(url)
    assert TOKEN_URL not in [request.url for request in http_stub.mock.request_history]
