"""Waiting: the same decision in every mode, on a real Airflow, against the sandbox."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.client import retry
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.operators import BMCloneCampaignOperator, BMCreateCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

START = pendulum.datetime(2026, 1, 1)
MODES = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferred": {"deferrable": True},
}
ALL_MODES = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "MOST_TRIES", 2)


@pytest.fixture
def wait(run_dag):
    """Run a sensor, with retries that a permanent failure must not use."""

    def wait(mode, campaign_uuid, *, expect, **kwargs):
        with DAG(dag_id=f"wait_{mode}", schedule=None, start_date=START) as dag:
            BMCampaignSensor(
                task_id="wait",
                campaign_uuid=campaign_uuid,
                **{"poke_interval": 0.2, "timeout": 20, "retries": 2, **MODES[mode], **kwargs},
            )
        run = run_dag(dag)
        assert run.task_states["wait"] == expect, run.logs()
        return run

    return wait


def sandbox_looks(sandbox, looks, call):
    """Call once the campaign has been looked at so many times."""

    def watch():
        while len(sandbox.requests(method="GET")) < looks:
            time.sleep(0.05)
        call()

    threading.Thread(target=watch, daemon=True).start()


@ALL_MODES
def test_done(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    sandbox_looks(sandbox, 2, lambda: sandbox.clock.advance(60))
    run = wait(mode, campaign["uuid"], expect="success", fields="messages")
    assert run.xcom("wait")["status"] == "finished"
    assert len(run.xcom("wait")["messages"]) == len(sandbox.messages())
    assert len(sandbox.requests(method="GET")) >= 2


@ALL_MODES
@pytest.mark.parametrize("at_first", [True, False])
@pytest.mark.parametrize(
    ("end", "says"),
    [
        ({"status": "stopped"}, "is stopped"),
        ({"status": "paused_by_moon"}, "unknown status"),
        (None, "does not exist, or no longer"),
    ],
)
def test_failed(sandbox, wait, mode, at_first, end, says):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    path = campaign["uuid"]
    nth = 1 if at_first else 3
    if end is None:
        sandbox.fault(method="GET", path=path, nth=nth, times=None, status=404)
    else:
        body = {**campaign, **end}
        sandbox.fault(method="GET", path=path, nth=nth, times=None, status=200, body=body)
    run = wait(mode, campaign["uuid"], expect="failed")
    assert says in run.logs("wait")
    assert len(sandbox.requests(method="GET")) == nth


@ALL_MODES
@pytest.mark.parametrize("at_first", [True, False])
def test_soft_fail(sandbox, wait, mode, at_first):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    sandbox.fault(method="GET", path=campaign["uuid"], nth=1 if at_first else 2, times=None, status=404)
    run = wait(mode, campaign["uuid"], expect="skipped", soft_fail=True)
    assert "does not exist, or no longer" in run.logs("wait")


@ALL_MODES
@pytest.mark.parametrize("soft_fail", [False, True])
def test_time_is_up(sandbox, wait, mode, soft_fail):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    run = wait(
        mode,
        campaign["uuid"],
        expect="skipped" if soft_fail else "failed",
        timeout=0.5,
        soft_fail=soft_fail,
    )
    assert sandbox.campaigns()[0]["status"] == "active"
    if not soft_fail or mode == "deferred":
        assert "Last seen: status active" in run.logs("wait")


@ALL_MODES
def test_executed_after(sandbox, wait, mode):
    campaign = sandbox.create(schedule_type="scheduled", schedule_rrule="FREQ=HOURLY", status="active")
    sandbox_looks(sandbox, 2, lambda: sandbox.clock.advance(3600))
    run = wait(
        mode,
        campaign["uuid"],
        expect="success",
        executed_after=sandbox.clock.now() + pendulum.duration(minutes=30),
    )
    assert run.xcom("wait")["last_dt"] >= (sandbox.clock.now() - pendulum.duration(hours=1)).isoformat()
    assert run.xcom("wait")["status"] == "active"


@ALL_MODES
def test_a_draft_is_waited_for(sandbox, wait, mode):
    campaign = sandbox.create(status="draft")
    sandbox_looks(sandbox, 2, lambda: BMHook().set_campaign_status(campaign["uuid"], "active"))
    run = wait(mode, campaign["uuid"], expect="success")
    assert run.xcom("wait")["status"] == "finished"


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_passing_errors_are_put_up_with_for_a_while(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    # All tries of as many looks as are tolerated, from the second look on.
    times = TOLERATED_FAILURES * retry.MOST_TRIES
    sandbox.fault(method="GET", path=campaign["uuid"], nth=2, times=times, status=503)
    sandbox_looks(sandbox, 1 + times, lambda: sandbox.clock.advance(60))
    run = wait(mode, campaign["uuid"], expect="success", poke_interval=0.05)
    assert f"{TOLERATED_FAILURES} in a row" in run.logs("wait")


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_passing_errors_that_do_not_pass_fail_the_try(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    sandbox.fault(method="GET", path=campaign["uuid"], nth=2, times=None, status=503)
    run = wait(
        mode, campaign["uuid"], expect="failed", poke_interval=0.05, retries=1, retry_delay=timedelta(0)
    )
    assert "HTTP 503" in run.logs("wait")
    # So often in the first try, and then there was a second.
    assert len(sandbox.requests(method="GET")) > 1 + retry.MOST_TRIES * (TOLERATED_FAILURES + 1)


@ALL_MODES
def test_a_permanent_error_uses_no_retries(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    sandbox.fault(method="GET", path=campaign["uuid"], nth=2, times=None, status=403)
    run = wait(mode, campaign["uuid"], expect="failed")
    assert "HTTP 403" in run.logs("wait")
    assert "IP address" in run.logs("wait")


@ALL_MODES
@pytest.mark.parametrize(
    "wrong",
    [
        {"campaign_uuid": "../../other"},
        {"target_status": "done"},
        {"executed_after": "2026-01-01T00:00:00"},
        {"failed_status": ["gone"]},
        {"fields": "money"},
        {"service_uuid": "mine"},
    ],
)
def test_wrong_arguments_make_no_request(sandbox, wait, mode, wrong):
    arguments = {"campaign_uuid": "1592695e-c1b1-11ee-b153-774c9d3a7957", **wrong}
    run = wait(mode, arguments.pop("campaign_uuid"), expect="failed", soft_fail=True, **arguments)
    assert next(iter(wrong)) in run.logs("wait")
    assert sandbox.requests() == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_operators_fail_with_what_became_of_the_campaign(sandbox, run_dag, deferrable):
    draft = sandbox.create(status="draft")
    sandbox.clock.freeze()
    with DAG(dag_id=f"clone_{deferrable}", schedule=None, start_date=START) as dag:
        BMCloneCampaignOperator(
            task_id="send",
            clone_uuid=draft["uuid"],
            wait_for_completion=True,
            deferrable=deferrable,
            poke_interval=0.2,
            retries=2,
        )

    def stop():
        (clone,) = sandbox.campaigns(status="active")
        BMHook().set_campaign_status(clone["uuid"], "stopped")

    sandbox_looks(sandbox, 1, stop)
    run = run_dag(dag, expect="failed")
    assert run.task_states["send"] == "failed"
    assert "is stopped" in run.logs("send")
    # It can be found by other tasks and people all the same.
    assert run.xcom("send", "campaign")["uuid"] != draft["uuid"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_operators_give_up_in_time_and_leave_the_campaign_alone(sandbox, run_dag, deferrable):
    sandbox.clock.freeze()
    with DAG(dag_id=f"late_{deferrable}", schedule=None, start_date=START) as dag:
        BMCreateCampaignOperator(
            task_id="send",
            name="Storm",
            sending_type="sms",
            template="Stay at home.",
            sender="+41587000000",
            recipient_lists=sandbox.recipient_lists["staff"],
            wait_for_completion=True,
            deferrable=deferrable,
            poke_interval=0.2,
            timeout=pendulum.duration(seconds=0.5),
        )
    run = run_dag(dag, expect="failed")
    assert "the campaign continues. Last seen: status active" in run.logs("send")
    assert sandbox.campaigns()[0]["status"] == "active"
    assert len(sandbox.requests(method="POST", path="/campaigns")) == 1
