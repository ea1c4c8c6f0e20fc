"""The control API under /_sandbox, and the remote client."""

from __future__ import annotations

import inspect
import json
import re
import threading
from datetime import datetime, timedelta

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox, SandboxClient


def test_settings_do_not_change_earlier_executions(api, sandbox):
    sandbox.create(status="active", schedule_type="once", schedule_rrule="2026-03-02 12:00:10")
    sandbox.clock.advance(15)
    # The execution has begun, although it was not read yet.
    sandbox.execution_seconds = 100
    sandbox.clock.advance(5)
    assert sandbox.campaigns()[0]["status"] == "finished"


def test_remote_client(api, sandbox):
    remote = SandboxClient(sandbox.url)
    assert remote.health()["service_uuid"] == sandbox.service_uuid
    assert remote.connection(draft_only=True) == sandbox.connection(draft_only=True)
    created = remote.create(
        name="Remote", status="active", schedule_type="scheduled", schedule_rrule="FREQ=DAILY"
    )
    assert remote.clock.advance(timedelta(seconds=5)) == sandbox.clock.now() == remote.clock.now()
    assert remote.campaigns(name="Remote") == sandbox.campaigns(name="Remote") != []
    assert remote.campaigns(name="Other") == sandbox.campaigns(name="Other") == []
    assert remote.messages(created["uuid"]) == sandbox.messages(created["uuid"]) != []
    assert remote.messages(to="nobody") == []
    assert remote.executions() == sandbox.executions() != []
    remote.fault("GET", "campaigns", status=503, times=None)
    assert api.call("GET").status_code == 503
    assert remote.faults() == sandbox.faults() != []
    remote.clear_faults()
    assert api.call("GET").status_code == 200
    assert remote.requests("GET") == sandbox.requests("GET") != []
    assert "_sandbox" not in json.dumps(sandbox.requests())
    remote.rate_limit(0, retry_after=5)
    assert api.call("GET").headers["Retry-After"] == "5"
    remote.rate_limit(None)
    remote.revoke_tokens()
    assert api.call("GET").status_code == 401
    service = remote.add_service()
    remote.add_client("two", "two-secret", [service])
    assert api.token(client_id="two", client_secret="two-secret").status_code == 200
    mine = remote.add_recipient_list("mine", [{"mobile": "+41790000001"}])
    assert remote.recipient_lists == sandbox.recipient_lists != {}
    assert mine in remote.recipient_lists.values()
    remote.ignore_filters = True
    remote.execution_seconds = 3
    remote.token_lifetime = 60
    assert (sandbox.ignore_filters, sandbox.execution_seconds, sandbox.token_lifetime) == (True, 3, 60)
    assert (remote.ignore_filters, remote.execution_seconds, remote.token_lifetime) == (True, 3, 60)
    assert remote.clock.frozen
    remote.clock.resume()
    remote.clock.speed = 50
    assert sandbox.clock.speed == remote.clock.speed == 50
    remote.clock.set(remote.clock.freeze() + timedelta(days=1))
    remote.reset()
    assert remote.campaigns() == remote.messages() == remote.requests() == []
    assert (sandbox.clock.speed, sandbox.clock.frozen, sandbox.execution_seconds) == (1, False, 10)


def test_every_operation_is_remote_too():
    own = {"start", "stop", "record", "configure", "loopback", "refuse_connections"}
    for name in {name for name in dir(Sandbox) if not name.startswith("_")} - own:
        here, there = getattr(Sandbox, name), getattr(SandboxClient, name)
        if callable(here):
            assert inspect.signature(here) == inspect.signature(there), name


@pytest.mark.parametrize("remote", [False, True])
def test_local_and_remote_operations_agree(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    sandbox.create(name="A", status="finished", last_dt="2026-01-01T00:00:00Z")
    sandbox.create(name="B", query_type="all")
    assert [campaign["name"] for campaign in handle.campaigns(last_dt=None)] == ["B"]
    assert [campaign["name"] for campaign in handle.campaigns(query_type=None)] == ["A"]
    assert "tasks" in handle.campaigns(fields=["tasks", "messages"], name="A")[0]
    assert handle.fault("GET", "campaigns", 2, 3, status=503)["nth"] == 2
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for wrong in (
        lambda: handle.campaigns(nmae="A"),
        lambda: handle.campaigns(service_uuid="x"),
        lambda: handle.messages(since=naive),
        lambda: handle.requests(until=naive),
        lambda: handle.create(created_dt=naive),
        lambda: handle.clock.set(naive),
        lambda: handle.create(clone_uuid="x"),
        lambda: handle.add_recipient_list("mine", [5]),
    ):
        with pytest.raises(
            ValueError, match=r"no field 'nmae'|no service x|no time zone|clone_uuid|contact 1"
        ):
            wrong()


@pytest.mark.parametrize("remote", [False, True])
def test_impossible_searches_are_errors(sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    for wanted, message in (
        ({"status": "drafft"}, "status must be one of .*, not 'drafft'; did you mean 'draft'"),
        ({"sending_type": "SMS"}, "sending_type must be one of sms, .*, not 'SMS'; did you mean 'sms'"),
        ({"schedule_type": "daily"}, "schedule_type must be one of now, once, scheduled, not 'daily'"),
        ({"query_type": "none"}, "query_type must be one of all, segmentation, not 'none'"),
        ({"name": 5}, "name must be a string, not 5"),
    ):
        with pytest.raises(ValueError, match=message):
            handle.campaigns(**wanted)
    with pytest.raises(ValueError, match=r"channel must be one of sms, .*, not 'SMS'; did you mean 'sms'"):
        handle.messages(channel="SMS")
    if not remote:  # in a query everything is a string
        for name in ("campaign_uuid", "to", "channel", "text"):
            with pytest.raises(ValueError, match=f"{name} must be a string, not 5"):
                handle.messages(**{name: 5})


@pytest.mark.parametrize("remote", [False, True])
def test_wrong_argument_types_are_errors(sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    for given in (sandbox.service_uuid, None):
        message = re.escape(f"service_uuids must be a list of UUIDs, not {given!r}")
        with pytest.raises(ValueError, match=message):
            handle.add_client("c", "secret", given)
    handle.add_client("c", "secret", iter([sandbox.service_uuid]))
    for given in ("2026-01-01T00:00:00Z", 5):
        with pytest.raises(ValueError, match=f"^{given!r} is not a time: pass an aware datetime$"):
            handle.clock.set(given)
    with pytest.raises(ValueError, match="is not a time"):
        Sandbox(start="2026-01-01T00:00:00Z")


def test_campaigns_of_all_services_are_in_order(sandbox):
    other = sandbox.add_service()
    for name, service in (("first", other), ("second", None), ("third", other)):
        sandbox.create(name=name, service_uuid=service)
        sandbox.clock.advance(1)
    assert [campaign["name"] for campaign in sandbox.campaigns()] == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        ("POST", "faults", {"status": 500, "explode": 1}, 400),
        ("POST", "faults", {"path": "("}, 400),
        ("POST", "campaigns", {"status": "asleep"}, 400),
        ("POST", "campaigns", {"created_dt": 5}, 400),
        ("POST", "campaigns", {"created_dt": []}, 400),
        ("POST", "campaigns", {"last_dt": True}, 400),
        ("POST", "campaigns", {"clone_uuid": "nonsense"}, 400),
        ("GET", "campaigns?nmae=Storm", None, 400),
        ("GET", "campaigns?fields=shoes", None, 400),
        ("GET", "campaigns?status=drafft", None, 400),
        ("GET", "messages?channel=SMS", None, 400),
        ("GET", "campaigns?service_uuid=x", None, 400),
        ("POST", "faults", {"path": "(", "status": 500}, 400),
        ("POST", "clock", {"advance": -1}, 400),
        ("POST", "clock", {"advance": 1e300}, 400),
        ("POST", "clock", {"speed": 1e300}, 400),
        ("POST", "settings", {"execution_seconds": 1e300}, 400),
        ("POST", "clock", {"set": "tomorrow"}, 400),
        ("POST", "clock", {"set": 5}, 400),
        ("POST", "clock", {"advance": "5"}, 400),
        ("POST", "clock", {"advance": True}, 400),
        ("POST", "clock", {"speed": "2"}, 400),
        ("POST", "clock", {"freeze": "no"}, 400),
        ("POST", "clock", {"resume": 1}, 400),
        ("POST", "settings", {"ignore_filters": "no"}, 400),
        ("POST", "settings", {"execution_seconds": "x"}, 400),
        ("POST", "clients", {"client_id": "a", "client_secret": "b", "service_uuids": ["c"]}, 400),
        *(
            ("POST", "clients", {"client_id": "a", "client_secret": "b", "service_uuids": []} | wrong, 400)
            for wrong in (
                {"client_id": None},
                {"client_id": "\ud800"},
                {"client_id": ""},
                {"client_secret": 5},
                {"client_secret": "\ud800"},
                {"service_uuids": None},
                {"service_uuids": [5]},
                {"service_uuids": [[]]},
            )
        ),
        ("POST", "settings", {"colour": "blue"}, 400),
        ("POST", "reset", [], 400),
        ("POST", "refuse", {"seconds": -1}, 400),
        ("POST", "recipient_lists", {"name": "a", "contacts": [{}]}, 400),
        ("POST", "start_campaign", {"uuid": "x"}, 400),
        ("GET", "messages?since=soon", None, 400),
        ("GET", "messages?colour=blue", None, 400),
        ("PUT", "clock", {}, 405),
        ("GET", "nothing", None, 404),
        ("GET", "", None, 404),
    ],
)
def test_invalid_control_requests(sandbox, method, name, body, status):
    reply = requests.request(method, f"{sandbox.url}/_sandbox/{name}", json=body)
    assert reply.status_code == status, reply.text
    assert reply.json()["message"]


def test_faults_do_not_hit_control_requests(sandbox):
    sandbox.fault(drop=True, times=None)
    assert SandboxClient(sandbox.url).health()["status"] == "ok"


def test_web_pages_cannot_control_the_sandbox(sandbox):
    url = f"{sandbox.url}/_sandbox/reset"
    for origin in ("https://example.com", "null", "http://["):
        assert requests.post(url, json={}, headers={"Origin": origin}).status_code == 403
    assert requests.post(url, data="{}", headers={"Content-Type": "text/plain"}).status_code == 400
    deep = {"data": "[" * 100_000, "headers": {"Content-Type": "application/json"}}
    assert requests.post(url, **deep).status_code == 400
    assert requests.post(url, json={}, headers={"Origin": sandbox.url}).status_code == 204


def test_beyond_loopback():
    with pytest.raises(ValueError, match=r"default client secret is public"):
        Sandbox(host="0.0.0.0")
    with pytest.raises(ValueError, match=r"must not be empty"):
        Sandbox(host="0.0.0.0", client_secret="")
    with Sandbox(host="0.0.0.0", client_secret="my own") as sandbox:
        url = sandbox.url
        assert url == f"http://127.0.0.1:{sandbox.port}"
        assert requests.get(f"{url}/_sandbox/messages").status_code == 401
        assert requests.get(f"{url}/_sandbox/health").status_code == 200
        assert SandboxClient(url, client_secret="my own").messages() == []


def test_create_in_the_console(sandbox):
    created = sandbox.create(status="finished", last_dt="2026-01-01T00:00:00Z", sending_type="email")
    assert (created["status"], created["last_dt"]) == ("finished", "2026-01-01T00:00:00+00:00")
    assert sandbox.executions() == []
    other = sandbox.add_service()
    sandbox.create(service_uuid=other, name="There")
    assert [campaign["name"] for campaign in sandbox.campaigns(service_uuid=other)] == ["There"]
    assert len(sandbox.campaigns()) == 2
    for wrong in ({"uuid": created["uuid"]}, {"uuid": "x"}, {"colour": "blue"}, {"service_uuid": "x"}):
        with pytest.raises(ValueError, match=r"already|UUID|colour|no service"):
            sandbox.create(**wrong)


def test_concurrent_requests(sandbox, api):
    def work():
        for _ in range(20):
            mine = requests.Session()
            mine.headers["Authorization"] = api.session.headers["Authorization"]
            created = mine.post(api.url, json=api.payload()).json()["uuid"]
            assert mine.get(f"{api.url}/{created}").status_code == 200

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sandbox.campaigns()) == len(sandbox.executions()) == 160


def test_stop_ends_open_connections(api, sandbox):
    api.call("GET")
    stopping = threading.Thread(target=sandbox.stop, daemon=True)
    stopping.start()
    stopping.join(10)
    assert not stopping.is_alive()
    with pytest.raises(requests.ConnectionError):
        api.call("GET")
