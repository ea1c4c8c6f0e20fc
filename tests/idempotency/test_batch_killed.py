"""One campaign for each row, even if replies are lost, and wherever a try of the batch is killed."""

from __future__ import annotations

import itertools
import json
import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.retry import RetryPolicy, use_retry_policy
from airflow_provider_bm.idempotency.key import task_key
from airflow_provider_bm.idempotency.record import STATE_KEY
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from tests.idempotency.killed_task import FileStore, TaskInstance, run

ROWS = [{"shop": f"shop {number}", "temp": f"-{number}C"} for number in range(4)]
#: Number of scenarios that run in parallel. They spend most of their time waiting.
PARALLEL_SCENARIOS = 6


@pytest.fixture
def batch(task):
    return {**task["clone"], "template_vars": None, "rows": ROWS, "key": "shop", "max_workers": 1}


@pytest.fixture
def assert_each_sent_once(sandbox):
    """`assert_each_sent_once(run_id)`: each row has one campaign, which has executed once."""

    def check(run_id, rows=ROWS):
        pattern = re.compile(rf"\[{task_key('warn', run_id, 'send', -1)}\.[0-9a-f]{{12}}\] warn\.send (.*)")
        created = {
            each["uuid"]: match[1]
            for each in sandbox.campaigns()
            if (match := pattern.fullmatch(each["name"]))
        }
        assert sorted(created.values()) == sorted(row["shop"] for row in rows)
        for uuid in created:
            assert len(sandbox.executions(campaign_uuid=uuid)) == 1

    return check


def finish(start, arguments, first_try, **kwargs):
    """Run tries as Airflow would, until one succeeds."""
    for number in range(first_try, first_try + 4):
        attempt = start("batch", arguments, try_number=number, **kwargs)
        attempt.run_until(None)
        if attempt.outcome == "returned":
            return attempt
    raise AssertionError(f"no try succeeded: {attempt.outcome} {attempt.result}")


@pytest.mark.slow
@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
def test_killed_at_any_boundary(batch, start, assert_each_sent_once, tmp_path, stored):
    def kwargs(run_id):
        return {"run_id": run_id, "store": str(tmp_path / run_id) if stored else None}

    reference = finish(start, batch, 1, timeout=8, **kwargs("reference"))
    assert_each_sent_once("reference")
    assert reference.labels.count("POST campaigns: sent") == len(ROWS)

    def scenario(boundary):
        run_id = f"killed at {boundary}"
        first = start("batch", batch, kill_at=boundary, timeout=8, **kwargs(run_id))
        first.run_until(None)
        assert (first.outcome, first.labels) == ("killed", reference.labels[:boundary])
        finish(start, batch, 2, **kwargs(run_id))
        assert_each_sent_once(run_id)

    with ThreadPoolExecutor(PARALLEL_SCENARIOS) as pool:
        list(pool.map(scenario, range(len(reference.labels))))


@pytest.mark.slow
@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
def test_killed_again_and_again_with_many_threads(batch, start, assert_each_sent_once, tmp_path, stored):
    rows = [{"shop": f"shop {number}", "temp": "x"} for number in range(40)]
    arguments = {**batch, "rows": rows, "max_workers": 8}

    def scenario(seed):
        run_id, chance = f"seed {seed}", random.Random(seed)
        store = str(tmp_path / run_id) if stored else None
        for number in itertools.count(1):
            kill_at = chance.randrange(5, 150) if number < 4 else None
            attempt = start(
                "batch", arguments, run_id=run_id, store=store, try_number=number, kill_at=kill_at
            )
            attempt.run_until(None)
            if attempt.outcome == "returned":
                break
            assert number < 8, attempt.result
        assert_each_sent_once(run_id, rows)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(scenario, range(6)))


# Lost replies


@pytest.fixture
def quick(monkeypatch, sandbox):
    # A request is in flight for up to 2.7 s.
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    # The sandbox's clock runs twenty times as fast, see the fixture `task`.
    monkeypatch.setattr(BMClient, "server_now", lambda self: None)
    with use_retry_policy(RetryPolicy(first_wait=0.01)), use_timing(Timing(first_pause=0.1)):
        yield


def execute(batch, *, number=1, store=None, run_id="run", **arguments):
    return run("batch", {**batch, **arguments}, TaskInstance(run_id, number, lambda _: None), store)


def posts(sandbox):
    return sandbox.requests(method="POST", path="/campaigns")


@pytest.mark.parametrize(
    "fault",
    [
        {"lose_reply": True},
        {"truncate": True},
        {"garbage": True},
        {"html": True, "apply": True},
        {"status": 500, "apply": True},
        {"status": 504, "apply": True},
        {"delay_after": 0.5},
        {"delay": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.usefixtures("quick")
def test_a_reply_that_is_lost(sandbox, batch, assert_each_sent_once, fault, times):
    sandbox.fault(method="POST", path="/campaigns", times=times, **fault)
    assert execute(batch, max_workers=3)["sent"] == len(ROWS)
    assert len(posts(sandbox)) == len(ROWS)
    assert_each_sent_once("run")


@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
@pytest.mark.usefixtures("quick")
def test_a_request_that_vanishes_is_sent_by_the_next_try(
    sandbox, batch, assert_each_sent_once, tmp_path, stored
):
    store = FileStore(tmp_path / "state", lambda _: None) if stored else None
    sandbox.fault(method="POST", path="/campaigns", drop=True)
    with pytest.raises(AirflowException, match="Leave it to the retries") as caught:
        execute(batch, store=store)
    assert not isinstance(caught.value, AirflowFailException)
    assert len(posts(sandbox)) == 1
    assert execute(batch, number=2, store=store)["sent"] == len(ROWS)
    assert_each_sent_once("run")


@pytest.mark.usefixtures("quick")
def test_only_rows_that_may_be_in_flight_wait(sandbox, batch, assert_each_sent_once, tmp_path):
    """The state store says which these are; the others are sent first."""
    store = FileStore(tmp_path / "state", lambda _: None)
    sandbox.fault(method="POST", path="/campaigns", drop=True, times=2)
    with pytest.raises(AirflowException):
        execute(batch, store=store, max_workers=2, on_error="stop")
    record = json.loads((tmp_path / "state").read_text())[STATE_KEY]
    assert len(record["in_flight"]) == 2
    seen = len(sandbox.requests())
    assert execute(batch, number=2, store=store)["sent"] == len(ROWS)
    methods = [each["method"] for each in sandbox.requests()[seen:]]
    assert methods.count("POST") == 4
    # The draft, the list; two rows; lists until the others cannot be in flight; the others.
    first, last = methods.index("POST"), len(methods) - 1 - methods[::-1].index("POST")
    assert methods[first : first + 2] == ["POST", "POST"]
    assert methods[last - 1 : last + 1] == ["POST", "POST"]
    assert_each_sent_once("run")


@pytest.mark.usefixtures("quick")
def test_a_retry_of_a_finished_batch_makes_two_requests(sandbox, batch, tmp_path):
    store = FileStore(tmp_path / "state", lambda _: None)
    execute(batch, store=store)
    seen = len(sandbox.requests())
    assert execute(batch, number=2, store=store)["adopted"] == len(ROWS)
    assert [each["method"] for each in sandbox.requests()[seen:]] == ["GET", "GET"]


@pytest.mark.usefixtures("quick")
def test_a_row_that_has_changed_is_reported_and_not_sent_again(sandbox, batch, assert_each_sent_once, caplog):
    execute(batch)
    changed = [{**ROWS[0], "temp": "+30C"}, *ROWS[1:]]
    counts = execute(batch, number=2, rows=changed)
    assert (counts["changed"], counts["adopted"]) == (1, 3)
    assert "'-0C today, {first_name}' instead of '+30C today, {first_name}'" in caplog.text
    assert_each_sent_once("run")


@pytest.mark.usefixtures("quick")
def test_a_row_that_has_changed_in_a_run_that_was_created_again(sandbox, batch, assert_each_sent_once):
    execute(batch)
    with pytest.raises(AirflowFailException, match="its campaign differs from the row") as caught:
        execute(batch, rows=[{**ROWS[0], "temp": "+30C"}, *ROWS[1:]])
    assert "key_namespace" in str(caught.value)
    assert_each_sent_once("run")


@pytest.mark.usefixtures("quick")
def test_a_row_that_is_gone_and_a_new_one(sandbox, batch, caplog):
    execute(batch)
    rows = [*ROWS[1:], {"shop": "new", "temp": "x"}]
    counts = execute(batch, number=2, rows=rows, on_removed_rows="warn")
    assert (counts["sent"], counts["adopted"]) == (1, 3)
    assert "1 of 4 campaigns of earlier tries belong to no row of this table" in caplog.text
