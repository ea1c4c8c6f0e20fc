"""BMApproveCampaignOperator sends exactly what was reviewed, once, and nothing without an approval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from airflow_provider_bm.operators import BMApproveCampaignOperator
from airflow_provider_bm.operators.approve import HAS_HITL, content_hash, review_text

if HAS_HITL:
    from airflow.providers.standard.operators import hitl
else:
    pytest.skip("Airflow before 3.1 has no human-in-the-loop operators", allow_module_level=True)

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=30)
RETRY = {"try_number": 2}


class Store(dict):
    """Airflow's ``task_state_store``."""

    def set(self, key, value):
        self[key] = value


class Review:
    """A task instance of the operator on Airflow 3.1 and newer, with its review and its later tries."""

    def __init__(self, sandbox, monkeypatch, *, stored=True, **arguments):
        self.sandbox = sandbox
        self.store = Store() if stored else None
        self.shown = None
        self.xcoms = {}
        self.arguments = arguments
        self.run = SimpleNamespace(run_type="scheduled", logical_date=OLD, start_date=NOW, run_after=OLD)
        self.id = uuid4()
        monkeypatch.setattr(hitl, "upsert_hitl_detail", self.show)

    def show(self, **detail):
        # Like Airflow, keep the text of the first review.
        self.shown = self.shown or detail

    def context(self, try_number=1):
        def pull(task_ids, key, map_indexes):
            assert (task_ids, map_indexes) == ("approve", -1)
            return self.xcoms.get(key)

        ti = SimpleNamespace(
            id=self.id,
            dag_id="d",
            run_id="r",
            task_id="approve",
            map_index=-1,
            try_number=try_number,
            xcom_push=lambda key, value: self.xcoms.__setitem__(key, value),
            xcom_pull=pull,
        )
        store = {} if self.store is None else {"task_state_store": self.store}
        return {"ti": ti, "task_instance": ti, "dag_run": self.run, **store}

    def operator(self):
        return BMApproveCampaignOperator(task_id="approve", **self.arguments)

    def begin(self, try_number=1):
        """Run one try; return whether it waits for a response."""
        self.xcoms = {}
        try:
            self.result = self.operator().execute(self.context(try_number))
        except BaseException as error:
            if not isinstance(error, TaskDeferred) and type(error).__name__ != "TaskAwaitingInput":
                raise
            return True
        return False

    def respond(self, option="Approve", *, at=None, try_number=1, timedout=False):
        user = None if timedout else {"id": "7", "name": "anna"}
        event = {
            "chosen_options": [option],
            "params_input": {},
            "responded_at": at or datetime.now(UTC),
            "responded_by_user": user,
            "timedout": timedout,
        }
        return self.operator().execute_complete(self.context(try_number), event)


@pytest.fixture
def draft(sandbox):
    return sandbox.create(
        name="Storm warning",
        status="draft",
        sending_type="sms",
        template="Stay at home, {first_name}.",
        sender="+41587000000",
        recipient_lists=sandbox.recipient_lists["staff"],
    )


@pytest.fixture(params=[True, False], ids=["store", "no_store"])
def stored(request):
    return request.param


@pytest.fixture
def review(sandbox, draft, monkeypatch, stored):
    return lambda **arguments: Review(
        sandbox, monkeypatch, stored=stored, **{"campaign_uuid": draft["uuid"], **arguments}
    )


@pytest.fixture(autouse=True)
def fast_timing():
    timing = Timing(window=lambda client: timedelta(seconds=0.3), first_pause=0.1)
    with use_timing(timing):
        yield


def writes(sandbox):
    return [each for each in sandbox.requests() if each["method"] != "GET" and "/campaigns" in each["path"]]


def test_reviewer_sees_the_preview_of_the_campaign(review, draft):
    task = review(tz="Europe/Zurich")
    assert task.begin()
    assert task.shown["subject"] == "Send campaign 'Storm warning'?"
    assert task.shown["options"] == ["Approve", "Reject"]
    body = task.shown["body"]
    assert draft["uuid"] in body
    assert "Stay at home, {first_name}." in body
    assert "active" in body
    assert draft["recipient_lists"] in body


def test_template_cannot_break_out_of_the_preview(draft):
    body = review_text({**draft, "template": "Hello\n```\n**Rejected**"})
    assert body.count("````") == 2
    assert body.rstrip().endswith("````")


def test_approved_draft_is_sent_once(review, sandbox, draft):
    task = review()
    assert task.begin()
    assert writes(sandbox) == []
    assert task.respond() == draft["uuid"]
    assert len(sandbox.executions()) == 1
    assert task.xcoms["sent"] is True
    assert task.xcoms["campaign"]["status"] in ("active", "finished")
    assert task.xcoms["reviewed"] == content_hash(draft)


@pytest.mark.parametrize("on_reject", ["keep", "delete"])
def test_rejected_draft_is_kept_or_deleted_and_the_task_skipped(review, sandbox, on_reject):
    task = review(on_reject=on_reject)
    task.begin()
    with pytest.raises(AirflowSkipException, match=r"'Storm warning' was rejected by anna \(id 7\)"):
        task.respond("Reject")
    assert sandbox.executions() == []
    assert [each["status"] for each in sandbox.campaigns()] == ["draft"] * (on_reject == "keep")
    assert task.xcoms["sent"] is False


@pytest.mark.parametrize("on_reject", ["keep", "delete"])
def test_missing_response_fails_the_task(review, sandbox, on_reject):
    task = review(on_reject=on_reject, response_timeout=timedelta(hours=4))
    task.begin()
    assert task.shown["defaults"] == ["Reject"]
    with pytest.raises(AirflowFailException, match=r"Nobody approved campaign .* within 4:00:00"):
        task.respond("Reject", timedout=True)
    assert sandbox.executions() == []
    assert len(sandbox.campaigns()) == (on_reject == "keep")


def test_timeout_never_approves(review, sandbox):
    task = review()
    task.begin()
    with pytest.raises(AirflowFailException, match="Nobody approved"):
        task.respond("Approve", timedout=True)
    assert sandbox.executions() == []


@pytest.mark.parametrize(
    "change",
    [
        {"template": "Run, {first_name}."},
        {"sender": "+41587000001"},
        {"name": "Storm warning 2"},
        {"schedule_type": "once", "schedule_rrule": "2031-01-01 08:00:00"},
    ],
)
def test_draft_changed_during_the_review_is_not_sent(review, sandbox, draft, change):
    task = review()
    task.begin()
    sandbox.update_campaign(draft["uuid"], **change)
    with pytest.raises(AirflowFailException, match="is not what was reviewed"):
        task.respond()
    assert writes(sandbox) == []
    assert sandbox.executions() == []


def test_rejected_draft_is_not_deleted_if_it_was_changed(review, sandbox, draft):
    task = review(on_reject="delete")
    task.begin()
    sandbox.update_campaign(draft["uuid"], template="Better, {first_name}.")
    with pytest.raises(AirflowSkipException):
        task.respond("Reject")
    assert len(sandbox.campaigns()) == 1


def test_nothing_is_sent_without_a_record_of_the_review(review, sandbox):
    task = review()
    task.begin()
    task.xcoms.clear()
    with pytest.raises(AirflowFailException, match="is not what was reviewed"):
        task.respond()
    assert sandbox.executions() == []


@pytest.mark.parametrize("reply", ["kept", "lost"])
def test_try_after_a_kill_adopts_the_campaign_that_was_sent(review, sandbox, draft, reply, monkeypatch):
    """The first try is killed after sending, before its XComs and result are stored."""
    task = review()
    task.begin()
    if reply == "lost":
        sandbox.fault("PUT", lose_reply=True)
    monkeypatch.setattr(BMApproveCampaignOperator, "push_result", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        task.respond()
    monkeypatch.undo()
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json())
    sandbox.clock.advance(10)
    assert task.begin(try_number=2) is False
    assert task.result == draft["uuid"]
    assert task.xcoms["adopted"] is True
    assert len(sandbox.executions()) == 1


def test_try_after_a_kill_asks_for_approval_again_if_nothing_was_sent(review, sandbox, draft):
    task = review()
    task.run.start_date = datetime.now(UTC) + timedelta(seconds=10)
    task.run.run_after = None
    task.begin()
    assert task.begin(try_number=2)
    task.respond(try_number=2)
    assert len(sandbox.executions()) == 1


def test_clearing_the_task_sends_nothing_again(review, sandbox):
    task = review()
    task.begin()
    task.respond()
    sandbox.clock.advance(3600)
    assert task.begin(try_number=2) is False
    assert len(sandbox.executions()) == 1


def test_retry_fails_if_the_draft_changed_since_the_first_review(review, sandbox, draft):
    """Airflow shows the text of the first review in later tries as well."""
    task = review()
    task.begin()
    sandbox.update_campaign(draft["uuid"], template="Run, {first_name}.")
    with pytest.raises(AirflowFailException, match="was changed after its first review began"):
        task.begin(try_number=2)
    assert sandbox.executions() == []


@pytest.mark.parametrize("status", ["active", "stopped", "finished"])
def test_only_drafts_are_reviewed(review, sandbox, status):
    later = {"schedule_type": "once", "schedule_rrule": "2099-01-01 09:00:00"}
    other = sandbox.create(name="Other", status=status, **later)
    before = len(sandbox.executions())
    task = review(campaign_uuid=other["uuid"])
    with pytest.raises(AirflowFailException, match=f"'Other' is {status}, and only a draft can be approved"):
        task.begin()
    assert task.shown is None
    assert len(sandbox.executions()) == before


def test_draft_with_an_unfilled_variable_is_not_offered_for_review(review, sandbox, draft):
    sandbox.update_campaign(draft["uuid"], template="{temp} today")
    task = review()
    with pytest.raises(AirflowFailException, match="temp"):
        task.begin()
    assert task.shown is None
    assert review(allowed_variables="temp").begin()


def test_draft_for_a_list_that_is_not_allowed_is_not_offered_for_review(review, sandbox, monkeypatch):
    lists = "00000000-0000-4000-8000-000000000000"
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(allowed_recipient_lists=lists))
    task = review()
    with pytest.raises(AirflowFailException, match="allowed_recipient_lists"):
        task.begin()


def test_max_age_counts_from_the_review(review, sandbox):
    """The run itself is a month old."""
    task = review(max_age=timedelta(hours=1))
    task.begin()
    with pytest.raises(AirflowFailException, match="its review is"):
        task.respond(at=datetime.now(UTC) - timedelta(hours=2))
    assert sandbox.executions() == []
    task.respond(at=datetime.now(UTC) - timedelta(minutes=30))
    assert len(sandbox.executions()) == 1


def test_send_window_is_checked_after_the_approval(review, sandbox):
    closed = SendWindow(
        (NOW + timedelta(hours=6)).strftime("%H:%M"), (NOW + timedelta(hours=7)).strftime("%H:%M")
    )
    task = review(send_window=closed)
    task.begin()
    with pytest.raises(AirflowFailException, match="The send window is closed"):
        task.respond()
    assert sandbox.executions() == []


def test_draft_only_asks_for_no_review(review, sandbox, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    task = review()
    assert task.begin() is False
    assert task.shown is None
    assert task.xcoms["sent"] is False
    assert "NOTHING WAS SENT" in caplog.text


def test_invalid_on_reject_fails(review):
    with pytest.raises(AirflowFailException, match="on_reject='burn': must be one of keep, delete"):
        review(on_reject="burn").begin()
