"""Waiting in a real Airflow. See test_modes.py for every outcome in every mode."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.client.retry import RetryPolicy, use_retry_policy
from airflow_provider_bm.operators import BMCloneCampaignOperator, BMCreateCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

START = pendulum.datetime(2026, 1, 1)
MODES = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferred": {"deferrable": True},
    # dag.test() always resumes a deferred task.
    "started_and_ended": {"start_from_trigger": True, "end_from_trigger": True},
}
ALL_MODES = pytest.mark.parametrize("mode", MODES)
MAX_TRIES = 2


@pytest.fixture(autouse=True)
def fast_retries():
    with use_retry_policy(RetryPolicy(first_wait=0.001, max_tries=MAX_TRIES)):
        yield


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
        assert "Unexpected event" not in run.logs()
        assert "could not be pushed" not in run.logs()
        return run

    return wait


def after_polls(sandbox, polls, call):
    """Call a function in the background after this number of polls."""

    def watch():
        while len(sandbox.requests(method="GET")) < polls:
            time.sleep(0.05)
        call()

    threading.Thread(target=watch, daemon=True).start()


@ALL_MODES
def test_finished_campaign_succeeds_with_its_messages(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    after_polls(sandbox, 2, lambda: sandbox.clock.advance(60))
    run = wait(mode, campaign["uuid"], expect="success", fields="messages")
    assert run.xcom("wait")["status"] == "finished"
    assert len(run.xcom("wait")["messages"]) == len(sandbox.messages())
    assert len(sandbox.requests(method="GET")) >= 2


@ALL_MODES
@pytest.mark.parametrize("soft_fail", [False, True])
def test_deleted_campaign_uses_no_retries(sandbox, wait, mode, soft_fail):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    sandbox.fault(method="GET", path=campaign["uuid"], nth=2, times=None, status=404)
    run = wait(mode, campaign["uuid"], expect="skipped" if soft_fail else "failed", soft_fail=soft_fail)
    assert "does not exist, or no longer" in run.logs("wait")
    assert len(sandbox.requests(method="GET")) == 2


@ALL_MODES
@pytest.mark.parametrize("soft_fail", [False, True])
def test_timeout_fails_or_skips_and_the_campaign_continues(sandbox, wait, mode, soft_fail):
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
    if not soft_fail or mode in ("deferred", "started_and_ended"):
        assert "Last seen: active" in run.logs("wait")


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_transient_errors_are_tolerated(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    # From the second poll on, every try of the tolerated number of polls fails.
    times = TOLERATED_FAILURES * MAX_TRIES
    sandbox.fault(method="GET", path=campaign["uuid"], nth=2, times=times, status=503)
    after_polls(sandbox, 1 + times, lambda: sandbox.clock.advance(60))
    run = wait(mode, campaign["uuid"], expect="success", poke_interval=0.05)
    assert f"{TOLERATED_FAILURES} in a row" in run.logs("wait")


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_persistent_transient_errors_fail_the_try(sandbox, wait, mode):
    sandbox.clock.freeze()
    campaign = sandbox.create(status="active")
    sandbox.fault(method="GET", path=campaign["uuid"], nth=2, times=None, status=503)
    run = wait(
        mode, campaign["uuid"], expect="failed", poke_interval=0.05, retries=1, retry_delay=timedelta(0)
    )
    assert "HTTP 503" in run.logs("wait")
    # All polls of the first try, and at least one of the second.
    assert len(sandbox.requests(method="GET")) > 1 + MAX_TRIES * (TOLERATED_FAILURES + 1)


def test_invalid_argument_uses_no_retries(sandbox, wait):
    run = wait("poke", "../../other", expect="failed", soft_fail=True)
    assert "campaign_uuid" in run.logs("wait")
    assert sandbox.requests() == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_operators_fail_if_the_campaign_is_stopped(sandbox, run_dag, deferrable):
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
        while not sandbox.campaigns(status="active"):
            time.sleep(0.05)
        (clone,) = sandbox.campaigns(status="active")
        sandbox.stop_campaign(clone["uuid"])

    threading.Thread(target=stop, daemon=True).start()
    run = run_dag(dag, expect="failed")
    assert run.task_states["send"] == "failed"
    assert "is stopped" in run.logs("send")
    # The XCom is pushed nevertheless, so that other tasks and people can find the campaign.
    assert run.xcom("send", "campaign")["uuid"] != draft["uuid"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_operators_time_out_and_the_campaign_continues(sandbox, run_dag, deferrable):
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
    assert "the campaign continues. Last seen: active" in run.logs("send")
    assert sandbox.campaigns()[0]["status"] == "active"
    assert len(sandbox.requests(method="POST", path="/campaigns")) == 1
