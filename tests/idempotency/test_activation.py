"""The status and update operators activate a draft once, even if the response is lost or late."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from tests.idempotency.killed_task import FileStore, TaskInstance, run

KINDS = pytest.mark.parametrize("kind", ["status", "update", "replace"])
STORES = pytest.mark.parametrize("stored", [False, True], ids=["no store", "store"])


@pytest.fixture(autouse=True)
def timing(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=0.3))
    # The sandbox's clock runs at twenty times the normal speed, see the fixture `task`.
    monkeypatch.setattr(BMClient, "server_now", lambda self: None)
    with use_timing(Timing(first_pause=0.1, longest_pause=0.2)):
        yield


@pytest.fixture
def draft(sandbox, task):
    return sandbox.create(status="draft", **task["create"])


@pytest.fixture
def activate(draft, tmp_path):
    """Run one try of the task that activates the draft: `activate(kind, number=1, stored=False, …)`."""

    def activate(kind, *, number=1, stored=False, **arguments):
        store = FileStore(tmp_path / "state", lambda _: None) if stored else None
        if kind == "replace":
            names = ("name", "sending_type", "schedule_type", "template", "sender", "recipient_lists")
            arguments = {name: draft[name] for name in names} | {"replace": True} | arguments
        ti = TaskInstance("run", number, lambda _: None)
        arguments = {"campaign_uuid": draft["uuid"], "status": "active"} | arguments
        return run("status" if kind == "status" else "update", arguments, ti, store)

    return activate


def writes(sandbox):
    return sandbox.requests(method="PUT") + sandbox.requests(method="PATCH")


@KINDS
@STORES
def test_put_that_is_processed_after_the_try_failed_is_not_repeated(sandbox, activate, kind, stored):
    """The retry starts at once, before the server processes the PUT of the first try."""
    sandbox.fault(method="PUT", delay=1.5)
    no_window = Timing(window=lambda client: client.settings.in_flight_window * 0)
    with use_timing(no_window), pytest.raises(AirflowException):
        activate(kind, stored=stored)
    assert sandbox.executions() == []
    activate(kind, number=2, stored=stored)
    assert len(writes(sandbox)) == 1
    assert len(sandbox.executions()) == 1


@KINDS
@STORES
@pytest.mark.parametrize("effect", [{"lose_reply": True}, {"status": 502, "apply": True}, {"truncate": True}])
def test_put_whose_response_is_lost_is_not_repeated(sandbox, activate, kind, stored, effect):
    sandbox.fault(method="PUT", **effect)
    activate(kind, stored=stored)
    activate(kind, number=2, stored=stored)
    assert len(writes(sandbox)) == 1
    assert len(sandbox.executions()) == 1


@KINDS
@STORES
def test_next_try_repeats_a_put_that_was_not_processed(sandbox, activate, kind, stored):
    sandbox.fault(method="PUT", drop=True)
    with pytest.raises(AirflowException, match="not known whether") as error:
        activate(kind, stored=stored)
    assert not isinstance(error.value, AirflowFailException)
    activate(kind, number=2, stored=stored)
    assert len(writes(sandbox)) == 2
    assert len(sandbox.executions()) == 1


@KINDS
def test_finished_campaign_is_sent_again_only_if_allowed(sandbox, activate, draft, kind):
    BMHook().set_campaign_status(draft["uuid"], "active")
    sandbox.clock.advance(60)
    with pytest.raises(AirflowFailException, match="allow_second_execution=True"):
        activate(kind)
    assert len(sandbox.executions()) == 1
    activate(kind, allow_second_execution=True)
    assert len(sandbox.executions()) == 2


def test_draft_that_was_executed_before_is_not_activated(sandbox, activate, draft):
    BMHook().set_campaign_status(draft["uuid"], "active")
    sandbox.clock.advance(60)
    BMHook().update_campaign(draft["uuid"], {"status": "draft"})
    with pytest.raises(AirflowFailException, match="is draft and was executed already"):
        activate("status")
    assert len(sandbox.executions()) == 1


def test_stopped_campaign_is_resumed_by_patch(sandbox, activate, draft):
    hook = BMHook()
    hook.update_campaign(draft["uuid"], {"schedule_rrule": "2040-01-01 00:00:00", "status": "active"})
    hook.set_campaign_status(draft["uuid"], "stopped")
    activate("status")
    assert [each["method"] for each in writes(sandbox)][-1] == "PATCH"
    assert hook.get_campaign(draft["uuid"])["status"] == "active"


@KINDS
def test_active_campaign_is_not_written_again(sandbox, activate, draft, kind):
    changes = {"schedule_rrule": "2040-01-01 00:00:00", "status": "active"}
    BMHook().update_campaign(draft["uuid"], changes)
    before = len(writes(sandbox))
    activate(kind, **({} if kind == "status" else {"schedule_type": "once"} | changes))
    assert len(writes(sandbox)) == before


def test_update_of_an_active_campaign_is_written_once(sandbox, activate, draft):
    changes = {"schedule_rrule": "2040-01-01 00:00:00", "status": "active"}
    BMHook().update_campaign(draft["uuid"], changes)
    before = len(writes(sandbox))
    sandbox.fault(method="PUT", lose_reply=True)
    activate("update", template="Go home.")
    activate("update", number=2, template="Go home.")
    assert len(writes(sandbox)) == before + 1
    assert BMHook().get_campaign(draft["uuid"])["template"] == "Go home."


@pytest.mark.parametrize("status", ["draft", "active"])
def test_update_of_the_name_keeps_the_key(sandbox, activate, draft, task, assert_sent_once, status):
    """If it is cleared, the task that created the campaign finds it by the key in its name."""
    ti = TaskInstance("run", 1, lambda _: None)
    uuid = run(
        "create", {**task["create"], "status": status, "schedule_rrule": "2040-01-01 00:00:00"}, ti, None
    )
    activate("update", campaign_uuid=uuid, status=None, name="Calm")
    name = BMHook().get_campaign(uuid)["name"]
    assert name.endswith("] Calm")
    assert name.startswith("[")


def test_campaign_that_was_stopped_after_a_lost_response_is_not_resumed(sandbox, activate, draft, task):
    """Somebody stopped what the first try had activated: the retry must not start it again."""
    later = {"schedule_type": "once", "schedule_rrule": "2040-01-01 00:00:00"}
    BMHook().update_campaign(draft["uuid"], later)
    sandbox.fault(method="PUT", lose_reply=True)
    at_once = Timing(window=lambda client: client.settings.in_flight_window * 0)
    sandbox.fault(method="GET", path=draft["uuid"], nth=2, times=20, status=503)
    with use_timing(at_once), pytest.raises(Exception, match=r"503|not known whether"):
        activate("status", stored=True)
    sandbox.clear_faults()
    BMHook().set_campaign_status(draft["uuid"], "stopped")
    with pytest.raises(AirflowFailException, match="was activated by an earlier try, and has become stopped"):
        activate("status", number=2, stored=True)
    assert BMHook().get_campaign(draft["uuid"])["status"] == "stopped"


@KINDS
@pytest.mark.parametrize("status", ["stopped", "draft"])
def test_campaign_that_a_person_reverted_is_not_activated_again(activate, draft, kind, status):
    """Somebody did not want the campaign to be sent; clearing the task must not undo that."""
    later = {"schedule_type": "once", "schedule_rrule": "2040-01-01 00:00:00"}
    hook, arguments = BMHook(), {} if kind == "status" else later
    hook.update_campaign(draft["uuid"], later)
    activate(kind, stored=True, **arguments)
    hook.update_campaign(draft["uuid"], {"status": status})
    with pytest.raises(AirflowFailException, match=f"activated by an earlier try, and has become {status}"):
        activate(kind, number=2, stored=True, **arguments)
    assert hook.get_campaign(draft["uuid"])["status"] == status
