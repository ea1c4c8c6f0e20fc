"""What a first try does with a campaign that it finds, and with a reply that is not what was asked for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.campaigns import SegmentationQuery, SendWindow
from airflow_provider_bm.exceptions import BMConnectError
from airflow_provider_bm.idempotency.key import task_key
from airflow_provider_bm.idempotency.record import STATE_KEY
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from tests.idempotency.killed_task import FileStore, TaskInstance, run

KEY = task_key("warn", "run", "send", -1)


@pytest.fixture(autouse=True)
def timing(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    with use_timing(Timing(first_pause=0.1, created_dt_resolution=0.1, draft_pause=0.05)):
        yield


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "state", lambda _: None)


def execute(arguments, *, kind="create", number=1, store=None):
    return run(kind, arguments, TaskInstance("run", number, lambda _: None), store)


def posts(sandbox):
    return sandbox.requests(method="POST", path="/campaigns")


@pytest.mark.parametrize("kind", ["create", "clone"])
def test_a_run_that_was_deleted_and_created_again(sandbox, task, assert_sent_once, kind):
    uuid = execute(task[kind], kind=kind)
    assert execute(task[kind], kind=kind) == uuid
    assert_sent_once("run")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("template", "Something else"),
        ("sender", "+41580000001"),
        ("schedule_type", "once"),
        ("query", SegmentationQuery.where(city="Bern").to_json()),
    ],
)
@pytest.mark.parametrize("stored", [False, True], ids=["no store", "store"])
def test_other_content_under_its_key(sandbox, task, store, field, value, stored):
    ours = task["create"]
    more = {
        "schedule_type": {"schedule_rrule": "2040-01-01 00:00:00"},
        "query": {"query_type": "segmentation"},
    }
    changed = {**ours, field: value, **more.get(field, {})}
    sandbox.create(**{**changed, "name": f"[{KEY}] Storm", "status": "active"})
    sent = len(posts(sandbox))
    with pytest.raises(AirflowFailException, match="is not what this task would send") as error:
        execute(ours, store=store if stored else None)
    assert f"{field} is " in str(error.value)
    assert "key_namespace" in str(error.value)
    assert len(posts(sandbox)) == sent


def test_key_namespace_gives_another_key():
    assert task_key("warn", "run", "send", -1, "staging") != KEY


def test_a_reply_that_is_another_campaign(sandbox, task, store):
    """The campaign itself is found by its key."""
    other = sandbox.create(status="draft")
    sandbox.fault(method="POST", path="/campaigns$", change_reply=other)
    uuid = execute(task["create"], store=store)
    assert uuid != other["uuid"]
    assert len(posts(sandbox)) == 1


def test_a_reply_that_is_another_campaign_and_ours_does_not_exist(sandbox, task):
    other = sandbox.create(status="draft")
    sandbox.fault(method="POST", path="/campaigns$", status=201, body=other)
    with pytest.raises(AirflowException, match=f"answered with another campaign, {other['uuid']}") as error:
        execute(task["create"])
    assert not isinstance(error.value, AirflowFailException)
    execute(task["create"], number=2)
    assert len(sandbox.executions()) == 1


def test_a_reply_that_is_a_draft(sandbox, task):
    sandbox.fault(method="POST", path="/campaigns$", change_request={"status": "draft"})
    with pytest.raises(AirflowFailException, match=r"as 'draft'.*Nothing was sent"):
        execute(task["create"])
    with pytest.raises(AirflowFailException, match="exists already, as a draft"):
        execute(task["create"], number=2)
    assert sandbox.executions() == []


@pytest.mark.parametrize("status", ["draft", "stopped", "failed"])
@pytest.mark.parametrize("kind", ["create", "staged", "without key", "status", "update"])
def test_a_reply_that_is_not_active(sandbox, task, kind, status):
    """A green task would say that the campaign was sent, or that the connection is draft_only."""
    if kind in ("create", "without key"):
        sandbox.fault(method="POST", path="/campaigns$", change_reply={"status": status})
    else:
        sandbox.fault(method="PUT", change_reply={"status": status})
    arguments = {
        "staged": {**task["create"], "staged": True},
        "without key": {**task["create"], "deduplicate": False},
    }.get(kind, task["create"])
    if kind in ("status", "update"):
        draft = sandbox.create(status="draft", **task["create"])
        arguments = {"campaign_uuid": draft["uuid"], "status": "active"}
    with pytest.raises(AirflowFailException, match=f"as '{status}', though an active campaign was asked for"):
        execute(arguments, kind=kind if kind in ("status", "update") else "create")


def test_a_server_that_drops_the_key(sandbox, task, store, tmp_path):
    sandbox.fault(method="POST", path="/campaigns$", times=None, change_request={"name": "Campaign 17"})
    with pytest.raises(AirflowFailException, match="under another name, 'Campaign 17'") as error:
        execute(task["create"])
    (made,) = [each for each in sandbox.campaigns() if each["name"] == "Campaign 17"]
    assert made["uuid"] in str(error.value)
    uuid = execute(task["create"], store=store)
    assert uuid in (tmp_path / "state").read_text()
    assert execute(task["create"], number=2, store=store) == uuid
    assert len(posts(sandbox)) == 2


def test_of_several_the_oldest_that_is_no_draft_counts(sandbox, task, caplog):
    ours = {**task["create"], "name": f"[{KEY}] Storm"}
    sandbox.create(**ours, status="draft")
    sandbox.clock.advance(2)
    first = sandbox.create(**ours, status="active")
    sandbox.clock.advance(2)
    sandbox.create(**ours, status="active")
    assert execute(task["create"], number=2) == first["uuid"]
    errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "There are 3 campaigns" in errors[0]


def test_a_name_that_starts_with_a_key_loses_it(sandbox, task):
    execute({**task["create"], "name": "[0123456789ABCDEF] Storm \n warning "})
    assert posts(sandbox)[0]["body"]["name"] == f"[{KEY}] Storm warning"


class Recorded(FileStore):
    """A store whose record was made by a worker with another clock."""

    def record(self, **record):
        self.set(STATE_KEY, {"name": f"[{KEY}] Storm", **record})


@pytest.mark.parametrize("intent", ["2026-01-01T00:00:00+00:00", "2050-01-01T00:00:00+00:00"])
def test_workers_whose_clocks_differ(sandbox, task, tmp_path, assert_sent_once, intent):
    """An intent by a worker's own clock says nothing: the whole window applies, and no more."""
    store = Recorded(tmp_path / "state", lambda _: None)
    store.record(intent_dt=intent, intent_clock="local")
    slept = []
    timing = Timing(sleep=slept.append, monotonic=lambda: 0.0, first_pause=0.1)
    with use_timing(timing):
        execute(task["create"], number=2, store=store)
    assert sum(slept) == pytest.approx(2 * (2 * 0.3 + 0.3) + 3 * 0.3)
    assert_sent_once("run")


@pytest.mark.parametrize("record", [{"intent_dt": "yesterday"}, {"intent_dt": None}, "text", ["text"]])
def test_a_record_that_cannot_be_read(sandbox, task, store, assert_sent_once, record):
    """A request may be in flight: the whole window applies."""
    store.set(STATE_KEY, record)
    slept = []
    with use_timing(Timing(sleep=slept.append, monotonic=lambda: 0.0, first_pause=0.1)):
        execute(task["create"], number=2, store=store)
    assert sum(slept) == pytest.approx(2 * (2 * 0.3 + 0.3) + 3 * 0.3)
    assert_sent_once("run")


def test_an_intent_by_the_servers_clock_that_is_long_over(sandbox, task, tmp_path):
    store = Recorded(tmp_path / "state", lambda _: None)
    store.record(intent_dt="2026-01-01T00:00:00+00:00", intent_clock="server")
    slept = []
    with use_timing(Timing(sleep=slept.append)):
        execute(task["create"], number=2, store=store)
    assert slept == []


def test_a_clock_that_stands_still(sandbox, task, assert_sent_once):
    """The search ends by elapsed time, even if no clock moves."""
    sandbox.clock.freeze()
    slept = []
    with use_timing(Timing(sleep=slept.append, monotonic=lambda: 0.0)):
        execute(task["create"], number=2)
    assert 2 < sum(slept) < 4


def test_a_post_that_would_leave_long_after_its_intent_is_not_sent(sandbox, task, monkeypatch):
    """Whoever searches for the campaign of a lost POST counts from its intent."""
    connection = sandbox.connection_json(timeout=0.3, max_campaigns_per_hour=5)
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection)
    # The first list is the search; the second one counts, and is repeated after a pause.
    sandbox.fault(method="GET", path="/campaigns$", nth=2, times=3, status=503)
    with pytest.raises(BMConnectError, match="took too long; the request was not sent"):
        execute(task["create"])
    assert posts(sandbox) == []


# Drafts of dead attempts, staged=True


@pytest.fixture
def abandoned(sandbox, task):
    """A draft whose creator died long ago."""
    sandbox.clock.speed = 1
    draft = sandbox.create(**{**task["create"], "name": f"[{KEY}] Storm"}, status="draft")
    sandbox.clock.advance(600)
    return draft


class Killed(BaseException):
    pass


@pytest.mark.parametrize("stored", [False, True], ids=["no store", "store"])
def test_a_try_that_is_killed_after_it_found_an_abandoned_draft(
    sandbox, task, abandoned, store, assert_sent_once, stored
):
    """The second try is killed in the middle of a slow PUT, and the third comes at once."""
    arguments, store = {**task["create"], "staged": True}, store if stored else None

    def die_while_polling(seconds):
        if seconds == 0.05:
            raise Killed

    sandbox.fault(method="PUT", delay=1.5)
    timing = Timing(sleep=die_while_polling, created_dt_resolution=0.1, draft_pause=0.05)
    with use_timing(timing), pytest.raises(Killed):
        execute(arguments, number=2, store=store)
    execute(arguments, number=3, store=store)
    sandbox.clock.advance(60)
    time.sleep(1.5)
    assert_sent_once("run")


def test_an_abandoned_draft_does_not_bypass_a_window(sandbox, task, abandoned):
    """The draft says "now", and was created while the window was open."""
    now = datetime.now(UTC)
    opening, closing = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (6, 12))
    window = SendWindow(opening, closing, on_closed="schedule")
    uuid = execute({**task["create"], "staged": True, "send_window": window}, number=2)
    assert sandbox.executions() == []
    (sent,) = [each for each in sandbox.campaigns() if each["uuid"] == uuid]
    assert (sent["status"], sent["schedule_type"]) == ("active", "once")


def test_an_abandoned_draft_that_was_changed_is_kept(sandbox, task, abandoned):
    with pytest.raises(AirflowFailException, match=r"not what this task would send.*template is"):
        execute({**task["create"], "template": "Go home.", "staged": True}, number=2)
    assert abandoned["uuid"] in {each["uuid"] for each in sandbox.campaigns()}
    assert sandbox.executions() == []


@pytest.mark.parametrize("name", [f"DONE [{KEY}] Storm", f"&#91;{KEY}&#93; Storm"])
def test_a_key_elsewhere_in_a_name_is_not_ignored(sandbox, task, name):
    """A server that escapes brackets, or a person who put something in front: it may be ours."""
    sandbox.create(**{**task["create"], "name": name, "status": "active"})
    with pytest.raises(AirflowFailException, match="not at the start of its name"):
        execute(task["create"])
    assert posts(sandbox) == []
