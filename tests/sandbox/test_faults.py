"""Scripted faults, and the clock."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox, SandboxClient


def test_nth_and_times(api, sandbox):
    sandbox.fault("GET", "/campaigns$", nth=2, times=2, status=503, headers={"Retry-After": "7"})
    assert [api.call("GET").status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    sandbox.fault("GET", status=500, times=None)
    assert api.post(status="draft").status_code == 201
    assert [api.call("GET").status_code for _ in range(3)] == [500] * 3
    sandbox.clear_faults()
    assert api.call("GET").status_code == 200


def test_a_status_does_not_apply_the_call(api, sandbox):
    sandbox.fault("POST", "campaigns", status=504, headers={"Retry-After": "7"})
    reply = api.post()
    assert (reply.status_code, reply.headers["Retry-After"]) == (504, "7")
    assert reply.json()["code"] == "gateway_timeout"
    assert sandbox.campaigns() == []
    sandbox.fault("POST", "campaigns", status=504, apply=True)
    assert api.post().status_code == 504
    assert len(sandbox.campaigns()) == 1


@pytest.mark.parametrize(("effect", "applied"), [({"lose_reply": True}, 1), ({"drop": True}, 0)])
def test_connection_is_closed_without_a_reply(api, sandbox, effect, applied):
    sandbox.fault("POST", **effect)
    with pytest.raises(requests.ConnectionError):
        api.post()
    assert len(sandbox.campaigns()) == applied
    assert [request["status"] for request in sandbox.requests("POST", "campaigns")] == [None]
    assert api.call("GET").status_code == 200


def test_response_is_truncated(api, sandbox):
    sandbox.fault("POST", truncate=True)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        api.post()
    created = sandbox.campaigns()[0]["uuid"]
    sandbox.fault("DELETE", truncate=True)
    with pytest.raises(requests.ConnectionError):
        api.call("DELETE", f"/{created}")
    assert sandbox.campaigns() == []


def test_garbage_and_html(api, sandbox):
    sandbox.fault("POST", garbage=True)
    reply = api.post()
    assert reply.status_code == 201
    assert reply.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError, match=r".*"):
        reply.json()
    sandbox.fault("POST", html=True)
    reply = api.post()
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html")
    assert "<html>" in reply.text
    assert len(sandbox.campaigns()) == 1


def test_body_replaces_the_response(api, sandbox):
    sandbox.fault(path="access-token", status=400, body={"error": "invalid_grant"})
    assert api.token().json() == {"error": "invalid_grant"}
    sandbox.fault("GET", body="text", headers={"Content-Type": "text/plain"})
    reply = api.call("GET")
    assert (reply.status_code, reply.text, reply.headers["Content-Type"]) == (200, "text", "text/plain")


@pytest.mark.parametrize(("body", "content"), [("", b""), ([], b"[]"), ({}, b"{}")])
def test_an_empty_body(api, sandbox, body, content):
    sandbox.fault("GET", body=body)
    assert sandbox.faults()[0]["body"] == body
    reply = api.call("GET")
    assert (reply.status_code, reply.content) == (200, content)


def connects(sandbox):
    try:
        socket.create_connection(("127.0.0.1", sandbox.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(("effect", "applied"), [({}, 0), ({"lose_reply": True}, 1)])
def test_connections_are_refused(api, sandbox, effect, applied):
    with requests.Session() as other:
        other.get(f"{sandbox.url}/_sandbox/health")  # keeps its connection
        sandbox.fault("POST", "campaigns$", nth=2, refuse=60, **effect)
        assert api.post(status="draft").status_code == 201
        with pytest.raises(requests.ConnectionError):
            api.post(status="draft")
        assert not connects(sandbox)
        with pytest.raises(requests.ConnectionError):
            other.get(f"{sandbox.url}/_sandbox/health")
        assert len(sandbox.campaigns()) == 1 + applied
        sandbox.refuse(0)
        assert api.post(status="draft").status_code == 201


@pytest.mark.parametrize("remote", [False, True])
def test_sandbox_that_is_down_refuses_connections(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    handle.refuse(60)
    assert not connects(sandbox)
    # The downtime can be ended early.
    sandbox.stop()
    with pytest.raises(RuntimeError, match="is not running"):
        sandbox.refuse(1)


def test_downtime_ends_after_its_seconds(api, sandbox):
    sandbox.refuse(0.05)
    give_up = time.monotonic() + 10
    while not connects(sandbox) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert api.call("GET").status_code == 200


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), 3e6, "5", True])
def test_invalid_downtimes(sandbox, seconds):
    with pytest.raises(ValueError, match="must be a number from 0 to 86400"):
        sandbox.refuse(seconds)
    assert connects(sandbox)


def test_delay_before_or_after_the_call(api, sandbox):
    sandbox.fault("POST", "campaigns", delay_after=0.3)
    with pytest.raises(requests.ReadTimeout):
        api.session.post(api.url, json=api.payload(), timeout=0.1)
    assert len(sandbox.campaigns()) == 1
    sandbox.clear_faults()
    sandbox.fault("POST", "campaigns", delay=0.3)
    with pytest.raises(requests.ReadTimeout):
        api.session.post(api.url, json=api.payload(), timeout=0.1)
    assert len(sandbox.campaigns()) == 1
    time.sleep(0.4)
    assert len(sandbox.campaigns()) == 2  # it comes through in the end: a client that repeats it sends twice


def test_token_revoked(api, sandbox):
    sandbox.fault("POST", "campaigns", revoke_token=True)
    assert api.post().status_code == 401
    assert api.post().status_code == 401
    assert sandbox.campaigns() == []
    assert api.login().post().status_code == 201


def test_token_revoked_with_a_call_for_one(api, sandbox):
    sandbox.fault(path="access-token", revoke_token=True)
    # Tokens issued before are invalid; the new one is valid.
    old = dict(api.session.headers)
    api.login()
    assert api.call("GET").status_code == 200
    assert api.call("GET", headers=old).status_code == 401


def test_probability_is_repeatable(api, sandbox):
    def pattern():
        sandbox.clear_faults()
        sandbox.fault("GET", probability=0.5, seed=7, status=503)
        return [api.call("GET").status_code for _ in range(20)]

    first = pattern()
    assert set(first) == {200, 503}
    assert pattern() == first


def test_faults_count_calls_seen_and_hit(api, sandbox):
    sandbox.fault("GET", "nowhere", status=500)
    sandbox.fault("GET", nth=2, status=500)
    api.call("GET")
    assert [(fault["seen"], fault["hits"]) for fault in sandbox.faults()] == [(0, 0), (1, 0)]


@pytest.mark.parametrize("remote", [False, True])
def test_clear_a_single_fault(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    first, second = handle.fault("GET", status=500), handle.fault("GET", status=503)
    handle.clear_faults(first["id"])
    assert handle.faults() == [second]
    assert api.call("GET").status_code == 503
    with pytest.raises(ValueError, match=rf"there is no fault {first['id']}"):
        handle.clear_faults(first["id"])
    handle.clear_faults()
    assert handle.faults() == []


@pytest.mark.parametrize(
    "wrong",
    [{}, {"apply": True}, {"status": 99}, {"status": 500, "nth": 0}, {"status": 500, "times": 0},
     {"status": 500, "probability": 2}, {"delay": -1}, {"refuse": -1}, {"delay": float("inf")},
     {"delay": 1e10}, {"delay_after": 1e10}, {"refuse": 1e10}, {"delay": True},
     {"status": "503"}, {"status": 503.5}, {"status": 500, "headers": "x"}, {"status": 500, "method": 5},
     {"drop": "no"}, {"delay": "1"}, {"status": 500, "path": "("},
     {"drop": True, "apply": True}, {"revoke_token": True, "apply": True}, {"refuse": 1, "apply": True},
     {"drop": True, "lose_reply": True}, {"drop": True, "status": 500}, {"lose_reply": True, "body": ""},
     {"headers": {"Content-Length": "5"}}, {"headers": {"X": "a\r\nY: b"}},
     {"change_request": "draft"}, {"drop": True, "change_reply": {"name": "x"}}],
)  # fmt: skip
def test_invalid_faults(sandbox, wrong):
    with pytest.raises(ValueError, match=r"fault|must|nth|cannot|excludes|choose one"):
        sandbox.fault(**wrong)


@pytest.mark.parametrize("name", ["explode", "id", "seen", "hits"])
def test_unknown_effects(sandbox, name):
    with pytest.raises(TypeError, match=name):
        sandbox.fault(status=500, **{name: 1})


def test_oldest_matching_fault_hits(api, sandbox):
    sandbox.fault("GET", status=500)
    sandbox.fault("GET", status=502)
    assert api.call("GET").status_code == 500
    assert [(fault["seen"], fault["hits"]) for fault in sandbox.faults()] == [(1, 1), (0, 0)]


def test_faults_for_the_next_call_hit_in_turn(api, sandbox):
    def status():
        try:
            return api.call("GET").status_code
        except requests.ConnectionError:
            return None

    for effect in ({"status": 503}, {"status": 429}, {"lose_reply": True}):
        sandbox.fault("GET", **effect)
    assert [status() for _ in range(5)] == [503, 429, None, 200, 200]
    sandbox.clear_faults()
    # Calls that an older fault hits do not count for nth and times either.
    sandbox.fault("GET", nth=2, status=503)
    sandbox.fault("GET", nth=2, times=2, status=500)
    assert [status() for _ in range(5)] == [200, 503, 500, 500, 200]


def test_fault_header_replaces_the_default_one(api, sandbox):
    sandbox.fault("GET", headers={"content-type": "text/plain", "server": "mine", "X-Number": 5})
    reply = api.call("GET")
    found = [(name.lower(), value) for name, value in reply.raw.headers.items()]
    assert [value for name, value in found if name in ("content-type", "server")] == ["mine", "text/plain"]
    assert reply.headers["X-Number"] == "5"


def test_clock_can_be_set_advanced_and_frozen():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = Sandbox(start=start, speed=1000).clock
    time.sleep(0.02)
    assert timedelta(seconds=20) <= clock.now() - start < timedelta(minutes=10)
    frozen = clock.freeze()
    assert clock.now() == clock.now() == frozen
    assert clock.advance(60) == frozen + timedelta(minutes=1) == clock.now()
    assert clock.advance(timedelta(days=1)) == clock.now()
    assert clock.set(start) == clock.now() == start
    clock.speed = 1
    assert clock.now() == start
    clock.resume()
    assert clock.now() - start < timedelta(seconds=1)
    for wrong in (
        lambda: clock.advance(-1),
        lambda: clock.advance(float("nan")),
        lambda: clock.advance(1e300),
        lambda: clock.set(datetime.max.replace(tzinfo=UTC)),
        lambda: Sandbox(speed=1e300),
        lambda: clock.set(datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda: Sandbox(speed=0),
    ):
        with pytest.raises(ValueError, match=r"forward|zone|speed|ends"):
            wrong()


def test_the_clock_stops_at_its_end(api, sandbox):
    sandbox.clock.set(datetime(8999, 12, 31, 23, 59, 59, tzinfo=UTC))
    sandbox.clock.speed = 1e9
    sandbox.clock.resume()
    time.sleep(0.001)
    assert api.login().post().status_code == 201
    assert sandbox.clock.now() == datetime(9000, 1, 1, tzinfo=UTC)


def test_speed_of_the_clock(sandbox, api):
    sandbox.clock.resume()
    sandbox.clock.speed = 1000
    uuid = api.post().json()["uuid"]
    time.sleep(0.05)
    assert api.get(uuid)["status"] == "finished"


def test_a_call_is_applied_with_another_request(api, sandbox):
    sandbox.fault("POST", "campaigns$", change_request={"status": "draft", "query_type": None})
    reply = api.post(query_type="all").json()
    assert reply["status"] == "draft"
    assert "query_type" not in reply
    assert sandbox.executions() == []


def test_a_call_is_answered_with_another_reply(api, sandbox):
    other = sandbox.create(name="other")
    sandbox.fault("POST", "campaigns$", change_reply={"uuid": other["uuid"], "status": None})
    reply = api.post(name="mine")
    assert (reply.status_code, reply.json()["uuid"], reply.json()["name"]) == (201, other["uuid"], "mine")
    assert "status" not in reply.json()
    assert [campaign["name"] for campaign in sandbox.campaigns()] == ["other", "mine"]


def test_date_header_is_wrong_or_missing(api, sandbox):
    sandbox.fault("GET", headers={"Date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    sandbox.fault("GET", headers={"date": None})
    assert api.call("GET").headers["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert "Date" not in api.call("GET").headers
    assert "Date" in api.call("GET").headers


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(.|a)*x", ".*.*.*.*x", "a?" * 30, "(a|a)" * 30, "(?:a{1,9}){1,9}"]
)
def test_a_pattern_that_could_take_long_is_refused(sandbox, pattern):
    with pytest.raises(ValueError, match="could take too long"):
        sandbox.fault(path=pattern, status=500)


@pytest.mark.parametrize(
    "pattern", ["campaigns/(?!abc)", "^/news/.*/campaigns$", "campaigns(/[0-9a-f-]+)?$", ""]
)
def test_usual_patterns_are_accepted(sandbox, pattern):
    assert sandbox.fault(path=pattern, status=500)["status"] == 500
