"""Which watchers share a poller: those of the same event loop, connection and service."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from airflow_provider_bm.exceptions import BMForbiddenError
from tests.polling.helpers import MINUTE, active, end, finished, pollers, results
from tests.support.virtual_time import run


@pytest.fixture
def other(frozen):
    """Another service that the same client may use."""
    uuid = frozen.add_service()
    frozen.add_client(frozen.client_id, frozen.client_secret, [frozen.service_uuid, uuid])
    return uuid


@pytest.fixture
def process(process):
    read_settings = process.read_settings

    def subscribe(watcher, service=None, connection="bm", *, subscribe=process.subscribe):
        async def settings():
            found = await read_settings()
            return found if service is None else replace(found, service_uuid=service)

        process.read_settings = settings
        return subscribe(watcher, service, connection)

    process.subscribe = subscribe
    return process


def test_two_services_have_a_poller_each(process, frozen, recorded, other):
    mine = active(frozen, 2)
    theirs = [frozen.create(status="active", service_uuid=other)["uuid"] for _ in range(2)]
    frozen.fault(method="GET", path=f"{other}/campaigns", nth=2, times=None, status=403)

    async def main():
        tasks = process.start(*mine) + process.start(*theirs, service=other)
        await asyncio.sleep(1)
        assert len(pollers()) == 2
        failed = await results(*tasks[2:])
        assert all(isinstance(error, BMForbiddenError) for error in failed)
        assert not any(task.done() for task in tasks[:2])
        frozen.clock.advance(60)
        assert await results(*tasks[:2]) == ["done"] * 2

    run(main())
    assert not [request for request in recorded.lists if set(request.campaigns) not in ({*mine}, {*theirs})]


@pytest.mark.parametrize("order", ["named first", "named last", "at once"])
def test_service_of_the_connection_is_the_same_as_if_it_is_named(process, frozen, recorded, order):
    named, unnamed = active(frozen, 2), active(frozen, 2)

    async def main():
        arguments = [(named, {"service": frozen.service_uuid}), (unnamed, {})]
        tasks = []
        for uuids, more in reversed(arguments) if order == "named last" else arguments:
            tasks += process.start(*uuids, **more)
            if order != "at once":
                await asyncio.sleep(2 * MINUTE + 1)
        await asyncio.sleep(3 * MINUTE)
        assert len(pollers()) == 1
        # A new watcher finds it by either name.
        tasks += process.start(named[0]) + process.start(unnamed[0], service=frozen.service_uuid)
        await asyncio.sleep(2 * MINUTE)
        assert len(pollers()) == 1
        assert set(recorded.lists[-1].campaigns) == {*named, *unnamed}
        await end(tasks[0])
        frozen.clock.advance(60)
        assert await results(*tasks[1:]) == ["done"] * 5

    run(main())


def test_wait_stays_with_the_service_that_it_began_with(process, frozen, other):
    """A new one uses the service that the connection names by now."""
    (here,) = active(frozen, 1)
    there = frozen.create(status="finished", service_uuid=other)["uuid"]

    async def main():
        tasks = process.start(here)
        await asyncio.sleep(2 * MINUTE)
        process.settings = replace(process.settings, service_uuid=other)
        assert await results(*process.start(there)) == ["done"]
        await asyncio.sleep(20 * MINUTE)  # the connection is read again
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"]

    run(main())


def test_two_event_loops_have_a_poller_each(process, frozen):
    uuids = finished(frozen, 2)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(0)
        before = pollers()

        async def other():
            task = asyncio.create_task(process.wait(uuids[0]))
            await asyncio.sleep(0)
            assert len(pollers()) == 1 + len(before)
            return await results(task)

        assert await asyncio.to_thread(run, other()) == ["done"]
        assert await results(*tasks) == ["done"] * 2

    run(main())
