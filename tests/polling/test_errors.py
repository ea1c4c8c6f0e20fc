"""Transient errors are tolerated, permanent ones end the waits that they concern, and nothing else."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from dataclasses import replace

import pytest

from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.exceptions import BMConfigError, BMError
from airflow_provider_bm.polling.changes import ChangeWatcher
from airflow_provider_bm.polling.waiter import CampaignWaiter
from airflow_provider_bm.polling.watcher import Watcher
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES, CampaignWait
from tests.polling.helpers import HOUR, LISTS, MINUTE, active, end, finished, page, results, rows
from tests.support.virtual_time import run

NAME = contextvars.ContextVar("name", default="no task")


def down(sandbox, **effect):
    sandbox.fault(method="GET", path="/campaigns", times=None, **(effect or {"status": 503}))


@pytest.fixture
def warnings(caplog):
    """Warnings, each with the name of the task that it was logged for."""
    found = []

    def note(record):
        if record.levelno >= logging.WARNING:
            found.append((NAME.get(), record.getMessage()))
        return True

    loggers = [
        logging.getLogger(f"airflow_provider_bm.{name}") for name in ("waiting.wait", "polling.poller")
    ]
    for logger in loggers:
        logger.addFilter(note)
    yield found
    for logger in loggers:
        logger.removeFilter(note)


# --- transient errors ---


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ({"drop": True}, "broke before the response"),
        ({"status": 503}, "HTTP 503"),
        ({"status": 429, "headers": {"Retry-After": "0"}}, "HTTP 429"),
        ({"status": 500}, "HTTP 500"),
        ({"status": 200, "html": True}, "JSON"),
    ],
)
@pytest.mark.parametrize("count", [1, 3, 40])
def test_transient_errors_are_tolerated_with_growing_pauses(
    process, frozen, recorded, warnings, effect, message, count
):
    uuids = active(frozen, count)
    down(frozen, **effect)

    async def named(name, uuid):
        NAME.set(name)
        return await process.wait(uuid)

    async def main():
        tasks = [asyncio.create_task(named(uuid, uuid)) for uuid in uuids]
        return await results(*tasks)

    errors = run(main())
    assert all(
        isinstance(error, BMError) and not error.permanent and message in str(error) for error in errors
    )
    assert recorded.gaps() == [60, 120, 240, 300, 300]
    for uuid in uuids:
        own = [message for whose, message in warnings if whose == uuid]
        assert len(own) == TOLERATED_FAILURES
        assert f"Polling campaign {uuid} failed (5 in a row, 5 are tolerated)" in own[-1]


def test_successful_poll_resets_the_count_of_failures(process, frozen):
    uuids = active(frozen, 2)

    async def main():
        tasks = process.start(*uuids)
        for _ in range(3):
            down(frozen)
            await asyncio.sleep(13 * MINUTE)
            frozen.clear_faults()
            await asyncio.sleep(6 * MINUTE)
        assert not any(task.done() for task in tasks)
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"] * 2

    run(main())


def test_pauses_grow_for_lists(process, frozen, recorded):
    down(frozen)

    async def main():
        with process.subscribe(ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of())):
            await asyncio.sleep(14 * MINUTE)

    run(main())
    assert recorded.gaps() == [60, 120, 240, 300]


@pytest.mark.parametrize(("status", "polls"), [(500, 7), (503, 20)])
def test_one_failing_campaign_does_not_slow_down_others(process, frozen, recorded, status, polls):
    """A 500 may concern one campaign, whose pauses grow. A 503 concerns the server."""
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 4)
    frozen.fault(method="GET", path=bad, times=None, status=status)

    async def main():
        with process.subscribe(ChangeWatcher(interval=MINUTE, campaign_uuid=bad)):  # never gives up
            tasks = process.start(*good)
            await asyncio.sleep(20 * MINUTE + 1)
            await end(*tasks)

    run(main())
    assert len(recorded.times(good[0])) == 20
    assert len(recorded.times(bad)) == polls


@pytest.mark.parametrize(("retry_after", "gap"), [("600", 600), ("31536000", HOUR), ("0", 60)])
def test_next_round_waits_for_retry_after_within_limits(process, frozen, recorded, retry_after, gap):
    uuids = active(frozen, 2)
    frozen.fault(
        method="GET",
        path=LISTS,
        times=5 if gap == 60 else 1,
        status=429,
        headers={"Retry-After": retry_after},
    )

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(2 * HOUR)
        await end(*tasks)

    run(main())
    assert recorded.gaps()[0] == pytest.approx(gap, abs=2)


def test_retry_after_of_one_campaign_delays_no_other(process, frozen, recorded):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 4)
    frozen.fault(method="GET", path=bad, times=None, status=503, headers={"Retry-After": "600"})

    async def main():
        tasks = process.start(*good, bad)
        await asyncio.sleep(5 * MINUTE + 1)
        await end(*tasks)

    run(main())
    assert len(recorded.times(good[0])) == 5


def test_404_of_a_gateway_does_not_make_campaigns_missing(process, frozen):
    uuids = active(frozen, 4)

    async def main():
        frozen.fault(method="GET", path="/campaigns", times=None, status=404, html=True)
        tasks = process.start(*uuids)
        await asyncio.sleep(5 * MINUTE)
        frozen.clear_faults()
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"] * 4

    run(main())


@pytest.mark.parametrize("bad_ones", [1, 2, 3, 7])
def test_however_many_campaigns_fail_the_others_are_read(process, frozen, bad_ones):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, good = active(frozen, bad_ones), active(frozen, 20)
    for uuid in bad:
        frozen.fault(method="GET", path=uuid, times=None, status=500)

    async def main():
        tasks = process.start(*bad, *good)
        frozen.clock.advance(60)
        assert await results(*tasks[bad_ones:]) == ["done"] * 20
        assert process.time() < HOUR
        await end(*tasks)

    run(main())


def test_rate_limit_that_is_shorter_than_a_round_starves_no_watcher(process, frozen, alter):
    frozen.fault(method="GET", path=LISTS, times=None, status=400)  # each campaign is read by itself
    count = 0

    def limit(sent, response):
        nonlocal count
        if sent.method == "GET" and not sent.is_list:
            count += 1
            if count % 15 == 0:
                response.status_code = 429
                response.headers["Retry-After"] = "600"

    alter(limit)
    uuids = active(frozen, 50)

    async def main():
        tasks = process.start(*uuids)
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"] * 50

    run(main())


def test_list_that_exceeds_the_rate_limit_does_not_starve_others(process, frozen, alter):
    def limit(sent, response):
        if sent.is_list and "in(uuid)" not in sent.query:
            response.status_code = 429
            response.headers["Retry-After"] = "90"

    alter(limit)
    uuids = active(frozen, 2)

    async def main():
        with process.subscribe(ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of())):
            await asyncio.sleep(5 * MINUTE)
            tasks = process.start(*uuids)
            frozen.clock.advance(60)
            assert await results(*tasks) == ["done"] * 2
            assert process.time() < HOUR

    run(main())


# --- errors of one campaign or list ---


def one_then_the_others(process, sandbox, bad, good, **condition):
    """Wait for all; the wait for the bad one ends, and the others continue until their campaigns finish."""

    async def main():
        first, *others = process.start(bad, **condition) + process.start(*good)
        (ended,) = await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(3 * MINUTE)
        assert not any(task.done() for task in others)
        sandbox.clock.advance(60)
        assert await results(*others) == ["done"] * len(good)
        return ended

    return run(main())


def test_deleted_campaign_fails_its_own_wait(process, frozen):
    bad, *good = active(frozen, 5)
    frozen.delete_campaign(bad)
    verdict = one_then_the_others(process, frozen, bad, good)
    assert verdict.state == "failed"
    assert "does not exist, or no longer exists" in verdict.reason


@pytest.mark.parametrize(
    ("change", "condition", "message"),
    [
        ({"status": "paused_by_moon"}, {}, "unknown status"),
        ({"last_dt": "soon"}, {"executed_after": "2026-01-01T00:00:00Z"}, "'soon'"),
    ],
)
def test_invalid_campaign_fails_its_own_wait(process, frozen, change, condition, message):
    bad, *good = active(frozen, 5)
    changed = rows(frozen) | {bad: {**rows(frozen)[bad], **change}}
    fault = frozen.fault(method="GET", path=LISTS, times=None, status=200, body=page(list(changed.values())))
    frozen.fault(method="GET", path=bad, times=None, status=200, body=changed[bad])

    async def main():
        (first,) = process.start(bad, **condition)
        others = process.start(*good)
        (ended,) = await asyncio.gather(first, return_exceptions=True)
        assert not any(task.done() for task in others)
        await end(*others)
        return ended

    ended = run(main())
    assert fault
    assert message in (str(ended) if isinstance(ended, BMError) else ended.reason)


REDIRECT = {"status": 302, "headers": {"Location": "/elsewhere"}}


@pytest.mark.parametrize(
    ("effect", "message", "lists"),
    [
        ({"status": 403}, "HTTP 403", True),
        ({"status": 403}, "HTTP 403", False),
        (REDIRECT, "redirected", False),  # a list that is redirected concerns all campaigns in it
    ],
)
def test_permanent_error_of_one_campaign(process, frozen, alter, effect, message, lists):
    if not lists:
        frozen.fault(method="GET", path=LISTS, times=None, status=400)
    bad, *good = active(frozen, 5)

    def refuse(sent, response):
        if bad in sent.campaigns and (lists or not sent.is_list):
            response.status_code = effect["status"]
            response.headers.update(effect.get("headers", {}))

    alter(refuse)
    error = one_then_the_others(process, frozen, bad, good)
    assert error.permanent
    assert message in str(error)


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_forbidden_with_some_fields_is_not_without_them(process, frozen, alter, count):
    def refuse(sent, response):
        if "fields" in sent.query:
            response.status_code = 403

    alter(refuse)
    bad, good = active(frozen, count), active(frozen, 3)

    async def main():
        others = process.start(*good) + process.start(good[0], interval=100 * HOUR)
        errors = await results(*process.start(*bad, fields=["messages"]))
        assert all("HTTP 403" in str(error) for error in errors)
        await asyncio.sleep(5 * MINUTE)
        assert not any(task.done() for task in others)
        frozen.clock.advance(60)
        assert await results(*others) == ["done"] * 4

    run(main())


@pytest.mark.parametrize("status", [403, 404, 409])
def test_refused_list_concerns_its_own_watcher(process, frozen, alter, caplog, status):
    def refuse(sent, response):
        if "status" in sent.query:
            response.status_code = status

    alter(refuse)
    uuids = active(frozen, 3)

    async def main():
        with process.subscribe(ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of(status="active"))):
            tasks = process.start(*uuids)
            await asyncio.sleep(5 * MINUTE)
            frozen.clock.advance(60)
            assert await results(*tasks) == ["done"] * 3

    run(main())
    assert f"HTTP {status}" in caplog.text


@pytest.mark.parametrize("value", ["broken", 10**400])
def test_unexpected_error_in_a_list_concerns_its_own_watcher(process, frozen, monkeypatch, alter, value):
    def surprise(self, campaign):
        raise ArithmeticError("unexpected")

    def grow(sent, response):
        if "webpush_title" in sent.query:
            content = response.json()
            for row in content["data"]:
                row["webpush_title"] = value
            response._content = json.dumps(content).encode()

    if value == "broken":
        monkeypatch.setattr(CampaignFilter, "check", surprise)
    alter(grow)
    frozen.ignore_filters = True
    uuids = active(frozen, 3)

    async def main():
        listing = CampaignFilter.of(filters={"webpush_title": "5"})
        with process.subscribe(ChangeWatcher(interval=MINUTE, listing=listing)):
            tasks = process.start(*uuids)
            await asyncio.sleep(5 * MINUTE)
            frozen.clock.advance(60)
            assert await results(*tasks) == ["done"] * 3

    run(main())


class BrokenWaiter(CampaignWaiter):
    """A waiter with a defect.

    :ivar broken: the name of the method that raises
    """

    broken = "on_result"

    def on_result(self, found):
        if self.broken == "on_result":
            raise ArithmeticError("unexpected")
        return super().on_result(found)

    def campaign_ids(self):
        if self.broken == "campaign_ids":
            raise ArithmeticError("unexpected")
        return super().campaign_ids()


def test_exception_in_a_watcher_reaches_that_watcher(process, frozen):
    bad, *good = active(frozen, 4)

    async def main():
        waiter = BrokenWaiter(CampaignWait.validated(bad), interval=MINUTE)
        others = process.start(*good)
        with process.subscribe(waiter), pytest.raises(ArithmeticError):
            await waiter.verdict()
        frozen.clock.advance(60)
        assert await results(*others) == ["done"] * 3

    run(main())


def test_exception_while_results_are_delivered_reaches_the_watchers(process, frozen):
    """Even then, no wait hangs until its deadline."""
    (uuid,) = active(frozen, 1)

    class BrokenList(ChangeWatcher):
        received = None

        def campaign_ids(self):
            if self.polled_at is None and self.received is None:
                self.received = "broken"
                return super().campaign_ids()
            raise ArithmeticError("unexpected")

        def deliver(self, result):
            self.received = result

    async def main():
        watcher = BrokenList(interval=MINUTE, listing=CampaignFilter.of())
        with process.subscribe(watcher):
            await asyncio.sleep(MINUTE + 1)
            assert isinstance(watcher.received, ArithmeticError)

    run(main())
    assert uuid


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 10000 00:00:00 GMT", "soon"])
def test_implausible_date_of_the_server_ends_no_wait(process, frozen, date):
    uuids = finished(frozen, 3)
    frozen.fault(method="GET", times=None, headers={"Date": date})

    async def main():
        with process.subscribe(changes := ChangeWatcher(interval=MINUTE, listing=CampaignFilter.of())):
            assert await results(*process.start(*uuids)) == ["done"] * 3
            assert len((await changes.results.get()).snapshots) == 3

    run(main())


# --- the connection ---


def test_connection_that_cannot_be_read_for_a_while(process, frozen):
    """Airflow's API server is being restarted; a wait in a trigger has already polled once."""
    uuids = finished(frozen, 2)
    process.read_error = ConnectionError("the API server is away")

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(5 * MINUTE)
        process.read_error = None
        assert await results(*tasks) == ["done"] * 2

    run(main())


def test_connection_that_cannot_be_read_at_all_ends_each_wait_after_the_same_number_of_reads(process, frozen):
    uuids = active(frozen, 2)
    process.read_error = ConnectionError("the secrets backend is away")

    async def main():
        with process.subscribe(ChangeWatcher(interval=MINUTE, campaign_uuid=uuids[0])):  # never gives up
            await asyncio.sleep(HOUR)
            before = process.reads
            assert await results(*process.start(uuids[1])) == [process.read_error]
            assert process.reads - before == TOLERATED_FAILURES + 1

    run(main())


def test_invalid_connection_ends_all_waits_at_once(process, frozen):
    uuids = active(frozen, 40)
    process.read_error = BMConfigError("timeout must be a number")

    async def main():
        assert await results(*process.start(*uuids)) == [process.read_error] * 40
        assert process.time() == pytest.approx(60)

    run(main())


def test_reading_the_connection_has_a_time_limit(process, frozen):
    uuids = finished(frozen, 2)
    read_settings, reads = process.read_settings, iter(range(9))

    async def hanging():
        if next(reads) < 2:
            await asyncio.sleep(100 * HOUR)
        return await read_settings()

    process.read_settings = hanging

    async def main():
        assert await results(*process.start(*uuids)) == ["done"] * 2
        assert process.time() < 10 * MINUTE

    run(main())


@pytest.mark.parametrize("count", [1, 3])
def test_rotated_secret_is_used_once_it_is_in_the_connection(process, frozen, recorded, leak_guard, count):
    leak_guard.register("rotated-secret")
    uuids = active(frozen, count)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(2 * MINUTE + 1)
        process.settings = replace(process.settings, client_secret="rotated-secret")
        frozen.add_client(frozen.client_id, "rotated-secret", [frozen.service_uuid])
        frozen.revoke_tokens()
        await asyncio.sleep(2 * MINUTE)
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"] * count

    run(main())
    assert recorded.times() == [60, 120, 180, 240, 300]


def test_changed_connection_is_used_after_ten_minutes(process, frozen):
    (uuid,) = active(frozen, 1)

    async def main():
        tasks = process.start(uuid)
        await asyncio.sleep(2 * MINUTE)
        process.settings = replace(process.settings, api_url=moved.api_url, token_url=moved.token_url)
        assert await results(*tasks) == ["done"]
        assert 10 * MINUTE < process.time() < 13 * MINUTE

    with Sandbox() as moved:
        moved.create(status="finished", uuid=uuid)
        run(main())


def test_connection_is_read_again_after_a_failure(process, frozen):
    uuids = finished(frozen, 2)
    right = process.settings
    process.settings = replace(right, api_url="http://127.0.0.1:1/news/v1")

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(2 * MINUTE)
        process.settings = right
        assert await results(*tasks) == ["done"] * 2

    run(main())


def test_connection_that_cannot_be_read_again_is_used_as_it_was(process, frozen, warnings):
    uuids = active(frozen, 2)
    NAME.set("a task")

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(2 * MINUTE)
        process.read_error = ConnectionError("away")
        await asyncio.sleep(20 * MINUTE)
        frozen.clock.advance(60)
        assert await results(*tasks) == ["done"] * 2

    run(main())
    NAME.set("no task")
    # It concerns all, and is logged for none of the tasks.
    assert {whose for whose, _ in warnings} == {"no task"}
    assert "could not be read again" in warnings[0][1]


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize(
    "wrong", ["secret", "forbidden", "redirect", "service", "token endpoint", "no service"]
)
def test_permanent_error_of_all_reaches_all_at_once(process, frozen, recorded, leak_guard, wrong, count):
    leak_guard.register("wrong-secret")
    uuids = active(frozen, count)
    late = active(frozen, 1)
    message = {
        "secret": "check Client ID and Client secret",
        "forbidden": "HTTP 403",
        "redirect": "redirected",
        "service": "HTTP 403",
        "token endpoint": "HTTP 404",
        "no service": "No service",
    }[wrong]
    if wrong == "secret":
        process.settings = replace(process.settings, client_secret="wrong-secret")
    elif wrong == "service":
        process.settings = replace(process.settings, service_uuid=frozen.add_service())
    elif wrong == "no service":
        process.settings = replace(process.settings, service_uuid=None)
    elif wrong == "token endpoint":
        frozen.fault(path="access-token", times=None, status=404)
    elif wrong == "redirect":
        down(frozen, status=302, headers={"Location": "https://login.example/"})
    else:
        down(frozen, status=403)

    async def main():
        tasks = process.start(*uuids) + process.start(*late, interval=100 * HOUR)
        if count == 1:  # its error may be its own
            await end(*tasks[1:])
            tasks = tasks[:1]
        return await results(*tasks)

    errors = run(main())
    assert all(isinstance(error, BMError) and error.permanent and message in str(error) for error in errors)
    assert not any("does not exist" in str(error) for error in errors)
    assert len(recorded) <= 4


def test_list_that_is_not_found_says_nothing_about_campaigns(process, frozen):
    uuids = active(frozen, 3)
    frozen.fault(method="GET", path=LISTS, times=None, status=404)

    async def main():
        return await results(*process.start(*uuids))

    assert all("is the Service UUID right?" in str(error) for error in run(main()))


def test_failing_token_endpoint_is_a_transient_error(process, frozen):
    fault_minutes = 5
    frozen.fault(method="POST", path="access-token", times=None, status=503)
    uuids = finished(frozen, 3)

    async def main():
        tasks = process.start(*uuids)
        await asyncio.sleep(fault_minutes * MINUTE)
        frozen.clear_faults()
        assert await results(*tasks) == ["done"] * 3

    run(main())


def test_watcher_is_abstract():
    with pytest.raises(TypeError, match="campaign_ids"):
        Watcher(interval=1)
