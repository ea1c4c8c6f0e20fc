"""Who shares a poller, and who must not be troubled by others'."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.polling import poller
from airflow_provider_bm.sensors import BMCampaignSensor
from tests.polling.helpers import active, end, pollers, start, states, until, waiting


class TaskInstance:
    """The little that a deferred task asks of Airflow's."""

    map_index = -1
    dag_id = task_id = run_id = "wait"
    try_number = 1

    def xcom_push(self, *args, **kwargs):
        pass


def deferred(operator):
    with pytest.raises(TaskDeferred) as caught:
        operator.execute({"ti": TaskInstance()})
    return caught.value.trigger


def test_two_services_have_a_poller_each(frozen, wire):
    other = frozen.add_service()
    frozen.add_client(frozen.client_id, frozen.client_secret, [frozen.service_uuid, other])
    mine = active(frozen, 2)
    theirs = [frozen.create(status="active", service_uuid=other)["uuid"] for _ in range(2)]
    frozen.fault(method="GET", path=f"{other}/campaigns", nth=2, times=None, status=403)

    async def main():
        tasks = start(*map(waiting, mine), *(waiting(uuid, service_uuid=other) for uuid in theirs))
        await asyncio.sleep(0.05)
        assert len(pollers()) == 2
        events = await asyncio.gather(*tasks[2:])
        assert not any(task.done() for task in tasks[:2])
        frozen.clock.advance(60)
        return events, await asyncio.gather(*tasks[:2])

    failed, done = asyncio.run(main())
    assert [(event["state"], event["permanent"]) for event in failed] == [("error", True)] * 2
    assert states(done) == ["done"] * 2
    assert len({one.thread for one in wire}) == 2
    assert not [one for one in wire.lists if set(one.uuids) not in ({*mine}, {*theirs})]


def test_two_connections_have_a_poller_each(frozen, wire, monkeypatch, leak_guard):
    leak_guard.register("wrong-secret")
    wrong = frozen.connection() | {"password": "wrong-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_BM_OTHER", json.dumps(wrong))
    uuids = active(frozen, 2)

    async def main():
        tasks = start(*map(waiting, uuids), *(waiting(uuid, bm_conn_id="bm_other") for uuid in uuids))
        failed = await asyncio.gather(*tasks[2:])
        await until(lambda: len(wire.looks) >= 3)
        frozen.clock.advance(60)
        return failed, await asyncio.gather(*tasks[:2])

    failed, done = asyncio.run(main())
    assert states(failed) == ["error"] * 2
    assert states(done) == ["done"] * 2


@pytest.mark.parametrize("given", ["", "upper"])
def test_whoever_waits_on_a_service_shares_its_poller(frozen, given):
    """Whether it was named, or is the connection's."""
    uuids = active(frozen, 2)
    named = frozen.service_uuid.upper() if given else frozen.service_uuid
    found = [
        deferred(BMCampaignSensor(task_id="a", campaign_uuid=uuids[0], deferrable=True)),
        deferred(BMCampaignSensor(task_id="b", campaign_uuid=uuids[1], deferrable=True, service_uuid=named)),
        deferred(
            BMCreateCampaignOperator(
                task_id="c",
                name="Storm",
                sending_type="sms",
                template="Stay at home.",
                sender="+41587000000",
                recipient_lists=frozen.recipient_lists["staff"],
                wait_for_completion=True,
                deferrable=True,
            )
        ),
    ]

    async def main():
        tasks = start(*found)
        await asyncio.sleep(0.05)
        assert len(pollers()) == 1
        await end(*tasks)

    asyncio.run(main())


def test_a_trigger_row_holds_ids_and_times_only(frozen):
    (uuid,) = active(frozen, 1)
    trigger = deferred(
        BMCampaignSensor(
            task_id="a",
            campaign_uuid=uuid,
            deferrable=True,
            executed_after="2100-01-01T00:00:00Z",
            fields="messages",
        )
    )
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_bm.triggers.BMCampaignTrigger"
    assert datetime.fromisoformat(arguments.pop("deadline")).utcoffset() is not None
    assert arguments == {
        "campaign_uuid": uuid,
        "bm_conn_id": "bm_default",
        "service_uuid": frozen.service_uuid,
        "target_status": "finished",
        "executed_after": "2100-01-01T00:00:00+00:00",
        "failed_status": ["stopped"],
        "fields": ["messages"],
        "poke_interval": 60,
        "stop_on_kill": False,
    }
    assert json.loads(json.dumps(arguments)) == arguments


@pytest.mark.parametrize("order", ["named first", "named last", "at once"])
def test_the_connections_service_is_the_same_service(frozen, wire, order):
    uuids = active(frozen, 4)
    named = [waiting(uuid, service_uuid=frozen.service_uuid.upper()) for uuid in uuids[:2]]
    unnamed = [waiting(uuid) for uuid in uuids[2:]]
    first, last = (unnamed, named) if order == "named last" else (named, unnamed)

    async def main():
        tasks = start(*first)
        if order != "at once":
            await until(lambda: len(wire.looks) >= 2)
        tasks += start(*last)
        await until(lambda: len(pollers()) == 1 and len(wire.looks) >= 6)
        before = len(wire.lists)
        # Whoever comes later finds it at once, by either name.
        tasks += start(waiting(uuids[0]), waiting(uuids[0], service_uuid=frozen.service_uuid))
        await until(lambda: len(wire.lists) >= before + 3)
        assert len(pollers()) == 1
        assert set(wire.lists[-1].uuids) == {*uuids}
        await end(tasks[0])
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks[1:])

    assert states(asyncio.run(main())) == ["done"] * 5
    assert len({one.thread for one in wire.lists[-3:]}) == 1


def test_who_comes_after_the_connection_has_moved_looks_where_it_leads(frozen, monkeypatch):
    other = frozen.add_service()
    frozen.add_client(frozen.client_id, frozen.client_secret, [frozen.service_uuid, other])
    (here,) = active(frozen, 1)
    there = frozen.create(status="finished", service_uuid=other)["uuid"]

    async def main():
        tasks = start(waiting(here))
        await until(lambda: len(frozen.requests("GET")) >= 2)
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", json.dumps(frozen.connection() | {"schema": other}))
        (event,) = await asyncio.gather(*start(waiting(there)))
        assert not tasks[0].done()
        await end(*tasks)
        return event

    assert asyncio.run(main())["state"] == "done"


def test_a_wait_stays_with_the_service_that_it_began_with(frozen, monkeypatch):
    """There its campaign is, whatever a person writes into the connection later."""
    monkeypatch.setattr(poller, "_CONNECTION_AGE", 0.0)
    other = frozen.add_service()
    frozen.add_client(frozen.client_id, frozen.client_secret, [frozen.service_uuid, other])
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = start(waiting(uuid))
        await until(lambda: len(frozen.requests("GET")) >= 2)
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", json.dumps(frozen.connection() | {"schema": other}))
        before = len(frozen.requests("GET"))
        await until(lambda: len(frozen.requests("GET")) >= before + 3)
        frozen.clock.advance(60)
        return await asyncio.gather(*tasks)

    assert states(asyncio.run(main())) == ["done"]
