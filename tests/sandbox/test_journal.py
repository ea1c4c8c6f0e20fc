"""The journal records requests and messages, without secrets."""

from __future__ import annotations

import http.client
import json

import pytest
import requests

from airflow_provider_bm.sandbox import SandboxClient
from airflow_provider_bm.sandbox.journal import Entry, Journal


def test_journal(api, sandbox):
    api.post(status="draft")
    api.call("GET", "?in(status)=draft&sort=name", headers={"X-Trace": "1"})
    requests.get(api.url)
    token, post, get, other = sandbox.requests()
    assert (token["method"], token["path"], token["status"]) == ("POST", "/oauth2/access-token", 200)
    assert token["body"] == {
        "grant_type": "client_credentials",
        "client_id": "sandbox",
        "client_secret": "***",
    }
    assert (post["status"], post["body"]) == (201, api.payload(status="draft"))
    assert get["query"] == {"in(status)": "draft", "sort": "name"}
    assert (get["body"], get["status"], get["headers"]["X-Trace"]) == (None, 200, "1")
    assert get["headers"]["Authorization"] == "***"
    assert get["dt"] == "2026-03-02T12:00:00.000+00:00"
    assert other["status"] == 401
    assert token["connection"] == post["connection"] == get["connection"] != other["connection"]
    assert sandbox.requests(method="get") == [get, other]
    assert sandbox.requests(path="oauth2") == [token]


def test_error_messages_are_recorded(api, sandbox):
    api.post(colour="blue", name=1)
    api.token(client_secret="wrong")
    sandbox.fault(status=503, body="down")
    api.call("GET")
    assert sandbox.requests()[0]["error"] is None
    errors = [entry["error"] for entry in sandbox.requests()[1:]]
    assert errors == [
        "name: must be a string (It is a number.); colour: unknown field",
        "The client_id or client_secret is wrong.",
        None,
    ]


@pytest.mark.parametrize("remote", [False, True])
def test_search_requests(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    api.call("GET", "/nothing")
    sandbox.clock.advance(60)
    sandbox.fault("GET", drop=True, nth=2, times=9)
    api.call("GET")
    with pytest.raises(requests.ConnectionError):
        api.call("GET")
    later = "2026-03-02T12:01:00Z"

    def found(**wanted):
        return [(request["method"], request["status"]) for request in handle.requests(**wanted)]

    assert found(status=404) == [("GET", 404)]
    assert found(status=200) == [("POST", 200), ("GET", 200)]
    assert set(found(status="none")) == {("GET", None)}
    assert found(method="get", since=later, status=200) == [("GET", 200)]
    assert found(until=sandbox.clock.now()) == [("POST", 200), ("GET", 404)]
    assert found(path="oauth2", since=later) == []
    for wrong in ({"since": "soon"}, {"status": "good"}):
        with pytest.raises(ValueError, match=r"soon|good"):
            handle.requests(**wrong)


@pytest.mark.parametrize("remote", [False, True])
def test_search_messages(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    api.post(template="first {first_name}")
    sandbox.clock.advance(10)
    api.post(sending_type="whatsapp", template='{"text": "second"}')
    sandbox.clock.advance(10)
    to = sandbox.messages()[0]["to"]
    assert [message["channel"] for message in handle.messages(to=to)] == ["sms", "whatsapp"]
    assert [message["channel"] for message in handle.messages(to=to, text="first")] == ["sms"]
    assert next(message["to"] for message in handle.messages(channel="whatsapp", text="sec")) == to
    assert len(handle.messages(since="2026-03-02T12:00:05Z", until="2026-03-02T12:00:15Z")) == 40
    assert handle.messages(channel="email") == handle.messages(text="third") == []


def test_journal_and_log_show_no_secrets(api, sandbox, caplog):
    caplog.set_level("DEBUG")
    token = api.session.headers["Authorization"].split()[1]
    secret = "s3cr3t-of-mine"
    api.token(client_secret=secret)
    deep = [{"access_token": token, "client_secret": secret}]
    body = json.dumps({"client_secret": secret, "token": token, "deep": deep})
    json_type = {"Content-Type": "application/json"}
    for sent in (body, body[:-3], f"client_secret={secret}&grant_type=x"):
        requests.post(sandbox.token_url, data=sent, headers=json_type)
        api.call("POST", data=sent, headers=json_type)
    # Without the library requests, which would log the URL itself.
    bare = http.client.HTTPConnection("127.0.0.1", sandbox.port)
    path = api.url.removeprefix(sandbox.url)
    bare.request("GET", f"{path}?access_token={token}&client_secret={secret}")
    assert bare.getresponse().status == 401
    bare.close()
    logged = [
        record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_bm")
    ]
    assert len(logged) == 8
    kept = json.dumps(sandbox.requests()) + "".join(logged)
    assert len(sandbox.requests()) == 9
    assert secret not in kept
    assert token not in kept
    assert "sandbox-secret" not in kept


def test_journal_drops_the_oldest_requests():
    journal = Journal(limit=2)
    for path in ("/first", "/second", "/third"):
        entry = Entry("GET", path, query={}, body=None, headers={}, dt="2026-01-01T00:00:00Z", connection=1)
        journal.add(entry)
    assert [request["path"] for request in journal.list()] == ["/second", "/third"]
