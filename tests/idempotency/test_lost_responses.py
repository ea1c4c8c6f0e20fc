"""A campaign is sent once even if the response to its POST is lost, truncated, late or from a gateway."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.retry import RetryPolicy, use_retry_policy
from airflow_provider_bm.exceptions import BMConnectError, BMResponseError, BMTransportError
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.idempotency import search
from airflow_provider_bm.idempotency.key import task_key
from airflow_provider_bm.idempotency.record import STATE_KEY
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from tests.idempotency.killed_task import FileStore, TaskInstance, run

OLD, NOW = "2026-01-02T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
KEY = "7c41e09ab2f3d815"
KINDS = pytest.mark.parametrize("kind", ["create", "clone"])
#: Faults of a POST that the server processes: its response is lost or unusable.
PROCESSED = {
    "lost": {"lose_reply": True},
    "truncated": {"truncate": True},
    "garbage": {"garbage": True},
    "HTML": {"html": True, "apply": True},
    "500": {"status": 500, "apply": True},
    "502": {"status": 502, "apply": True},
    "503": {"status": 503, "apply": True},
    "504": {"status": 504, "apply": True},
    "408": {"status": 408, "apply": True},
    "late": {"delay_after": 0.5},
    "processed after the client gave up": {"delay": 0.5},
}
#: Faults of a POST that the server does not process, which the client cannot know.
NOT_PROCESSED = {
    "dropped": {"drop": True},
    "502": {"status": 502},
    "503": {"status": 503},
    "HTML": {"html": True},
}


@pytest.fixture(autouse=True)
def fast_timing(monkeypatch, sandbox):
    # A request is in flight for up to 2.7 s.
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    # The sandbox's clock runs at twenty times the normal speed, see the fixture `task`.
    monkeypatch.setattr(BMClient, "server_now", lambda self: None)
    timing = Timing(first_pause=0.1, created_dt_resolution=0.2, draft_pause=0.1)
    with use_retry_policy(RetryPolicy(first_wait=0.01)), use_timing(timing):
        yield


def execute(task, kind, *, number=1, store=None, run_id="run", **arguments):
    ti = TaskInstance(run_id, number, lambda _: None)
    return run(kind, {**task[kind], **arguments}, ti, store)


def posts(sandbox):
    return sandbox.requests(method="POST", path="/campaigns")


@KINDS
@pytest.mark.parametrize("fault", PROCESSED)
def test_campaign_is_found_after_an_unusable_response(sandbox, task, assert_sent_once, caplog, kind, fault):
    sandbox.fault(method="POST", path="/campaigns", **PROCESSED[fault])
    uuid = execute(task, kind)
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")
    assert f"Campaign {uuid}" in caplog.text
    assert "was created by an earlier request of this task instance" in caplog.text


def test_search_counts_from_the_post_not_from_the_token_request(sandbox, task, assert_sent_once):
    sandbox.fault(path="/access-token", times=2, status=503)
    sandbox.fault(method="POST", path="/campaigns", delay=0.5)  # processed after the client gave up
    with use_retry_policy(RetryPolicy(first_wait=2.0)):
        execute(task, "create")
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")


@pytest.mark.parametrize("fault", NOT_PROCESSED)
@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
def test_next_try_sends_if_the_post_was_not_processed(
    sandbox, task, assert_sent_once, tmp_path, fault, stored
):
    """The first try fails and names the campaign; the next one searches again before it sends."""
    store = FileStore(tmp_path / "state", lambda _: None) if stored else None
    sandbox.fault(method="POST", path="/campaigns", **NOT_PROCESSED[fault])
    with pytest.raises(
        AirflowException, match=r"a campaign named '\[[0-9a-f]{16}\] Storm' may exist"
    ) as error:
        execute(task, "create", store=store)
    assert not isinstance(error.value, AirflowFailException)  # Airflow's retries apply
    assert len(posts(sandbox)) == 1
    execute(task, "create", number=2, store=store)
    assert len(posts(sandbox)) == 2
    assert_sent_once("run")


@KINDS
@pytest.mark.parametrize("fault", ["lost", "502", "late"])
def test_unknown_outcome_without_deduplicate_fails_the_task(sandbox, task, kind, fault):
    sandbox.fault(method="POST", path="/campaigns", **PROCESSED[fault])
    with pytest.raises(AirflowFailException, match="before you repeat this, or it may be sent twice"):
        execute(task, kind, deduplicate=False, name="Storm")
    assert len(posts(sandbox)) == 1
    assert "name" not in posts(sandbox)[0]["body"] or posts(sandbox)[0]["body"]["name"] == "Storm"


@KINDS
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429])
def test_refused_post_is_not_an_unknown_outcome(sandbox, task, kind, status):
    sandbox.fault(method="POST", path="/campaigns", status=status, headers={"Retry-After": "60"})
    with pytest.raises(Exception, match=f"HTTP {status}"):
        execute(task, kind)
    assert len(posts(sandbox)) == 1


def test_first_try_searches_once(sandbox, task, tmp_path):
    execute(task, "create")
    assert [each["method"] for each in sandbox.requests(path="/campaigns")] == ["GET", "POST"]
    execute(task, "clone", run_id="another", store=FileStore(tmp_path / "state", lambda _: None))
    # A clone's source is read as well: each of its variables must be filled.
    assert [each["method"] for each in sandbox.requests(path="/campaigns")][2:] == ["GET", "GET", "POST"]


class SlowStore(FileStore):
    """A store that is slow, as if Airflow's API server were unavailable for a while."""

    delays, intents = (), 0

    def set(self, key, value):
        super().set(key, value)
        self.intents += "intent_dt" in value
        self.delays, delay = self.delays[1:], (*self.delays, 0)[0]
        time.sleep(delay)


@pytest.mark.parametrize("delays", [(), (0.5,), (0.5, 0.5)])
def test_intent_is_stored_again_if_storing_it_was_slow(sandbox, task, tmp_path, delays):
    store = SlowStore(tmp_path / "state", lambda _: None)
    store.delays = delays
    sandbox.fault(method="POST", path="/campaigns", drop=True)
    with pytest.raises(AirflowException, match="not known whether"):
        execute(task, "create", store=store)
    assert len(posts(sandbox)) == 1
    assert store.intents == len(delays) + 1


def test_nothing_is_sent_if_the_intent_cannot_be_stored_in_time(sandbox, task, tmp_path):
    store = SlowStore(tmp_path / "state", lambda _: None)
    store.delays = (0.5,) * 3
    with pytest.raises(BMTransportError, match="nothing was sent"):
        execute(task, "create", store=store)
    assert posts(sandbox) == []


def test_waiting_for_a_schedule_without_an_end_logs_a_warning(sandbox, task, caplog):
    arguments = {**task["create"], "schedule_rrule": "FREQ=DAILY", "wait_for_completion": True}
    arguments["allow_immediate"] = True
    with pytest.raises(AirflowException):
        run("create", {**arguments, "timeout": 0.1}, TaskInstance("run", 1, lambda _: None), None)
    assert "'FREQ=DAILY' has no end" in caplog.text


def test_running_the_same_try_again_sends_nothing(sandbox, task, assert_sent_once):
    """As with `airflow tasks test` on Airflow 2, or a DAG run that was deleted and created again."""
    uuid = execute(task, "create")
    assert execute(task, "create") == uuid
    assert_sent_once("run")


def test_retry_with_a_state_store_makes_one_get(sandbox, task, tmp_path):
    store = FileStore(tmp_path / "state", lambda _: None)
    uuid = execute(task, "create", store=store)
    before = len(sandbox.requests())
    assert execute(task, "create", number=2, store=store) == uuid
    # Airflow 3.3.2 can run the same try again.
    assert execute(task, "create", number=1, store=store) == uuid
    assert [each["method"] for each in sandbox.requests()[before:]] == ["GET", "GET"]
    record = json.loads((tmp_path / "state").read_text())[STATE_KEY]
    assert record["uuid"] == uuid
    assert record["name"].endswith("] Storm")


def test_deleted_campaign_is_created_again_only_without_its_record(sandbox, task, tmp_path):
    """The retry of a task whose campaign was deleted fails, until its state is deleted as well."""
    store = FileStore(tmp_path / "state", lambda _: None)
    uuid = execute(task, "create", store=store)
    BMHook().delete_campaign(uuid)
    with pytest.raises(AirflowFailException, match=f"delete '{STATE_KEY}' from the task instance's state"):
        execute(task, "create", number=2, store=store)
    (tmp_path / "state").unlink()
    assert execute(task, "create", number=2, store=store) != uuid


def test_existing_draft_is_not_adopted(sandbox, task, monkeypatch):
    """Such as one created by a staging Airflow, through a draft_only connection to the same service."""
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3, draft_only=True))
    execute(task, "create")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    with pytest.raises(AirflowFailException, match="exists already, as a draft"):
        execute(task, "create", number=2)
    assert sandbox.executions() == []


def test_stopped_campaign_is_not_adopted(sandbox, task):
    sandbox.clock.freeze()
    uuid = execute(task, "create")
    BMHook().set_campaign_status(uuid, "stopped")
    with pytest.raises(AirflowFailException, match="exists already, and was stopped"):
        execute(task, "create", number=2)
    assert len(posts(sandbox)) == 1


def test_retry_searches_for_the_name_that_was_sent(sandbox, task, tmp_path, assert_sent_once):
    """Not for the name that its template renders to in the retry."""
    store = FileStore(tmp_path / "state", lambda _: None)
    sandbox.fault(method="POST", path="/campaigns", lose_reply=True)
    sandbox.fault(method="GET", path="/campaigns", times=100, status=403)
    with pytest.raises(AirflowFailException):
        execute(task, "create", name="Storm 20:00", store=store)
    sandbox.clear_faults()
    execute(task, "create", number=2, name="Storm 20:05", store=store)
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")


@pytest.mark.parametrize(
    "invalid",
    [
        {"status": None},
        {"timeout": "7d"},
        {"timeout": -1},
        {"poke_interval": 0},
        {"poke_interval": None},
        {"staged": True, "deduplicate": False},
    ],
)
@KINDS
def test_invalid_argument_fails_before_any_request(sandbox, task, kind, invalid):
    with pytest.raises(AirflowFailException, match=f"{next(iter(invalid))}="):
        execute(task, kind, **invalid)
    assert sandbox.requests() == []


def test_draft_only_does_not_wait_for_completion(sandbox, task, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    execute(task, "create", wait_for_completion=True)
    assert sandbox.executions() == []


def test_deleted_staged_campaign_is_not_created_again(sandbox, task, tmp_path, monkeypatch):
    store = FileStore(tmp_path / "state", lambda _: None)
    uuid = execute(task, "create", staged=True, store=store)
    assert execute(task, "create", staged=True, number=2, store=store) == uuid
    BMHook().delete_campaign(uuid)
    with pytest.raises(AirflowFailException, match="has been deleted since"):
        execute(task, "create", staged=True, number=2, store=store)


@pytest.mark.parametrize("ignore_filters", [False, True], ids=["server filters", "server ignores filters"])
@pytest.mark.parametrize(
    "name", ["Storm", 'O\'Neil "quoted"', "a,b;c", "[brackets] (and) more", "Sturm ⛈️ ü", "100% & more=less?"]
)
def test_campaign_is_found_whatever_its_name(sandbox, task, assert_sent_once, name, ignore_filters):
    for number in range(150):
        sandbox.create(name=f"Other {number}", status="draft")
    sandbox.fault(method="POST", path="/campaigns", lose_reply=True)
    sandbox.ignore_filters = ignore_filters
    execute(task, "create", name=name)
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")


def test_campaign_is_found_although_the_server_neither_filters_nor_sorts(sandbox, requests_mock):
    """The first campaign may be old although later ones are not: the search must not stop there."""
    rows = [
        {
            "uuid": f"00000000-0000-4000-8000-00000000000{n}",
            "status": "active",
            "name": name,
            "created_dt": when,
        }
        for n, (name, when) in enumerate(
            [("Old", OLD), ("Less old", OLD.replace("02", "03")), (f"[{KEY}] It", NOW)]
        )
    ]
    pagination = {"total": 3, "count": 3, "perPage": 100, "currentPage": 1, "totalPages": 1, "links": {}}
    requests_mock.post(sandbox.token_url, json={"access_token": "a-token-of-some-length", "expires_in": 60})
    requests_mock.get(
        f"{sandbox.api_url}/services/{sandbox.service_uuid}/campaigns",
        json={"data": rows, "meta": {"pagination": pagination}},
    )
    found = search.campaigns_with_key(BMHook().client, KEY, datetime.fromisoformat(NOW))
    assert [each["name"] for each in found] == [f"[{KEY}] It"]


def test_post_is_not_replayed_after_a_late_token(sandbox, task):
    """After a 401 the new token took so long that others may assume the first request has ended."""
    BMHook().client.ensure_token()
    sandbox.fault(method="POST", path="/campaigns", status=401)
    sandbox.fault(path="/access-token", times=1, status=503)
    slow = RetryPolicy(first_wait=1.0)
    with use_retry_policy(slow), pytest.raises(BMConnectError, match="was not sent again"):
        execute(task, "create")
    assert [each["status"] for each in posts(sandbox)] == [401]


@pytest.mark.parametrize("ignore_filters", [False, True], ids=["server filters", "server ignores filters"])
def test_campaign_with_the_same_name_but_no_key_is_not_adopted(
    sandbox, task, assert_sent_once, ignore_filters
):
    sandbox.ignore_filters = ignore_filters
    uuid = execute(task, "create", deduplicate=False)
    assert execute(task, "create", number=2) != uuid
    assert_sent_once("run")


def test_too_many_campaigns_to_search_fails_before_any_post(sandbox, task, monkeypatch):
    monkeypatch.setattr(search, "MAX_CAMPAIGNS", 20)
    for number in range(30):
        sandbox.create(name=f"Other {number}", status="draft")
    sandbox.ignore_filters = True
    with pytest.raises(Exception, match="is not known; look for it in the BM console"):
        execute(task, "create", number=2)
    assert posts(sandbox) == []


def test_adopting_logs_the_fields_that_differ(sandbox, task, caplog):
    execute(task, "create")
    caplog.set_level(logging.WARNING)
    execute(task, "create", number=2, template="Something else", sender="+41580000001")
    assert "sender is '+41587000000' instead of '+41580000001'" in caplog.text
    assert "template is 'Stay at home, {first_name}.' instead of 'Something else'" in caplog.text


def test_name_starts_with_the_key_of_the_task_instance(sandbox, task):
    execute(task, "create")
    execute(task, "clone", run_id="another")
    names = [each["body"]["name"] for each in posts(sandbox)]
    key = task_key("warn", "run", "send", -1)
    other = task_key("warn", "another", "send", -1)
    assert names == [f"[{key}] Storm", f"[{other}] warn.send"]
    assert len(key) == 16
    assert key != task_key("warn", "run", "send", 0)


@pytest.mark.parametrize("name", ["", "  ", ["Storm"], "None"])
def test_name_that_is_empty_apart_from_its_key_is_refused(sandbox, task, name):
    with pytest.raises(AirflowFailException, match="name="):
        execute(task, "create", name=name)
    assert sandbox.requests() == []


@pytest.mark.parametrize("fault", PROCESSED)
def test_lost_activation_of_a_staged_campaign_is_not_repeated(
    sandbox, task, assert_sent_once, monkeypatch, fault
):
    sandbox.fault(method="PUT", path="/campaigns", **PROCESSED[fault])
    execute(task, "create", staged=True)
    assert len(sandbox.requests(method="PUT")) == 1
    assert_sent_once("run")


def test_staged_campaign_with_status_draft_stays_a_draft(sandbox, task):
    execute(task, "create", staged=True, status="draft")
    assert sandbox.requests(method="PUT") == []
    assert sandbox.executions() == []


def test_staged_creates_one_draft_although_the_list_lacks_it(sandbox, task, monkeypatch):
    pagination = {"total": 0, "count": 0, "perPage": 100, "currentPage": 1, "totalPages": 0, "links": {}}
    empty = {"data": [], "meta": {"pagination": pagination}}
    sandbox.fault(method="GET", path="/campaigns$", times=50, status=200, body=empty)
    with pytest.raises(BMResponseError, match="is not in the list"):
        execute(task, "create", staged=True)
    assert len(posts(sandbox)) == 1
    assert sandbox.executions() == []
