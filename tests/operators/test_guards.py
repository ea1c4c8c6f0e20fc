"""Guards against sending late, outside the send window, to the wrong lists, or the wrong text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.operators import (
    BMCampaignStatusOperator,
    BMCloneCampaignOperator,
    BMCreateCampaignOperator,
    BMUpdateCampaignOperator,
)

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=3)
LIST = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
#: A window that is closed now, and opens in about six hours.
CLOSED = {
    "start": (NOW + timedelta(hours=6)).strftime("%H:%M"),
    "end": (NOW + timedelta(hours=12)).strftime("%H:%M"),
}


@pytest.fixture
def sms(sandbox):
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Stay at home, {first_name}.",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
    }


@pytest.fixture
def draft(sandbox, sms):
    return sandbox.create(status="draft", **{**sms, "template": "{temp} today, {first_name}"})


def assert_nothing_sent(sandbox):
    assert sandbox.requests(method="POST", path="/campaigns") == []
    assert sandbox.requests(method="PUT") == sandbox.requests(method="PATCH") == []


def connect(monkeypatch, sandbox, **extra):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(**extra))


# Stale runs


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
@pytest.mark.parametrize("time", ["run_after", "data_interval_end"])
def test_stale_run_does_not_send(sandbox, execute, sms, run_type, time):
    run = {"run_type": run_type, "run_after": None, "data_interval_end": None, time: OLD}
    done = execute(BMCreateCampaignOperator, run=run, **sms)
    assert isinstance(done.error, AirflowFailException)
    assert f"its {time} is {OLD.isoformat()}" in done.message
    assert "max_age=None" in done.message
    assert_nothing_sent(sandbox)


def test_stale_run_does_not_send_if_the_servers_clock_is_slow(sandbox, execute, sms):
    """The time of the run is by Airflow's clock."""
    sandbox.clock.set(OLD)
    done = execute(BMCreateCampaignOperator, run={"run_type": "scheduled", "run_after": OLD}, **sms)
    assert "The run is too old" in done.message
    assert_nothing_sent(sandbox)


@pytest.mark.parametrize(
    ("arguments", "run"),
    [
        ({"max_age": None}, {"run_type": "scheduled", "run_after": OLD}),
        ({"max_age": timedelta(days=4)}, {"run_type": "scheduled", "run_after": OLD}),
        ({"max_age": "{{ 4 * 86400 }}"}, {"run_type": "scheduled", "run_after": OLD}),
        ({}, {"run_type": "scheduled", "run_after": NOW}),
        ({}, {"run_type": "manual", "run_after": OLD}),
        ({}, {"run_type": "asset_triggered", "run_after": OLD}),
    ],
)
def test_recent_manual_and_explicitly_allowed_runs_send(sandbox, execute, sms, arguments, run):
    assert execute(BMCreateCampaignOperator, run=run, **sms, **arguments).error is None
    assert len(sandbox.executions()) == 1


def test_manual_run_with_an_old_logical_date_does_not_send(sandbox, execute, sms):
    """Such as a run triggered by TriggerDagRunOperator in a backfill."""
    done = execute(BMCreateCampaignOperator, run={"run_type": "manual", "logical_date": OLD}, **sms)
    assert "logical_date" in done.message
    assert_nothing_sent(sandbox)


def test_stale_run_is_skipped_if_on_stale_is_skip(sandbox, execute, sms):
    run = {"run_type": "scheduled", "run_after": OLD}
    done = execute(BMCreateCampaignOperator, run=run, on_stale="skip", **sms)
    assert isinstance(done.error, AirflowSkipException)
    assert_nothing_sent(sandbox)


def test_run_of_unknown_age_does_not_send(sandbox, execute, sms):
    run = {"run_type": "scheduled", "run_after": None, "data_interval_end": None}
    assert "The age of the run is unknown" in execute(BMCreateCampaignOperator, run=run, **sms).message
    assert_nothing_sent(sandbox)


def test_stale_run_still_adopts_an_existing_campaign(sandbox, execute, sms):
    first = execute(BMCreateCampaignOperator, run={"run_type": "scheduled", "run_after": NOW}, **sms)
    later = execute(
        BMCreateCampaignOperator, run={"run_type": "scheduled", "run_after": OLD}, try_number=2, **sms
    )
    assert later.result == first.result
    assert later.pushed["adopted"] is True


@pytest.mark.parametrize("value", ["soon", -1, True])
def test_invalid_max_age_fails(sandbox, execute, sms, value):
    run = {"run_type": "scheduled", "run_after": NOW}
    assert "max_age=" in execute(BMCreateCampaignOperator, run=run, max_age=value, **sms).message
    assert_nothing_sent(sandbox)


@pytest.mark.parametrize("operator", [BMCampaignStatusOperator, BMUpdateCampaignOperator])
def test_stale_run_does_not_activate_a_draft(sandbox, execute, sms, operator):
    draft = sandbox.create(status="draft", **sms)
    run = {"run_type": "scheduled", "run_after": OLD}
    done = execute(operator, run=run, campaign_uuid=draft["uuid"], status="active")
    assert "The run is too old" in done.message
    assert_nothing_sent(sandbox)


# Send windows


@pytest.mark.parametrize("by", ["argument", "connection"])
def test_closed_window_fails(sandbox, execute, sms, monkeypatch, by):
    arguments = {"send_window": SendWindow(**CLOSED)} if by == "argument" else {}
    connect(monkeypatch, sandbox, **({"send_window": CLOSED} if by == "connection" else {}))
    done = execute(BMCreateCampaignOperator, **sms, **arguments)
    assert "The send window is closed" in done.message
    assert_nothing_sent(sandbox)


def test_closed_window_skips_if_on_closed_is_skip(sandbox, execute, sms):
    done = execute(BMCreateCampaignOperator, send_window=SendWindow(**CLOSED, on_closed="skip"), **sms)
    assert isinstance(done.error, AirflowSkipException)
    assert_nothing_sent(sandbox)


def test_closed_window_schedules_if_on_closed_is_schedule(sandbox, execute, sms):
    window = SendWindow(**CLOSED, on_closed="schedule")
    done = execute(BMCreateCampaignOperator, send_window=window, **sms)
    opening = window.next_opening(NOW)
    assert done.error is None
    assert done.pushed["scheduled_for"] == opening.isoformat()
    assert done.pushed["sent"] is True
    (campaign,) = sandbox.campaigns()
    assert (campaign["schedule_type"], campaign["schedule_rrule"]) == ("once", f"{opening:%Y-%m-%d %H:%M:%S}")


def test_max_age_includes_the_wait_for_the_window(sandbox, execute, sms):
    window = SendWindow(**CLOSED, on_closed="schedule")
    run = {"run_type": "scheduled", "run_after": NOW}
    done = execute(BMCreateCampaignOperator, send_window=window, max_age=3600, run=run, **sms)
    assert "The run is too old" in done.message
    assert_nothing_sent(sandbox)


@pytest.mark.parametrize("kind", ["once", "rule"])
def test_schedule_that_executes_outside_the_window_is_refused(sandbox, execute, sms, kind):
    window = SendWindow("09:00", "20:00", days="mon-fri")
    rule = "2030-01-05 10:00:00" if kind == "once" else "FREQ=DAILY;BYHOUR=21;BYMINUTE=0;BYSECOND=0"
    done = execute(BMCreateCampaignOperator, send_window=window, schedule_rrule=rule, **sms)
    assert "outside the send window" in done.message
    assert_nothing_sent(sandbox)


def test_a_clone_of_a_campaign_that_is_scheduled_within_the_window(sandbox, execute, sms, monkeypatch):
    later = {"schedule_type": "once", "schedule_rrule": f"2040-01-01 {CLOSED['start']}:30"}
    source = sandbox.create(status="draft", **sms, **later)
    connect(monkeypatch, sandbox, send_window=CLOSED)
    done = execute(BMCloneCampaignOperator, clone_uuid=source["uuid"])
    assert done.error is None
    assert sandbox.requests(method="POST", path="/campaigns")[0]["body"]["schedule_type"] == "once"


def test_activating_a_draft_in_a_closed_window_schedules_it(sandbox, execute, sms):
    draft = sandbox.create(status="draft", **sms)
    window = SendWindow(**CLOSED, on_closed="schedule")
    done = execute(BMCampaignStatusOperator, campaign_uuid=draft["uuid"], status="active", send_window=window)
    assert done.error is None
    (campaign,) = sandbox.campaigns()
    assert (campaign["status"], campaign["schedule_type"]) == ("active", "once")


# Schedules that send immediately


def test_rule_that_fires_when_saved_needs_allow_immediate(sandbox, execute, sms):
    done = execute(BMCreateCampaignOperator, schedule_rrule="FREQ=DAILY", **sms)
    assert "allow_immediate=True" in done.message
    assert_nothing_sent(sandbox)
    assert (
        execute(BMCreateCampaignOperator, schedule_rrule="FREQ=DAILY", allow_immediate=True, **sms).error
        is None
    )


def test_schedule_in_the_past_is_refused(sandbox, execute, sms):
    done = execute(BMCreateCampaignOperator, schedule_rrule=NOW - timedelta(hours=1), **sms)
    assert "is in the past" in done.message
    assert_nothing_sent(sandbox)


@pytest.mark.parametrize(
    ("kind", "rule", "message"),
    [
        ("once", "2026-01-05T08:00:00+00:00", "is in the past"),
        ("once", "tomorrow", "may send at once"),
        ("once", None, "may send at once"),
        ("scheduled", "every day", "may send at once"),
        ("Once", "2026-01-05 08:00:00", "must be now, once or scheduled"),
        (None, "FREQ=DAILY", "must be now, once or scheduled"),
    ],
)
def test_source_with_a_schedule_that_cannot_be_read_is_not_cloned(
    sandbox, execute, draft, kind, rule, message
):
    """Other servers may store a schedule in another form."""
    changes = {"schedule_type": kind, "schedule_rrule": rule, "template": "Stay at home."}
    sandbox.fault(method="GET", path=draft["uuid"], times=9, change_reply=changes)
    done = execute(BMCloneCampaignOperator, clone_uuid=draft["uuid"])
    assert message in done.message
    assert "Invalid campaign 'd.send'; nothing was sent" in done.message
    assert "allow_immediate=True" in done.message
    assert isinstance(done.error, AirflowFailException)
    assert_nothing_sent(sandbox)
    done = execute(BMCloneCampaignOperator, clone_uuid=draft["uuid"], allow_immediate=True)
    assert done.error is None


def test_source_whose_schedule_has_an_offset_is_cloned(sandbox, execute, draft):
    changes = {"schedule_type": "once", "schedule_rrule": "2040-01-05T08:00:00+01:00", "template": "Hello."}
    sandbox.fault(method="GET", path=draft["uuid"], change_reply=changes)
    assert execute(BMCloneCampaignOperator, clone_uuid=draft["uuid"]).error is None


def test_a_draft_may_have_any_schedule(sandbox, execute, sms):
    done = execute(BMCreateCampaignOperator, status="draft", schedule_rrule="FREQ=DAILY", **sms)
    assert done.error is None
    assert done.pushed["sent"] is False


# Recipient lists


@pytest.mark.parametrize("allowed", [[], [LIST]])
def test_recipient_list_that_is_not_allowed_is_refused(sandbox, execute, sms, monkeypatch, allowed):
    connect(monkeypatch, sandbox, allowed_recipient_lists=allowed)
    other = execute(BMCreateCampaignOperator, **sms)
    draft = sandbox.create(status="draft", **sms)
    clone = execute(BMCloneCampaignOperator, clone_uuid=draft["uuid"], run_id="clone")
    start = execute(BMCampaignStatusOperator, campaign_uuid=draft["uuid"], status="active")
    for done in (other, clone, start):
        assert "allowed_recipient_lists" in done.message
    assert_nothing_sent(sandbox)


def test_allowed_recipient_list_is_sent(sandbox, execute, sms, monkeypatch):
    connect(monkeypatch, sandbox, allowed_recipient_lists=[sms["recipient_lists"]])
    assert execute(BMCreateCampaignOperator, **sms).error is None


# Variables


@pytest.mark.parametrize(
    ("template_vars", "message"),
    [
        ({}, "{temp}"),
        ({"tmp": "-3"}, "did you mean 'temp'"),
        ({"temp": "-3", "wind": "9"}, "template_vars.wind"),
    ],
)
def test_clone_with_unfilled_or_unknown_variables_is_refused(sandbox, execute, draft, template_vars, message):
    done = execute(BMCloneCampaignOperator, clone_uuid=draft["uuid"], template_vars=template_vars)
    assert message in done.message
    assert_nothing_sent(sandbox)


def test_clone_with_allowed_variables_is_sent(sandbox, execute, draft, monkeypatch):
    clone = {"clone_uuid": draft["uuid"]}
    assert execute(BMCloneCampaignOperator, allowed_variables=["temp"], **clone).error is None
    assert execute(BMCloneCampaignOperator, on_unknown_variable="warn", run_id="warn", **clone).error is None

    for number, names in enumerate(['["temp"]', "{temp}, wind", {"temp"}]):
        done = execute(BMCloneCampaignOperator, allowed_variables=names, run_id=f"{number}", **clone)
        assert done.error is None, names

    connect(monkeypatch, sandbox, allowed_variables="temp,wind")
    assert execute(BMCloneCampaignOperator, run_id="connection", **clone).error is None


@pytest.mark.parametrize("names", [[None], {"temp": 1}, "te mp", 5])
def test_allowed_variables_must_be_names(sandbox, execute, draft, names):
    done = execute(BMCloneCampaignOperator, clone_uuid=draft["uuid"], allowed_variables=names)
    assert isinstance(done.error, AirflowFailException)
    assert "allowed_variables=" in done.message
    assert_nothing_sent(sandbox)


def test_misspelled_contact_field_is_refused(sandbox, execute, sms):
    done = execute(BMCreateCampaignOperator, **{**sms, "template": "Hello {firstname}"})
    assert "did you mean 'first_name'" in done.message
    assert_nothing_sent(sandbox)


def test_draft_with_unfilled_variables_is_not_activated(sandbox, execute, draft):
    done = execute(BMCampaignStatusOperator, campaign_uuid=draft["uuid"], status="active")
    assert "{temp}" in done.message
    assert_nothing_sent(sandbox)


# Draft-only


@pytest.mark.parametrize("task", ["create", "clone", "status", "update"])
@pytest.mark.parametrize(
    ("policy", "error"),
    [("succeed", None), ("fail", AirflowFailException), ("skip", AirflowSkipException)],
)
def test_draft_only_run_logs_that_nothing_was_sent_and_ends_as_configured(
    sandbox, execute, sms, monkeypatch, caplog, task, policy, error
):
    draft = sandbox.create(status="draft", **sms)
    operator, arguments = {
        "create": (BMCreateCampaignOperator, sms),
        "clone": (BMCloneCampaignOperator, {"clone_uuid": draft["uuid"]}),
        "status": (BMCampaignStatusOperator, {"campaign_uuid": draft["uuid"], "status": "active"}),
        "update": (BMUpdateCampaignOperator, {"campaign_uuid": draft["uuid"], "status": "active"}),
    }[task]
    connect(monkeypatch, sandbox, draft_only=True)
    done = execute(operator, on_draft_only=policy, outlets=[], **arguments)
    assert type(done.error) is (type(None) if error is None else error)
    assert done.pushed["sent"] is False
    message = (
        done.message if error else [each.getMessage() for each in caplog.records if "bm" in each.name][-1]
    )
    assert message.startswith("NOTHING WAS SENT")
    assert sandbox.executions() == []


@pytest.mark.parametrize("choice", ["on_stale", "on_unknown_variable", "on_draft_only"])
def test_invalid_policy_argument_fails(sandbox, execute, sms, choice):
    assert f"{choice}='maybe'" in execute(BMCreateCampaignOperator, **sms, **{choice: "maybe"}).message
    assert_nothing_sent(sandbox)
