"""One campaign, whatever becomes of the reply: lost, cut off, garbage, late, or a gateway's word."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.client import BMClient, retry
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
#: What happens to a POST that was carried out.
LOST = {
    "lost": {"lose_reply": True},
    "cut off": {"truncate": True},
    "garbage": {"garbage": True},
    "HTML": {"html": True, "apply": True},
    "500": {"status": 500, "apply": True},
    "502": {"status": 502, "apply": True},
    "503": {"status": 503, "apply": True},
    "504": {"status": 504, "apply": True},
    "408": {"status": 408, "apply": True},
    "late": {"delay_after": 0.5},
    "carried out when the client has given up": {"delay": 0.5},
}
#: What happens to one that was not, without the client being able to know.
VANISHED = {"dropped": {"drop": True}, "502": {"status": 502}, "503": {"status": 503}, "HTML": {"html": True}}


@pytest.fixture(autouse=True)
def quick(monkeypatch, sandbox):
    monkeypatch.setattr(retry, "active", retry.RetryPolicy(first_wait=0.01))
    # A request is in flight for up to 2.7 s.
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    # The sandbox's clock runs twenty times as fast, see the fixture `task`.
    monkeypatch.setattr(BMClient, "server_now", lambda self: None)
    with use_timing(Timing(first_pause=0.1, created_dt_resolution=0.2, draft_pause=0.1)):
        yield


def execute(task, kind, *, number=1, store=None, run_id="run", **arguments):
    ti = TaskInstance(run_id, number, lambda _: None)
    return run(kind, {**task[kind], **arguments}, ti, store)


def posts(sandbox):
    return sandbox.requests(method="POST", path="/campaigns")


@KINDS
@pytest.mark.parametrize("how", LOST)
def test_carried_out(sandbox, task, assert_sent_once, caplog, kind, how):
    sandbox.fault(method="POST", path="/campaigns", **LOST[how])
    uuid = execute(task, kind)
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")
    assert f"Campaign {uuid}" in caplog.text
    assert "was created by an earlier request of this task instance" in caplog.text


def test_the_time_that_a_token_takes_does_not_count(sandbox, task, assert_sent_once, monkeypatch):
    monkeypatch.setattr(retry, "active", retry.RetryPolicy(first_wait=2.0))
    sandbox.fault(path="/access-token", times=2, status=503)
    sandbox.fault(method="POST", path="/campaigns", delay=0.5)  # carried out when the client has given up
    execute(task, "create")
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")


@pytest.mark.parametrize("how", VANISHED)
@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
def test_not_carried_out(sandbox, task, assert_sent_once, tmp_path, how, stored):
    """The try fails, and says what to look for; the next one looks again, and only then sends."""
    store = FileStore(tmp_path / "state", lambda _: None) if stored else None
    sandbox.fault(method="POST", path="/campaigns", **VANISHED[how])
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
@pytest.mark.parametrize("how", ["lost", "502", "late"])
def test_without_deduplicate_it_is_up_to_a_person(sandbox, task, kind, how):
    sandbox.fault(method="POST", path="/campaigns", **LOST[how])
    with pytest.raises(AirflowFailException, match="before you repeat this, or it may be sent twice"):
        execute(task, kind, deduplicate=False, name="Storm")
    assert len(posts(sandbox)) == 1
    assert "name" not in posts(sandbox)[0]["body"] or posts(sandbox)[0]["body"]["name"] == "Storm"


@KINDS
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429])
def test_refused_is_not_unknown(sandbox, task, kind, status):
    sandbox.fault(method="POST", path="/campaigns", status=status, headers={"Retry-After": "60"})
    with pytest.raises(Exception, match=f"HTTP {status}"):
        execute(task, kind)
    assert len(posts(sandbox)) == 1


def test_a_first_try_searches_once(sandbox, task, tmp_path):
    execute(task, "create")
    assert [each["method"] for each in sandbox.requests(path="/campaigns")] == ["GET", "POST"]
    execute(task, "clone", run_id="another", store=FileStore(tmp_path / "state", lambda _: None))
    # A clone's source is read, too: each of its variables must be filled.
    assert [each["method"] for each in sandbox.requests(path="/campaigns")][2:] == ["GET", "GET", "POST"]


class SlowStore(FileStore):
    """Airflow repeats each call of it, while its API server is away."""

    waits, intents = (), 0

    def set(self, key, value):
        super().set(key, value)
        self.intents += "intent_dt" in value
        self.waits, wait = self.waits[1:], (*self.waits, 0)[0]
        time.sleep(wait)


@pytest.mark.parametrize("waits", [(), (0.5,), (0.5, 0.5)])
def test_what_is_in_flight_is_counted_from_just_before_it_leaves(sandbox, task, tmp_path, waits):
    store = SlowStore(tmp_path / "state", lambda _: None)
    store.waits = waits
    sandbox.fault(method="POST", path="/campaigns", drop=True)
    with pytest.raises(AirflowException, match="not known whether"):
        execute(task, "create", store=store)
    assert len(posts(sandbox)) == 1
    assert store.intents == len(waits) + 1


def test_nothing_is_sent_if_an_intent_cannot_be_kept_in_time(sandbox, task, tmp_path):
    store = SlowStore(tmp_path / "state", lambda _: None)
    store.waits = (0.5,) * 3
    with pytest.raises(BMTransportError, match="nothing was sent"):
        execute(task, "create", store=store)
    assert posts(sandbox) == []


def test_what_does_not_end_in_time_is_told(sandbox, task, caplog):
    arguments = {**task["create"], "schedule_rrule": "FREQ=DAILY", "wait_for_completion": True}
    arguments["allow_immediate"] = True
    with pytest.raises(AirflowException):
        run("create", {**arguments, "timeout": 0.1}, TaskInstance("run", 1, lambda _: None), None)
    assert "'FREQ=DAILY' has no end" in caplog.text


def test_the_same_try_run_again_sends_nothing(sandbox, task, assert_sent_once):
    """As `airflow tasks test` on Airflow 2 does, and a DAG run that was deleted and created again."""
    uuid = execute(task, "create")
    assert execute(task, "create") == uuid
    assert_sent_once("run")


def test_with_the_store_a_retry_makes_one_get(sandbox, task, tmp_path):
    store = FileStore(tmp_path / "state", lambda _: None)
    uuid = execute(task, "create", store=store)
    seen = len(sandbox.requests())
    assert execute(task, "create", number=2, store=store) == uuid
    # Airflow 3.3.2 can run the same try again.
    assert execute(task, "create", number=1, store=store) == uuid
    assert [each["method"] for each in sandbox.requests()[seen:]] == ["GET", "GET"]
    kept = json.loads((tmp_path / "state").read_text())[STATE_KEY]
    assert kept["uuid"] == uuid
    assert kept["name"].endswith("] Storm")


def test_a_campaign_that_a_person_deleted(sandbox, task, tmp_path):
    """It is not made anew by itself; deleting the record, too, says that it should be."""
    store = FileStore(tmp_path / "state", lambda _: None)
    uuid = execute(task, "create", store=store)
    BMHook().delete_campaign(uuid)
    with pytest.raises(AirflowFailException, match=f"delete '{STATE_KEY}' from the task instance's state"):
        execute(task, "create", number=2, store=store)
    (tmp_path / "state").unlink()
    assert execute(task, "create", number=2, store=store) != uuid


def test_a_draft_is_not_taken_for_a_campaign_that_was_sent(sandbox, task, monkeypatch):
    """Such as one that a staging Airflow made, through a draft_only connection to the same service."""
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3, draft_only=True))
    execute(task, "create")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    with pytest.raises(AirflowFailException, match="exists already, as a draft"):
        execute(task, "create", number=2)
    assert sandbox.executions() == []


def test_a_stopped_one_is_not_taken_for_done(sandbox, task):
    sandbox.clock.freeze()
    uuid = execute(task, "create")
    BMHook().set_campaign_status(uuid, "stopped")
    with pytest.raises(AirflowFailException, match="exists already, and was stopped"):
        execute(task, "create", number=2)
    assert len(posts(sandbox)) == 1


def test_the_name_that_was_sent_is_looked_for(sandbox, task, tmp_path, assert_sent_once):
    """Not the one that a template gives it later."""
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
    "wrong",
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
def test_all_is_checked_before_anything_is_sent(sandbox, task, kind, wrong):
    with pytest.raises(AirflowFailException, match=f"{next(iter(wrong))}="):
        execute(task, kind, **wrong)
    assert sandbox.requests() == []


def test_draft_only_is_not_waited_for(sandbox, task, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    execute(task, "create", wait_for_completion=True)
    assert sandbox.executions() == []


def test_a_staged_campaign_that_a_person_deleted(sandbox, task, tmp_path, monkeypatch):
    store = FileStore(tmp_path / "state", lambda _: None)
    uuid = execute(task, "create", staged=True, store=store)
    assert execute(task, "create", staged=True, number=2, store=store) == uuid
    BMHook().delete_campaign(uuid)
    with pytest.raises(AirflowFailException, match="has been deleted since"):
        execute(task, "create", staged=True, number=2, store=store)


@pytest.mark.parametrize("ignored", [False, True], ids=["server filters", "server does not"])
@pytest.mark.parametrize(
    "name", ["Storm", 'O\'Neil "quoted"', "a,b;c", "[brackets] (and) more", "Sturm ⛈️ ü", "100% & more=less?"]
)
def test_found_by_any_name(sandbox, task, assert_sent_once, name, ignored):
    for number in range(150):
        sandbox.create(name=f"Other {number}", status="draft")
    sandbox.fault(method="POST", path="/campaigns", lose_reply=True)
    sandbox.ignore_filters = ignored
    execute(task, "create", name=name)
    assert len(posts(sandbox)) == 1
    assert_sent_once("run")


def test_found_although_the_server_neither_filters_nor_sorts(sandbox, requests_mock):
    """An old campaign at the top is then no proof that all that follow are older."""
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


def test_a_replay_that_comes_too_late_is_not_made(sandbox, task, monkeypatch):
    """After a 401 the new token took so long that others may count on the first request's being over."""
    monkeypatch.setattr(retry, "active", retry.RetryPolicy(first_wait=1.0))
    BMHook().client.ensure_token()
    sandbox.fault(method="POST", path="/campaigns", status=401)
    sandbox.fault(path="/access-token", times=1, status=503)
    with pytest.raises(BMConnectError, match="was not sent again"):
        execute(task, "create")
    assert [each["status"] for each in posts(sandbox)] == [401]


@pytest.mark.parametrize("ignored", [False, True], ids=["server filters", "server does not"])
def test_similar_names_are_not_taken(sandbox, task, assert_sent_once, ignored):
    sandbox.ignore_filters = ignored
    uuid = execute(task, "create", deduplicate=False)
    assert execute(task, "create", number=2) != uuid
    assert_sent_once("run")


def test_a_server_that_does_not_filter_and_has_too_many(sandbox, task, monkeypatch):
    monkeypatch.setattr(search, "MAX_CAMPAIGNS", 20)
    for number in range(30):
        sandbox.create(name=f"Other {number}", status="draft")
    sandbox.ignore_filters = True
    with pytest.raises(Exception, match="is not known; look for it in the BM console"):
        execute(task, "create", number=2)
    assert posts(sandbox) == []


def test_adopting_says_what_is_different(sandbox, task, caplog):
    execute(task, "create")
    caplog.set_level(logging.WARNING)
    execute(task, "create", number=2, template="Something else", sender="+41580000001")
    assert "sender is '+41587000000' instead of '+41580000001'" in caplog.text
    assert "template is 'Stay at home, {first_name}.' instead of 'Something else'" in caplog.text


def test_the_name(sandbox, task):
    execute(task, "create")
    execute(task, "clone", run_id="another")
    names = [each["body"]["name"] for each in posts(sandbox)]
    key = task_key("warn", "run", "send", -1)
    other = task_key("warn", "another", "send", -1)
    assert names == [f"[{key}] Storm", f"[{other}] warn.send"]
    assert len(key) == 16
    assert key != task_key("warn", "run", "send", 0)


@pytest.mark.parametrize("name", ["", "  ", ["Storm"], "None"])
def test_a_mark_does_not_make_a_name_of_nothing(sandbox, task, name):
    with pytest.raises(AirflowFailException, match="name="):
        execute(task, "create", name=name)
    assert sandbox.requests() == []


@pytest.mark.parametrize("how", LOST)
def test_staged(sandbox, task, assert_sent_once, monkeypatch, how):
    """The PUT that activates is lost: it is not repeated."""
    sandbox.fault(method="PUT", path="/campaigns", **LOST[how])
    execute(task, "create", staged=True)
    assert len(sandbox.requests(method="PUT")) == 1
    assert_sent_once("run")


def test_staged_drafts_stay_drafts(sandbox, task):
    execute(task, "create", staged=True, status="draft")
    assert sandbox.requests(method="PUT") == []
    assert sandbox.executions() == []


def test_staged_makes_one_draft_though_the_list_does_not_show_it(sandbox, task, monkeypatch):
    pagination = {"total": 0, "count": 0, "perPage": 100, "currentPage": 1, "totalPages": 0, "links": {}}
    empty = {"data": [], "meta": {"pagination": pagination}}
    sandbox.fault(method="GET", path="/campaigns$", times=50, status=200, body=empty)
    with pytest.raises(BMResponseError, match="is not in the list"):
        execute(task, "create", staged=True)
    assert len(posts(sandbox)) == 1
    assert sandbox.executions() == []
