"""A permanent error reaches everybody at once, as what it is; unless the connection has changed meanwhile."""

from __future__ import annotations

import asyncio
import json
import traceback

import pytest
from airflow.exceptions import AirflowNotFoundException
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_bm.polling import poller
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sensors import BMCampaignSensor
from tests.polling.helpers import LISTS, active, end, events_of, finished, start, states, until, waiting


def connect(monkeypatch, sandbox, **changes):
    extra = changes.pop("extra", {})
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", json.dumps({**sandbox.connection(**extra), **changes}))


def wrong_secret(sandbox, monkeypatch):
    connect(monkeypatch, sandbox, password="wrong-secret")
    return "check Client ID and Client secret"


def forbidden(sandbox, monkeypatch):
    connect(monkeypatch, sandbox, schema=sandbox.add_service())
    return "HTTP 403"


def redirect(sandbox, monkeypatch):
    sandbox.fault(path=LISTS, times=None, status=302, headers={"Location": "https://login.example/"})
    return "was redirected"


def no_service(sandbox, monkeypatch):
    connect(monkeypatch, sandbox, schema=None)
    return "No service"


def wrong_connection(sandbox, monkeypatch):
    connect(monkeypatch, sandbox, extra={"timeout": "soon"})
    return "timeout"


def no_token_endpoint(sandbox, monkeypatch):
    sandbox.fault(path="access-token", times=None, status=404)
    return "HTTP 404"


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize(
    "wrong", [wrong_secret, forbidden, redirect, no_service, wrong_connection, no_token_endpoint]
)
def test_it_reaches_everybody(sandbox, monkeypatch, wire, wrong, count, leak_guard):
    leak_guard.register("wrong-secret")
    uuids = finished(sandbox, count)
    if wrong is redirect and count == 1:
        sandbox.fault(path=uuids[0], times=None, status=302, headers={"Location": "https://login.example/"})
    says = wrong(sandbox, monkeypatch)
    events = events_of(*map(waiting, uuids))
    assert [(event["state"], event["permanent"]) for event in events] == [("error", True)] * count
    assert all(says in event["reason"] and "does not exist" not in event["reason"] for event in events)
    # A list that is forbidden may be so by itself, or for one of its campaigns: two are asked for.
    assert len(wire) <= (4 if wrong is forbidden else 2)


def test_a_list_that_is_not_there_says_nothing_of_campaigns(frozen):
    uuids = active(frozen, 3)
    frozen.fault(method="GET", path=LISTS, status=404)
    events = events_of(*map(waiting, uuids))
    assert [(event["state"], event["permanent"]) for event in events] == [("error", True)] * 3
    assert all("is the Service UUID right?" in event["reason"] for event in events)


def test_it_reaches_those_whose_turn_it_is_not(sandbox, monkeypatch):
    forbidden(sandbox, monkeypatch)
    uuids = active(sandbox, 3)
    events = events_of(waiting(uuids[0]), waiting(uuids[1]), waiting(uuids[2], poke_interval=3600))
    assert states(events) == ["error"] * 3


def test_a_missing_connection_is_raised(sandbox):
    (uuid,) = finished(sandbox, 1)
    events = events_of(*(waiting(uuid, bm_conn_id="bm_missing") for _ in range(40)))
    assert [type(event) for event in events] == [AirflowNotFoundException] * 40
    assert all("bm_missing" in str(event) for event in events)
    # The same for all, but not with the tracebacks of all.
    assert max(len(traceback.extract_tb(event.__traceback__)) for event in events) < 40


def test_a_missing_token_endpoint_does_not_make_a_campaign_missing(sandbox):
    """The same for a sensor that pokes."""
    (uuid,) = finished(sandbox, 1)
    sandbox.fault(path="access-token", times=None, status=404)
    sensor = BMCampaignSensor(task_id="wait", campaign_uuid=uuid)
    with pytest.raises(AirflowFailException, match="HTTP 404") as caught:
        sensor.poke({})
    assert "does not exist" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 404, 405, 422])
def test_a_token_endpoint_that_refuses_says_nothing_of_lists(sandbox, caplog, status):
    uuids = finished(sandbox, 3)
    sandbox.fault(path="access-token", times=None, status=status)
    events = events_of(*map(waiting, uuids))
    assert states(events) == ["error"] * 3
    assert all(f"HTTP {status}" in event["reason"] for event in events)
    assert not any("Service UUID" in event["reason"] for event in events)
    assert "reading one at a time" not in caplog.text


def rotate(sandbox, secret):
    """As at BM: neither the old secret nor its tokens are worth anything from now on."""
    sandbox.add_client(sandbox.client_id, secret, [sandbox.service_uuid])
    sandbox.revoke_tokens()


@pytest.mark.parametrize("count", [1, 3])
def test_a_secret_is_rotated(frozen, monkeypatch, wire, leak_guard, count):
    leak_guard.register("rotated-secret")
    uuids = active(frozen, count)

    async def main():
        tasks = start(*map(waiting, uuids), waiting(uuids[0]))
        await until(lambda: len(wire.looks) >= 2)
        connect(monkeypatch, frozen, password="rotated-secret")
        rotate(frozen, "rotated-secret")
        looks = len(wire.looks)
        await until(lambda: len(wire.looks) >= looks + 4)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * (count + 1)
    assert {one.thread.name for one in wire} == {wire[0].thread.name}


def test_a_single_campaign_may_be_elsewhere_by_now(frozen, monkeypatch, wire):
    """Its errors are its own; but a permanent one may be of a connection that is mended already."""
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = start(waiting(uuid))
        await until(lambda: len(wire.looks) >= 2)
        connect(monkeypatch, frozen, extra={"timeout": 7})
        frozen.fault(method="GET", times=1, status=302, headers={"Location": "https://new.example/"})
        await until(lambda: len(wire.looks) >= 6)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"]


def test_a_permanent_error_of_some_and_a_passing_one_of_others(frozen, monkeypatch, wire, alter):
    """The connection is read again, whichever comes last."""
    one, two = active(frozen, 2)

    def fail_after_the_first_round(sent, reply):
        # In the poller's thread: no round is under way that only one of the faults would hit.
        if sent.uuids == [two] and len(wire.looks) == 2:
            connect(monkeypatch, frozen, extra={"timeout": 7})
            frozen.fault(method="GET", path=one, times=2, status=401)  # and once more with a fresh token
            frozen.fault(method="GET", path=two, times=2, status=429)

    alter(fail_after_the_first_round)

    async def main():
        tasks = start(waiting(one), waiting(two, fields=["messages"]))
        await until(lambda: len(wire.looks) >= 8)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_a_connection_that_leads_elsewhere_is_followed_in_time(frozen, monkeypatch, wire):
    """Without any error of the old one."""
    monkeypatch.setattr(poller, "_CONNECTION_AGE", 0.0)
    (uuid,) = active(frozen, 1)

    async def main():
        (task,) = start(waiting(uuid))
        await until(lambda: len(wire.looks) >= 2)
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", moved.connection_json())
        return await asyncio.wait_for(task, 5)

    with Sandbox() as moved:
        moved.create(status="finished", uuid=uuid)
        assert asyncio.run(main())["state"] == "done"


@pytest.mark.parametrize("broken", [None, "{", '{"conn_type": "bm", "extra": {"timeout": "soon"}}'])
def test_a_connection_that_cannot_be_read_again_stays_as_it_was(frozen, monkeypatch, wire, broken):
    monkeypatch.setattr(poller, "_CONNECTION_AGE", 0.0)
    uuids = active(frozen, 2)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 2)
        if broken is None:
            monkeypatch.delenv("AIRFLOW_CONN_BM_DEFAULT")
        else:
            monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", broken)
        looks = len(wire.looks)
        await until(lambda: len(wire.looks) >= looks + 3)
        assert not any(task.done() for task in tasks)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"] * 2


def test_a_permanent_error_ends_though_the_connection_cannot_be_read_again(frozen, monkeypatch, wire):
    uuids = active(frozen, 2)

    async def main():
        tasks = start(*map(waiting, uuids))
        await until(lambda: len(wire.looks) >= 2)
        monkeypatch.delenv("AIRFLOW_CONN_BM_DEFAULT")
        rotate(frozen, "rotated-secret")
        try:
            async with asyncio.timeout(5):
                return await asyncio.gather(*tasks)
        finally:
            await end(*tasks)

    events = asyncio.run(main())
    assert [(event["state"], event["permanent"]) for event in events] == [("error", True)] * 2
