"""The contract guard of the suite finds invalid requests and responses, and checks all of them."""

from __future__ import annotations

import json
import socket

import pytest

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.sandbox import api
from airflow_provider_bm.sandbox.http_messages import json_reply
from airflow_provider_bm.sandbox.list_query import parse_list
from tests.support import contract, contract_watch

SERVICE = "0b2d6c1e-7f0a-4c57-9a55-3d3c54a1d0a1"
LISTS = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
PATH = f"/services/{SERVICE}/campaigns"
ONE = f"{PATH}/{LISTS}"
HEADERS = {"Authorization": "Bearer x", "Content-Type": "application/json"}
GOOD = {
    "name": "Storm",
    "status": "active",
    "sending_type": "sms",
    "schedule_type": "now",
    "template": "Hello",
    "sender": "+41587000000",
    "recipient_lists": f"{LISTS}, {LISTS}",
}
RULE = {"field": "first_name", "condition": "eq", "value": ["John", "Ann"], "operator": "AND"}


def segmentation(*rules):
    return json.dumps({"segmentation": [{"operator": "OR", "rules": list(rules)}]})


def problems(body, method="POST", path=PATH):
    return contract.request_problems(method, path, [], HEADERS, json.dumps(body).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule_type": "once", "schedule_rrule": "2099-05-01 17:05:00"},
        {"schedule_type": "scheduled", "schedule_rrule": "FREQ=DAILY"},
        {"query_type": "segmentation", "query": segmentation(RULE)},
        {"query_type": "all", "query": "", "webpush_title": "", "schedule_rrule": ""},
        {"sending_type": "email", "template": '{"subject": "Storm"}'},
    ],
)
def test_valid_bodies(changes):
    assert problems(GOOD | changes) == []
    assert problems(GOOD | changes, "PUT", ONE) == []
    assert problems({"clone_uuid": LISTS, "template_vars": {"a": "b"}} | changes) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": 5},
        {"name": None},
        {"nonsense": "x"},
        {"uuid": LISTS},
        {"status": "asleep"},
        {"sending_type": "pigeon"},
        {"recipient_lists": "all"},
        {"recipient_lists": f"{LISTS};{LISTS}"},
        {"schedule_type": "once"},
        {"schedule_type": "once", "schedule_rrule": "2099-05-01T17:05:00Z"},
        {"schedule_type": "scheduled", "schedule_rrule": ""},
        {"schedule_type": "now", "schedule_rrule": "FREQ=DAILY"},
        {"query_type": ""},
        {"query_type": "segmentation"},
        {"query": "John"},
        {"query": segmentation()},
        {"query": segmentation(RULE, RULE | {"operator": "OR"})},
        {"query": segmentation(RULE | {"field": "shoe"})},
        {"query": segmentation(RULE | {"value": 5})},
        {"sending_type": "email"},
        {"sending_type": "email", "template": "[1]"},
        {"template_vars": {"a": "b"}},
    ],
)
def test_invalid_bodies(changes):
    assert problems(GOOD | changes)
    assert problems(GOOD | changes, "PUT", ONE)


def test_response_statuses_are_checked():
    assert problems(GOOD | {"status": "stopped"})
    assert not problems(GOOD | {"status": "stopped"}, "PUT", ONE)
    assert not problems({"status": "stopped"}, "PATCH", ONE)
    assert problems({"status": "draft"}, "PATCH", ONE)
    assert problems({"clone_uuid": LISTS, "status": "stopped"})
    assert problems({"clone_uuid": LISTS, "template_vars": {"a": 5}})
    assert problems({"clone_uuid": LISTS, "template_vars": {"{a}": "b"}})


@pytest.mark.parametrize(
    ("query", "good"),
    [
        ("status=draft", True),
        ("status=asleep", False),
        ("in(status)=draft,active", True),
        ("in(status)=draft,asleep", False),
        ("eq(status)=draft,active", False),
        ("neq(sending_type)=pigeon", False),
        ("schedule_type=once", True),
        ("schedule_type=once,now", False),
        ("in(schedule_type)=once,now", True),
        ("in(schedule_type)=once,sometimes", False),
        ("eq(query_type)=some", False),
        (f"in(uuid)={LISTS},{LISTS.upper()}", True),
        (f"uuid={LISTS},{LISTS}", False),
        ("uuid=x", False),
        ("lt(uuid)=x", True),
        ("isnull(last_dt)=true", True),
        ("isnotempty(sender)=", True),
        ("isnull(last_dt)=false", False),
        ("like(name)=x", False),
        ("eq(shoe)=x", False),
        ("name=x", True),
        ("between(sender)=1", False),
        ("gte(created_dt)=2026-01-01T00:00:00+00:00", True),
        ("gte(created_dt)=yesterday", False),
        ("in(created_dt)=2026-01-01,yesterday", False),
        ("sort=-created_dt,name", True),
        ("sort=shoe", False),
        ("sort=", False),
        ("fields=tasks,messages", True),
        ("fields=secrets", False),
        ("page_number=1", True),
        ("page_number=0", False),
        ("page_size=many", False),
    ],
)
def test_query_parameters_are_checked(query, good):
    found = contract.request_problems("GET", PATH, [tuple(query.split("=", 1))], HEADERS, None)
    assert (found == []) == good, found


def test_other_parts_of_a_request_are_checked():
    twice = [("page_size", "1"), ("page_size", "2")]
    assert contract.request_problems("GET", PATH, twice, HEADERS, None)
    assert contract.request_problems("GET", ONE, [("status", "draft")], HEADERS, None)
    assert contract.request_problems("GET", f"{PATH}/seven", [], HEADERS, None)
    assert contract.request_problems("GET", ONE, [], {}, None)
    assert contract.request_problems("DELETE", ONE, [], HEADERS, b"{}")
    assert contract.request_problems("POST", ONE, [], HEADERS, b"{}")
    assert contract.request_problems("POST", PATH, [], HEADERS, b"{")
    form = {"Content-Type": contract.FORM}
    good = b"grant_type=client_credentials&client_id=a&client_secret=b"
    assert contract.request_problems("POST", api.TOKEN_PATH, [], form, good) == []
    assert contract.request_problems("POST", api.TOKEN_PATH, [], form, good + b"&client_id=c")
    assert contract.request_problems("POST", api.TOKEN_PATH, [], form, b"grant_type=password")
    assert contract.request_problems("POST", api.TOKEN_PATH, [], HEADERS, b"{}")


def answer(status, body, method="GET", path=ONE):
    reply = json_reply(status, body)
    return contract.response_problems(method, path, status, reply.headers, reply.body)


def test_responses_are_checked():
    campaign = GOOD | {
        "uuid": LISTS,
        "created_dt": "2026-01-01T00:00:00+00:00",
        "last_dt": None,
        "next_dt": "",
    }
    error = {"code": "x", "message": "y", "items": [{"name": "a", "message": "b"}]}
    assert answer(200, campaign | {"tasks": []}) == []
    assert answer(404, error) == []
    assert answer(405, error, "PATCH", PATH) == ["405 without Allow"]
    for wrong in (
        campaign | {"created_dt": "yesterday"},
        campaign | {"more": 1},
        campaign | {"status": "asleep"},
        {},
    ):
        assert answer(200, wrong)
    assert answer(201, campaign)
    assert answer(404, {"message": "y"})
    assert answer(404, error | {"items": [{"name": "a"}]})
    assert answer(418, error)
    assert answer(200, {"data": [], "meta": {"pagination": {}}}, path=PATH)
    assert contract.response_problems("DELETE", ONE, 204, {}, b"") == []
    assert contract.response_problems("DELETE", ONE, 204, {}, b"{}")
    assert contract.response_problems("GET", ONE, 404, {"Content-Type": "text/html"}, b"<html>")


@pytest.mark.off_contract("both sides are made to break it")
def test_the_whole_suite_is_watched(sandbox, monkeypatch):
    """The client's requests, and the sandbox's answers."""
    settings = BMSettings(
        api_url=sandbox.api_url,
        token_url=sandbox.token_url,
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
        service_uuid=sandbox.service_uuid,
    )
    forget_tokens()
    client = BMClient(settings)
    contract_watch.take()
    url = f"{sandbox.api_url}/services/{sandbox.service_uuid}/campaigns"
    assert list(client.list_campaigns()) == []
    assert contract_watch.take() == ([], [])
    assert client.session.get(url, params={"sort": "shoe"}).status_code == 400
    (sent,), answered = contract_watch.take()
    assert "query sort" in sent
    assert answered == []

    monkeypatch.setattr(api, "parse_list", lambda pairs, **_: parse_list([]))  # accepts everything
    monkeypatch.setattr(api, "pagination", lambda *_: None)
    assert client.session.get(url, params={"sort": "shoe"}).status_code == 200
    (sent,), answered = contract_watch.take()
    assert any("['pagination']: null is not" in line for line in answered)
    assert any("was answered 200, but query sort" in line for line in answered)

    monkeypatch.undo()
    sandbox.fault("GET", garbage=True)
    assert client.session.get(url).content.startswith(b"{")
    assert contract_watch.take() == ([], [])
    client.session.get(url, params={"sort": "shoe"})
    client.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST {} HTTP/1.1\r\nTransfer-Encoding: chunked", 411),
        ("POST {} HTTP/1.1\r\nContent-Length: many", 400),
        ("POST {} HTTP/1.1\r\nContent-Length: 99999999999", 413),
        ("GET {}/{} HTTP/9.9", 505),
        ("nonsense", 400),
    ],
)
def test_reply_to_an_invalid_request_line_is_in_the_contract(sandbox, head, status):
    """The server responds before the API does, where responses are not watched."""
    with socket.create_connection((sandbox.host, sandbox.port), timeout=10) as connection:
        connection.sendall(head.replace("{}", "/news/v1" + PATH).encode() + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    start, body = reply.split(b"\r\n\r\n", 1)
    assert int(start.split()[1]) == status
    assert list(contract.component("Error").problems(json.loads(body), "")) == []
