"""The watcher of changes: a list, and campaigns that leave it."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.polling.changes import ChangeWatcher
from tests.polling.helpers import LISTS, MINUTE, active, results
from tests.support.virtual_time import run


async def finished_by(watcher, campaigns):
    """Return once all these campaigns were reported as finished."""
    ended = set()
    while ended < {*campaigns}:
        ended |= {change.uuid for change in (await watcher.results.get()).changes if change.finished}
    return ended


def test_first_result_has_all_campaigns_and_later_ones_only_changes(process, frozen):
    uuids = active(frozen, 3)

    async def main():
        watcher = ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of())
        with process.subscribe(watcher):
            first, second = await watcher.results.get(), await watcher.results.get()
            assert (
                {each.uuid for each in first.snapshots} == {each.uuid for each in first.changes} == {*uuids}
            )
            assert len(second.snapshots) == 3
            assert not second.changes
            frozen.clock.advance(60)
            assert await finished_by(watcher, uuids) == {*uuids}

    run(main())


def test_campaigns_that_left_the_list_are_followed_although_some_cannot_be_read(process, frozen):
    uuids = sorted(active(frozen, 8))
    bad, good = uuids[:3], uuids[3:]

    async def main():
        watcher = ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of(status="active"))
        with process.subscribe(watcher):
            await watcher.results.get()
            frozen.fault(method="GET", path=LISTS, nth=2, times=1, status=400)
            for uuid in bad:
                frozen.fault(method="GET", path=uuid, times=None, status=500)
            frozen.clock.advance(60)
            assert not await finished_by(watcher, good) & {*bad}

    run(main())


@pytest.mark.parametrize("wrong", [{"status": None}, {"status": 7}, {"uuid": "one"}, {"uuid": None}])
def test_invalid_row_of_a_list_is_left_out(process, frozen, alter, caplog, wrong):
    bad, *good = active(frozen, 5)

    def spoil(sent, response):
        if "page_number" in sent.query:
            content = response.json()
            for row in content["data"]:
                if row["uuid"] == bad:
                    row.update(wrong)
            response._content = json.dumps(content).encode()

    alter(spoil)

    async def main():
        watcher = ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of())
        with process.subscribe(watcher):
            tasks = process.start(bad, *good)
            await watcher.results.get()
            frozen.clock.advance(60)
            # It is read by itself, where it is valid.
            assert await results(*tasks) == ["done"] * 5
            await finished_by(watcher, good)

    run(main())
    assert "A row of a list is ignored" in caplog.text


def test_errors_are_logged_once(process, frozen, caplog):
    (uuid,) = active(frozen, 1)
    frozen.fault(method="GET", path=uuid, times=None, status=403)

    async def main():
        watcher = ChangeWatcher(interval=MINUTE, campaign_uuid=uuid)
        with process.subscribe(watcher):
            await asyncio.sleep(60 * MINUTE)
            frozen.clear_faults()
            assert (await watcher.results.get()).snapshots[0].uuid == uuid

    run(main())
    assert len([record for record in caplog.records if "could not be polled" in record.getMessage()]) == 1
