"""Data of requests and faults for the page."""

from __future__ import annotations

import json
import threading

import pytest
import requests

from tests.sandbox.page.helpers import ask, wait_until


def test_requests_are_redacted(api, sandbox):
    api.token(client_secret="s3cr3t-of-mine")
    api.call("GET", "?name=Storm")
    numbers = [request["number"] for request in ask(sandbox)["requests"]]
    assert numbers == [3, 2, 1]
    get, token, _ = (ask(sandbox, "request", number=str(number)) for number in numbers)
    assert get["query"] == {"name": "Storm"}
    assert '"client_secret": "***"' in token["body"]
    assert "s3cr3t" not in f"{get}{token}{ask(sandbox)}"
    gone = requests.get(f"{sandbox.url}/_sandbox/page/request?number=9", timeout=10)
    assert gone.status_code == 404


def test_request_numbers_are_unique(api, sandbox):
    api.call("GET")
    before = ask(sandbox)["requests"][0]["number"]
    sandbox.reset()
    requests.get(api.url, timeout=10)
    assert ask(sandbox)["requests"][0]["number"] > before


def test_reset_restarts_the_request_count(api, sandbox):
    api.call("GET")
    sandbox.reset()
    view = ask(sandbox)
    assert (view["requests"], view["request_count"]) == ([], 0)
    requests.get(api.url, timeout=10)
    assert ask(sandbox)["request_count"] == 1


def test_pending_requests_are_not_failed(api, sandbox):
    sandbox.fault(delay=0.3, lose_reply=True)

    def call():
        with pytest.raises(requests.ConnectionError):
            api.call("GET")

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: ask(sandbox)["request_count"] == 2)
    row = ask(sandbox)["requests"][0]
    assert (row["status"], row["finished"]) == (None, False)
    assert ask(sandbox, failed="yes")["requests"] == []
    caller.join()
    wait_until(lambda: ask(sandbox)["requests"][0]["finished"])
    assert ask(sandbox)["requests"][0]["status"] is None
    assert [request["number"] for request in ask(sandbox, failed="yes")["requests"]] == [2]


def test_failed_requests_only(api, sandbox):
    for number in range(30):
        api.call("GET", "" if number % 10 else "/nothing")
    shown = [(request["number"], request["status"]) for request in ask(sandbox, failed="yes")["requests"]]
    assert shown == [(22, 404), (12, 404), (2, 404)]


def test_until_hides_newer_requests(api, sandbox):
    for _ in range(30):
        api.call("GET")
    before = ask(sandbox)
    newest = before["requests"][0]["number"]
    assert (newest, len(before["requests"]), before["newer_requests"]) == (31, 25, 0)
    for number in range(40):
        api.call("GET", "" if number % 10 else "/nothing")
    held = ask(sandbox, until=str(newest))
    assert (held["requests"], held["newer_requests"]) == (before["requests"], 40)
    assert ask(sandbox, until=str(newest), failed="yes")["newer_requests"] == 4
    assert ask(sandbox)["requests"][0]["number"] == 71


def test_used_up_faults(api, sandbox):
    sandbox.fault(status=503, nth=2)
    sandbox.fault(status=429, times=None, path="never")
    for spent in (False, True):
        api.call("GET")
        faults = {fault["status"]: fault["used_up"] for fault in ask(sandbox)["faults"]}
        assert faults == {503: spent, 429: False}


def test_clear_used_up_faults_only(api, sandbox):
    sandbox.fault(status=503)
    sandbox.fault(status=429, path="never")
    api.call("GET")
    assert requests.post(f"{sandbox.url}/_sandbox/page/clear_used_up", timeout=10).status_code == 204
    assert [fault["status"] for fault in sandbox.faults()] == [429]


def test_faults_are_in_the_order_in_which_they_hit(api, sandbox):
    for status in (500, 501, 502, 503):
        sandbox.fault(status=status, path="never" if status % 2 else None)
    assert [api.call("GET").status_code for _ in range(2)] == [500, 502]
    view = ask(sandbox)
    assert [(fault["status"], fault["used_up"]) for fault in view["faults"]] == [
        (501, False),
        (503, False),
        (502, True),
        (500, True),
    ]
    assert (view["fault_count"], view["used_up_count"]) == (4, 2)


def test_many_or_large_faults_are_truncated(sandbox):
    for number in range(100):
        sandbox.fault(path=f"{number}" + "z" * 10**4, body="x" * 10**5, headers={"X" * 10**4: "v" * 10**4})
    view = ask(sandbox)
    assert view["fault_count"] == 100
    assert [fault["path"][:2] for fault in view["faults"]] == [str(number) for number in range(50, 100)]
    assert len(json.dumps(view["faults"])) < 50_000
    assert view["faults"][0]["body"] is True
    for _ in range(100):
        sandbox.fault(status=500, headers={f"X-{number}": "v" for number in range(1000)})
    assert len(json.dumps(ask(sandbox)["faults"])) < 50_000
