"""Adopting a campaign that exists already, and responses that do not match the request."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.campaigns import SegmentationQuery, SendWindow
from airflow_provider_bm.exceptions import BMConnectError, BMResponseError
from airflow_provider_bm.hooks import BMHook
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
def test_deleted_and_recreated_dag_run_sends_nothing_again(sandbox, task, assert_sent_once, kind):
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
def test_campaign_with_the_key_but_other_content_is_not_adopted(sandbox, task, store, field, value, stored):
    arguments = task["create"]
    required = {
        "schedule_type": {"schedule_rrule": "2040-01-01 00:00:00"},
        "query": {"query_type": "segmentation"},
    }
    changed = {**arguments, field: value, **required.get(field, {})}
    sandbox.create(**{**changed, "name": f"[{KEY}] Storm", "status": "active"})
    sent = len(posts(sandbox))
    with pytest.raises(AirflowFailException, match="is not what this task would send") as error:
        execute(arguments, store=store if stored else None)
    assert f"{field} is " in str(error.value)
    assert "key_namespace" in str(error.value)
    assert len(posts(sandbox)) == sent


@pytest.mark.parametrize("recorded", [True, False])
def test_campaign_with_the_key_of_an_earlier_version(sandbox, task, store, recorded):
    """It is found by its recorded UUID only, as "Upgrading from an earlier key" in the documentation says."""
    name = "Storm [7c41e09ab2]"
    earlier = sandbox.create(**{**task["create"], "name": name, "status": "active"})["uuid"]
    if recorded:
        store.set(STATE_KEY, {"name": name, "uuid": earlier})
    sent = len(posts(sandbox))
    assert (execute(task["create"], number=2, store=store) == earlier) is recorded
    assert len(posts(sandbox)) == sent + (not recorded)


def test_key_namespace_changes_the_key():
    assert task_key("warn", "run", "send", -1, "staging") != KEY


def test_response_with_another_campaign_is_ignored(sandbox, task, store):
    """The search by key finds the right campaign."""
    other = sandbox.create(status="draft")
    sandbox.fault(method="POST", path="/campaigns$", change_reply=other)
    uuid = execute(task["create"], store=store)
    assert uuid != other["uuid"]
    assert len(posts(sandbox)) == 1


def test_response_with_another_campaign_fails_the_try_if_the_search_finds_nothing(sandbox, task):
    other = sandbox.create(status="draft")
    sandbox.fault(method="POST", path="/campaigns$", status=201, body=other)
    with pytest.raises(AirflowException, match=f"answered with another campaign, {other['uuid']}") as error:
        execute(task["create"])
    assert not isinstance(error.value, AirflowFailException)
    execute(task["create"], number=2)
    assert len(sandbox.executions()) == 1


def test_response_with_another_campaign_fails_a_task_without_a_key(sandbox, task):
    other = sandbox.create(status="active", schedule_type="once", schedule_rrule="2099-01-01 09:00:00")
    sandbox.fault(method="POST", path="/campaigns$", status=201, body=other)
    with pytest.raises(AirflowException, match=f"answered with another campaign, {other['uuid']}"):
        execute({**task["create"], "deduplicate": False})


def test_response_with_another_draft_does_not_delete_it(sandbox, task):
    """staged=True deletes drafts that are not needed, but only its own."""
    other = sandbox.create(status="draft")
    sandbox.fault(method="POST", path="/campaigns$", change_reply=other)
    with pytest.raises(AirflowException, match=f"answered with another campaign, {other['uuid']}"):
        execute({**task["create"], "staged": True})
    assert other["uuid"] in {each["uuid"] for each in sandbox.campaigns()}
    assert sandbox.executions() == []


def test_response_with_a_draft_fails_the_task(sandbox, task):
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
    with pytest.raises(AirflowFailException, match=f"as '{status}', though an active campaign was requested"):
        execute(arguments, kind=kind if kind in ("status", "update") else "create")


def test_server_that_drops_the_key_from_the_name_fails_the_task_without_a_store(
    sandbox, task, store, tmp_path
):
    sandbox.fault(method="POST", path="/campaigns$", times=None, change_request={"name": "Campaign 17"})
    with pytest.raises(AirflowFailException, match="under another name, 'Campaign 17'") as error:
        execute(task["create"])
    (created,) = [each for each in sandbox.campaigns() if each["name"] == "Campaign 17"]
    assert created["uuid"] in str(error.value)
    uuid = execute(task["create"], store=store)
    assert uuid in (tmp_path / "state").read_text()
    assert execute(task["create"], number=2, store=store) == uuid
    assert len(posts(sandbox)) == 2


def test_oldest_campaign_that_is_not_a_draft_is_adopted(sandbox, task, caplog):
    ours = {**task["create"], "name": f"[{KEY}] Storm"}
    sandbox.create(**ours, status="draft")
    sandbox.clock.advance(2)
    first = sandbox.create(**ours, status="active")
    sandbox.clock.advance(2)
    sandbox.create(**ours, status="active")
    assert execute(task["create"], number=2) == first["uuid"]
    errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "There are 3 campaigns" in errors[0]


def test_key_at_the_start_of_the_name_argument_is_replaced(sandbox, task):
    execute({**task["create"], "name": "[0123456789ABCDEF] Storm \n warning "})
    assert posts(sandbox)[0]["body"]["name"] == f"[{KEY}] Storm warning"


class PresetStore(FileStore):
    """A store whose record was written by another worker, perhaps with a different clock."""

    def record(self, **record):
        self.set(STATE_KEY, {"name": f"[{KEY}] Storm", **record})


@pytest.mark.parametrize("intent", ["2026-01-01T00:00:00+00:00", "2050-01-01T00:00:00+00:00"])
def test_intent_by_a_local_clock_is_searched_for_the_whole_window(
    sandbox, task, tmp_path, assert_sent_once, intent
):
    """Clocks of workers differ, so the age of such an intent is unknown. Never longer than the window."""
    store = PresetStore(tmp_path / "state", lambda _: None)
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


def test_old_intent_by_the_servers_clock_is_not_waited_for(sandbox, task, tmp_path):
    store = PresetStore(tmp_path / "state", lambda _: None)
    store.record(intent_dt="2026-01-01T00:00:00+00:00", intent_clock="server")
    slept = []
    with use_timing(Timing(sleep=slept.append)):
        execute(task["create"], number=2, store=store)
    assert slept == []


def test_search_ends_although_no_clock_advances(sandbox, task, assert_sent_once):
    """The time slept is counted, too."""
    sandbox.clock.freeze()
    slept = []
    with use_timing(Timing(sleep=slept.append, monotonic=lambda: 0.0)):
        execute(task["create"], number=2)
    assert 2 < sum(slept) < 4


def test_post_long_after_its_intent_is_not_sent(sandbox, task, monkeypatch):
    """Later tries wait for a lost POST only for a limited time after its intent."""
    connection = sandbox.connection_json(timeout=0.3, max_campaigns_per_hour=5)
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection)
    # The first GET is the search; the second counts campaigns, and is repeated after a pause.
    sandbox.fault(method="GET", path="/campaigns$", nth=2, times=3, status=503)
    with pytest.raises(BMConnectError, match="took too long; the request was not sent"):
        execute(task["create"])
    assert posts(sandbox) == []


@pytest.mark.parametrize("stored", [False, True], ids=["no store", "store"])
def test_a_clone_whose_source_was_deleted_is_still_adopted(sandbox, task, store, stored):
    store = store if stored else None
    uuid = execute(task["clone"], kind="clone", store=store)
    BMHook().delete_campaign(task["clone"]["clone_uuid"])
    assert execute(task["clone"], kind="clone", number=2, store=store) == uuid


@pytest.mark.parametrize("staged", [False, True])
def test_a_list_that_is_incomplete_does_not_prove_that_there_is_no_campaign(sandbox, task, staged):
    """The campaign of an earlier try may be among those that the server did not return."""
    pagination = {"total": 1, "count": 0, "perPage": 100, "currentPage": 1, "totalPages": 1, "links": {}}
    page = {"data": [], "meta": {"pagination": pagination}}
    sandbox.fault(method="GET", path="/campaigns$", times=99, status=200, body=page)
    with pytest.raises(BMResponseError, match="returned 0 of 1 campaigns"):
        execute({**task["create"], "staged": staged}, number=2)
    assert posts(sandbox) == []


class TestChangedBetweenTries:
    """The first try's POST is still in flight when somebody changes a setting, and the task is retried."""

    @pytest.fixture(autouse=True)
    def first_try(self, sandbox, task, store):
        sandbox.clock.speed = 1
        sandbox.fault(method="POST", path="/campaigns$", delay=1.5)
        at_once = Timing(window=lambda client: timedelta(0))
        with use_timing(at_once), pytest.raises(AirflowException, match="not known whether"):
            execute(task["create"], store=store)

    def test_staged(self, sandbox, task, store):
        execute({**task["create"], "staged": True}, number=2, store=store)
        time.sleep(1.5)  # until the POST of the first try is processed
        sandbox.clock.advance(60)
        assert len(sandbox.executions()) == 1

    def test_key_namespace(self, sandbox, task, store, monkeypatch):
        monkeypatch.setenv("AIRFLOW__BM__KEY_NAMESPACE", "staging")
        execute(task["create"], number=2, store=store)
        time.sleep(1.5)
        sandbox.clock.advance(60)
        assert len(sandbox.executions()) == 1


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


@pytest.mark.parametrize("executed", [True, False])
def test_a_draft_that_was_active_before_is_not_replaced(sandbox, task, executed):
    """Somebody made the campaign a draft, to correct it or to cancel it."""
    sandbox.clock.speed = 1
    later = {} if executed else {"schedule_type": "once", "schedule_rrule": "2040-01-01 00:00:00"}
    arguments = {**task["create"], **later, "staged": True}
    uuid = execute(arguments)
    sandbox.clock.advance(600)
    BMHook().update_campaign(uuid, {"status": "draft"})
    with pytest.raises(AirflowFailException, match="was changed after it was created"):
        execute(arguments, number=2)
    assert [each["uuid"] for each in sandbox.campaigns() if each["name"].startswith(f"[{KEY}]")] == [uuid]
    assert len(sandbox.executions()) == executed


@pytest.mark.parametrize("name", [f"DONE [{KEY}] Storm", f"&#91;{KEY}&#93; Storm"])
def test_a_key_elsewhere_in_a_name_is_not_ignored(sandbox, task, name):
    """A server that escapes brackets, or a person who put something in front: it may be ours."""
    sandbox.create(**{**task["create"], "name": name, "status": "active"})
    with pytest.raises(AirflowFailException, match="not at the start of its name"):
        execute(task["create"])
    assert posts(sandbox) == []
