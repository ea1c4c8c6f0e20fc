"""Many wait, and little is asked."""

from __future__ import annotations

import math
import uuid

import pytest
import requests_mock

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.bulk import BulkReader
from tests.polling.helpers import events_of, finished, states, waiting

LONGEST_URL = 2000


def test_one_round_for_all(sandbox, wire):
    uuids = finished(sandbox, 120)
    # Some campaigns are waited for by several.
    events = events_of(*map(waiting, [*uuids, *uuids[:30]]))
    assert states(events) == ["done"] * 150
    assert [event["campaign"]["uuid"] for event in events] == [*uuids, *uuids[:30]]

    asked = [each for one in wire.lists for each in one.uuids]
    assert sorted(asked) == sorted(uuids)
    chunk = len(wire.lists[0].uuids)
    assert len(wire.looks) == len(wire.lists) == math.ceil(120 / chunk) <= 3
    assert max(len(one.url) for one in wire) <= LONGEST_URL

    journal = sandbox.requests()
    assert len({one["connection"] for one in journal}) == 1
    assert len(sandbox.requests(path="access-token")) == 1


def test_urls_are_short_enough_and_not_much_shorter(sandbox, wire, monkeypatch):
    uuids = finished(sandbox, 60)
    connection = sandbox.connection_json().replace("127.0.0.1", "localhost")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection)
    events = events_of(*(waiting(one, fields=["tasks", "messages"]) for one in uuids))
    assert states(events) == ["done"] * 60
    assert 0.9 * LONGEST_URL < max(len(one.url) for one in wire) <= LONGEST_URL


class EnoughError(Exception):
    pass


@pytest.mark.parametrize("fields", [(), ("tasks", "messages")])
def test_no_url_is_too_long_wherever_the_api_is(fields):
    uuids = [str(uuid.uuid4()) for _ in range(60)]
    for more in range(45):
        settings = BMSettings(
            api_url=f"https://bm{'x' * more}.example.com/news/v1",
            token_url="https://bm.example.com/token",
            client_id="id",
            client_secret="not-a-real-secret",
            service_uuid=str(uuid.uuid4()),
        )
        lists = []

        def check(lists=lists):
            if any(each.called for each in lists):
                raise EnoughError

        client = BMClient(settings, check=check)
        with requests_mock.Mocker() as mock:
            mock.post(settings.token_url, json={"access_token": "not-a-real-token"})
            asked = mock.get(requests_mock.ANY, status_code=400)
            lists.append(asked)
            with pytest.raises(EnoughError):
                next(BulkReader(client).read(uuids, fields))
        client.close()
        # As long as a page number of three digits would make it.
        assert len(asked.last_request.url) + 2 <= LONGEST_URL


def test_each_gets_the_fields_it_asked_for(sandbox, wire):
    uuids = finished(sandbox, 6)
    plain, full = uuids[:4], uuids[2:]
    events = events_of(
        *map(waiting, plain),
        *(waiting(one, fields=["messages"]) for one in full),
    )
    assert [event["campaign"]["uuid"] for event in events] == [*plain, *full]
    assert ["messages" in event["campaign"] for event in events] == [False] * 4 + [True] * 4
    assert {one.query.get("fields"): sorted(one.uuids) for one in wire.lists} == {
        None: sorted(plain),
        "messages": sorted(full),
    }


def test_fields_are_the_same_in_any_order(sandbox, wire):
    uuids = finished(sandbox, 3)
    for fields in (["tasks", "messages"], ["messages", "tasks", "tasks"]):
        wire.clear()
        several = [waiting(uuid, fields=each) for uuid in uuids for each in (fields, ["messages", "tasks"])]
        assert states(events_of(*several)) == ["done"] * 6
        assert len(wire.looks) == 1


def test_one_alone_is_asked_for_by_itself(sandbox, wire):
    (one,) = finished(sandbox, 1)
    assert states(events_of(waiting(one), waiting(one))) == ["done", "done"]
    assert [sent.uuids for sent in wire.looks] == [[one]]
    assert len(wire.singles) == 1
