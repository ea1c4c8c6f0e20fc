"""Messages about events: at most one for each, within seconds, and a callback never fails."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.notifications import BMCampaignNotifier
from tools.airflow_env import ROOT, is_airflow_2

EXAMPLES = ROOT / "dags_examples"
NOW = datetime.now(UTC)


@pytest.fixture
def draft(sandbox):
    return sandbox.create(
        name="On call",
        status="draft",
        template="{task} failed",
        recipient_lists=sandbox.recipient_lists["staff"],
    )


@pytest.fixture
def notifier(draft):
    def notifier(**arguments):
        values = {"template_vars": {"task": "{{ ti.task_id }}"}, **arguments}
        return BMCampaignNotifier(clone_uuid=draft["uuid"], **values)

    return notifier


def context(task_id="load", *, state="failed", try_number=1, map_index=-1, run=None, **more):
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id=task_id, map_index=map_index, try_number=try_number, state=state
    )
    times = {"run_after": NOW, "start_date": NOW, "logical_date": NOW, "data_interval_end": NOW}
    dag_run = SimpleNamespace(dag_id="d", run_id="r", run_type="scheduled", **(times | (run or {})))
    return {"ti": ti, "task_instance": ti, "dag_run": dag_run, "exception": ValueError("no"), **more}


def clones(sandbox):
    return [each for each in sandbox.campaigns() if each["name"] != "On call"]


def texts(sandbox):
    return {each["template"] for each in clones(sandbox)}


def calls(sandbox):
    return [each["method"] for each in sandbox.requests() if "/campaigns" in each["path"]]


def test_one_search_one_post(sandbox, notifier):
    notifier()(context())
    assert calls(sandbox) == ["GET", "GET", "POST"]
    (clone,) = clones(sandbox)
    assert clone["status"] == "active"
    assert clone["template"] == "load failed"
    assert clone["name"].endswith("] d.load failure")
    assert len(sandbox.executions()) == 1


def test_three_calls_for_one_event(sandbox, notifier, caplog):
    once = notifier()
    for each in (once, once, notifier()):
        each(context())
    assert len(sandbox.executions()) == 1
    assert "was created for this event already" in caplog.text


def test_the_dag_processor_does_not_know_the_state(sandbox, notifier):
    notifier()(context())
    lost = context(state=None)
    del lost["exception"]
    notifier()(lost)
    assert len(sandbox.executions()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"task_id": "store"},
        {"try_number": 2},
        {"map_index": 1},
        {"state": "success", "exception": None},
    ],
)
def test_other_events_are_messaged_about(sandbox, notifier, other):
    notifier()(context())
    notifier()(context(**other))
    assert len(sandbox.executions()) == 2


def test_another_kind_of_event(sandbox, notifier):
    notifier()(context())
    notifier(event="escalation")(context())
    assert len(sandbox.executions()) == 2


def test_each_event_renders_the_templates(sandbox, notifier):
    shared = notifier()
    shared(context("load"))
    shared(context("store"))
    assert texts(sandbox) == {"load failed", "store failed"}


def test_events_of_dag_runs(sandbox, notifier):
    """Airflow passes any task instance of the run along."""
    plain = notifier(template_vars={"task": "{{ reason }}"})
    for task_id in ("load", "store"):
        of_run = context(task_id, reason="task_failure")
        del of_run["exception"]
        plain(of_run)
    assert texts(sandbox) == {"task_failure failed"}
    assert len(sandbox.executions()) == 1


def deadline_context():
    run = {"dag_id": "d", "dag_run_id": "r", "run_type": "scheduled", "run_after": NOW.isoformat()}
    return {"dag_run": run, "deadline": {"id": "7", "deadline_time": NOW}}


def test_a_deadline_alert_awaits(sandbox, notifier):
    alert = notifier(template_vars={"task": "{{ dag_run.dag_id }}"})

    async def alert_twice():
        await alert.async_notify(deadline_context())
        await alert.async_notify(deadline_context())

    asyncio.run(alert_twice())
    assert texts(sandbox) == {"d failed"}
    assert len(sandbox.executions()) == 1


@pytest.mark.skipif(is_airflow_2(), reason="Airflow 2 has no deadline alerts")
def test_awaiting_a_notifier_with_a_context(sandbox, notifier):
    alert = notifier(template_vars={"task": "{{ dag_run.dag_id }}"}, context=deadline_context())

    async def alerted():
        await alert

    asyncio.run(alerted())
    assert texts(sandbox) == {"d failed"}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("path", ["/oauth2", "/campaigns"])
def test_a_server_that_does_not_respond(sandbox, notifier, caplog, monkeypatch, asynchronous, path):
    sandbox.fault(path=path, delay=30, times=None)
    monkeypatch.setattr(BMCampaignNotifier, "time_limit", 0.5)
    started = time.monotonic()
    if asynchronous:
        asyncio.run(notifier().async_notify(context()))
    else:
        notifier()(context())
    assert time.monotonic() - started < 10
    assert "The notification was not sent, or it is unknown whether it was" in caplog.text
    assert sandbox.executions() == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_airflow_that_is_slow(sandbox, notifier, monkeypatch, asynchronous):
    """The first connection that a DAG processor asks for can take longer than everything else."""
    from airflow.providers.common.compat import connection as compat

    from airflow_provider_bm.hooks import BMHook

    limit = 1.0
    monkeypatch.setattr(BMCampaignNotifier, "time_limit", limit)
    get_connection, get_async_connection = BMHook.get_connection, compat.get_async_connection

    def slow(conn_id):
        time.sleep(limit + 0.1)
        return get_connection(conn_id)

    async def slow_async(conn_id):
        await asyncio.sleep(limit + 0.1)
        return await get_async_connection(conn_id)

    monkeypatch.setattr(BMHook, "get_connection", staticmethod(slow))
    monkeypatch.setattr(compat, "get_async_connection", slow_async)
    if asynchronous:
        asyncio.run(notifier().async_notify(context()))
    else:
        notifier()(context())
    assert len(sandbox.executions()) == 1


def test_a_server_that_is_down(sandbox, notifier, caplog):
    sandbox.stop()
    started = time.monotonic()
    notifier()(context())
    assert time.monotonic() - started < 10
    assert "BMConnectError: POST to the token endpoint" in caplog.text
    assert "no connection to" in caplog.text


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_repeated(sandbox, notifier, method, status):
    sandbox.fault(method, "/campaigns", status=status, times=None)
    notifier()(context())
    assert len(sandbox.requests(method=method, path="/campaigns")) == 1


def test_a_response_with_another_campaign(sandbox, notifier, caplog):
    other = sandbox.create(status="active", schedule_type="once", schedule_rrule="2099-01-01 09:00:00")
    sandbox.fault(method="POST", path="/campaigns$", status=201, body=other)
    notifier()(context())
    assert f"The server answered with another campaign, {other['uuid']}" in caplog.text


def test_an_unknown_outcome_is_logged(sandbox, notifier, caplog):
    sandbox.fault("POST", "/campaigns", lose_reply=True)
    notifier()(context())
    assert "It is not known whether" in caplog.text
    notifier()(context())
    assert len(sandbox.executions()) == 1


@pytest.mark.parametrize(
    ("arguments", "changes", "reason"),
    [
        ({"template_vars": {}}, {}, "{task}"),
        ({"template_vars": {"task": "{{ nothing }}"}}, {}, "nothing"),
        ({"clone_uuid": "x"}, {}, "clone_uuid"),
        ({"template_vars": {"task": "x", "tusk": "y"}}, {}, "tusk"),
        ({}, {"run_after": NOW - timedelta(days=30)}, "The run is too old"),
        (
            {
                "send_window": SendWindow(
                    (NOW + timedelta(hours=6)).strftime("%H:%M"), (NOW + timedelta(hours=7)).strftime("%H:%M")
                )
            },
            {},
            "The send window is closed",
        ),
    ],
)
def test_guards(sandbox, draft, notifier, caplog, arguments, changes, reason):
    if "clone_uuid" in arguments:
        BMCampaignNotifier(**arguments)(context())
    else:
        notifier(**arguments)(context(run=changes))
    assert sandbox.requests(method="POST", path="/campaigns") == []
    assert reason in caplog.text


def test_lists_that_are_not_allowed(sandbox, notifier, caplog, monkeypatch):
    lists = "00000000-0000-4000-8000-000000000000"
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(allowed_recipient_lists=lists))
    notifier()(context())
    assert sandbox.executions() == []
    assert "allowed_recipient_lists" in caplog.text


def test_a_draft_that_is_scheduled_within_the_connections_window(sandbox, draft, caplog, monkeypatch):
    opening, closing = ((NOW + timedelta(hours=hours)).strftime("%H:%M") for hours in (6, 7))
    source = sandbox.create(
        status="draft",
        template="Hello.",
        recipient_lists=draft["recipient_lists"],
        schedule_type="once",
        schedule_rrule=f"2040-01-01 {opening}:30",
    )
    window = {"start": opening, "end": closing}
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(send_window=window))
    BMCampaignNotifier(clone_uuid=source["uuid"])(context())
    assert "is active" in caplog.text


def test_draft_only(sandbox, notifier, caplog, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    notifier()(context())
    assert sandbox.executions() == []
    assert "NOTHING WAS SENT" in caplog.text


def test_the_default_limit_is_below_ten_seconds():
    assert BMCampaignNotifier.time_limit < 10


@pytest.mark.parametrize("value", [{}, {"ti": None}])
def test_a_context_without_a_run(sandbox, notifier, caplog, value):
    notifier(template_vars={"task": "x"})(value)
    assert sandbox.executions() == []
    assert "the context has no DAG run" in caplog.text


class Fail(BaseOperator):
    def execute(self, context):
        raise ValueError("as planned")


def test_two_tasks_that_fail_with_a_retry_each(sandbox, run_dag, notifier):
    shared = notifier()
    with DAG(
        "fails",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        default_args={"retries": 1, "on_failure_callback": shared},
    ) as dag:
        Fail(task_id="load")
        Fail(task_id="store")
    run_dag(dag, expect="failed")
    assert texts(sandbox) == {"load failed", "store failed"}
    assert len(sandbox.executions()) == 2


def test_example(sandbox, run_dag_file, draft, monkeypatch):
    sandbox.update_campaign(draft["uuid"], template="{task} of {dag} failed in try {try}")
    monkeypatch.setenv("AIRFLOW_VAR_ON_CALL_DRAFT", draft["uuid"])
    run = run_dag_file(EXAMPLES / "on_call.py", "on_call", expect="failed")
    assert run.task_states == {"load": "failed"}
    assert texts(sandbox) == {"load of on_call failed in try 2"}
