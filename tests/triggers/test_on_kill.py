"""A killed task stops its campaign only if the task instance has failed, and never acts after the wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.triggers.base import BaseTrigger

from airflow_provider_bm import _compat
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.triggers import BMCampaignTrigger
from airflow_provider_bm.triggers.on_kill import stop_within_grace

TI = SimpleNamespace(dag_id="storm", run_id="manual", task_id="send", map_index=-1, try_number=1)


@pytest.fixture
def campaign(sandbox):
    return sandbox.create(name="[7c41e09ab2f3d815] Storm", status="active")


@pytest.fixture
def state(monkeypatch):
    """Set what Airflow answers when it is asked for the state of the task instance."""

    def set_state(answer):
        def task_instance_state(ti):
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer

        monkeypatch.setattr(_compat, "task_instance_state", task_instance_state)

    return set_state


def kill_worker(campaign, **arguments):
    label = f"{campaign['uuid']} 'Storm'"
    return stop_within_grace(
        TI, campaign["uuid"], lambda: BMHook().client, label=label, **{"grace": 20, **arguments}
    )


@pytest.mark.parametrize(
    ("answer", "status"),
    [("failed", "stopped"), ("running", "active"), ("up_for_retry", "active"), (None, "active")],
)
def test_worker_stops_the_campaign_of_a_failed_task_instance_only(sandbox, campaign, state, answer, status):
    state(answer)
    assert kill_worker(campaign)
    assert sandbox.campaigns()[0]["status"] == status


@pytest.mark.parametrize("answer", [_compat.AirflowChangedError("no such method"), ConnectionError("away")])
def test_unknown_state_is_reported_with_the_campaign(sandbox, campaign, state, caplog, answer):
    state(answer)
    assert kill_worker(campaign)
    assert sandbox.campaigns()[0]["status"] == "active"
    assert (
        f"Campaign {campaign['uuid']} 'Storm': it is not known whether its task instance has failed"
        in caplog.text
    )
    assert str(answer) in caplog.text


def test_airflow_does_not_respond(sandbox, campaign, state, caplog):
    """Airflow 3.3: the interrupted code is itself waiting for a response from the supervisor."""
    answers = threading.Event()
    state(lambda: answers.wait(20) and "running")
    assert not kill_worker(campaign, grace=0.05)
    answers.set()
    assert f"Campaign {campaign['uuid']} 'Storm': it is not known whether" in caplog.text
    assert "Airflow did not respond" in caplog.text
    assert sandbox.campaigns()[0]["status"] == "active"


def test_bm_does_not_respond(sandbox, campaign, state, caplog):
    state("failed")
    sandbox.fault(method="GET", path=campaign["uuid"], delay=0.5)
    assert not kill_worker(campaign, grace=0.1)
    assert f"There was no time to stop campaign {campaign['uuid']} 'Storm'" in caplog.text


def operator(sandbox, **arguments):
    return BMCreateCampaignOperator(
        task_id="send",
        name="Storm",
        sending_type="sms",
        template="Stay at home.",
        sender="+41587000000",
        recipient_lists=sandbox.recipient_lists["staff"],
        wait_for_completion=True,
        deferrable=False,
        **{"poke_interval": 0.1, **arguments},
    )


@pytest.mark.parametrize("timeout", [30, 0.3])
def test_on_kill_after_the_wait_does_nothing(sandbox, state, caplog, timeout):
    """Whether the campaign has finished or the wait has timed out."""
    caplog.set_level(logging.INFO)
    if timeout > 1:
        sandbox.clock.resume()
    task = operator(sandbox, timeout=timeout)
    ti = SimpleNamespace(**vars(TI), xcom_push=lambda **_: None)
    with contextlib.suppress(AirflowFailException):
        task.execute({"ti": ti})
    asked = []
    state(lambda: asked.append(1) or "failed")
    caplog.clear()
    task.on_kill()
    assert not asked
    assert caplog.text == ""


@pytest.mark.parametrize("seconds", [-1, 3600])
def test_trigger_stops_the_campaign_when_a_person_ends_the_task(sandbox, campaign, state, seconds):
    """Airflow 3.3 reports what a person does only; before, Airflow itself may have ended a late trigger."""
    state("failed")
    deadline = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    trigger = BMCampaignTrigger(campaign_uuid=campaign["uuid"], stop_on_kill=True, deadline=deadline)
    trigger.task_instance = TI
    asyncio.run(trigger.on_kill())
    stops = seconds > 0 or hasattr(BaseTrigger, "on_kill")
    assert [campaign["status"] for campaign in sandbox.campaigns()] == ["stopped" if stops else "active"]


def test_trigger_reports_an_unknown_state_with_the_campaign(sandbox, campaign, state, caplog):
    state(_compat.AirflowChangedError("no such method"))
    trigger = BMCampaignTrigger(campaign_uuid=campaign["uuid"], stop_on_kill=True)
    trigger.task_instance = TI
    asyncio.run(trigger.on_kill())
    assert f"Campaign {campaign['uuid']}: it is not known whether its task instance has failed" in caplog.text
    assert sandbox.campaigns()[0]["status"] == "active"
