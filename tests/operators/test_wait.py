"""Operators that wait for completion: the timeout, and ending in the triggerer."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS
from airflow_provider_bm.links import BMCampaignLink
from airflow_provider_bm.operators import BMCreateCampaignOperator, send
from airflow_provider_bm.triggers import BMCampaignTrigger
from tests.support import xcoms
from tests.support.virtual_time import run


def operator(sandbox, **arguments):
    return BMCreateCampaignOperator(
        task_id="send",
        name="Storm",
        sending_type="sms",
        template="Stay at home.",
        sender="+41587000000",
        recipient_lists=sandbox.recipient_lists["staff"],
        max_age=None,
        **{"wait_for_completion": True, "deferrable": False, "poke_interval": 0.05, **arguments},
    )


@pytest.fixture
def context():
    pushed = {}
    ti = SimpleNamespace(
        dag_id="storm", run_id="manual", task_id="send", map_index=-1, try_number=1, pushed=pushed
    )
    ti.xcom_push = lambda key, value: pushed.update({key: value})
    return {"ti": ti, "dag_run": SimpleNamespace(run_type="manual", run_after=datetime.now(UTC))}


def test_timeout_does_not_depend_on_the_system_clock(sandbox, context, monkeypatch):
    still = datetime.now(UTC)

    class Frozen(datetime):
        @classmethod
        def now(cls, tz=None):
            return still

    monkeypatch.setattr(send, "datetime", Frozen)
    sandbox.clock.freeze()
    with pytest.raises(AirflowFailException, match="The wait timed out; the campaign continues"):
        operator(sandbox, timeout=0.3).execute(context)


@pytest.mark.skipif(not HAS_TRIGGERER_TASKS, reason="requires Airflow 3.3")
@pytest.mark.parametrize("do_xcom_push", [True, False])
def test_task_that_ends_in_the_triggerer_pushes_the_same_xcoms(sandbox, context, do_xcom_push):
    sandbox.clock.freeze()
    task = operator(sandbox, deferrable=True, end_from_trigger=True, do_xcom_push=do_xcom_push)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    sandbox.clock.advance(60)
    (campaign,) = sandbox.campaigns()
    trigger = BMCampaignTrigger(**deferred.value.trigger.serialize()[1])
    trigger.task_instance = context["ti"]

    async def main():
        return await anext(trigger.run())

    pushed = {}
    with xcoms.recorded(context["ti"], pushed):
        event = run(main())
    assert event.task_instance_state.value == "success"
    link = pushed["campaign_link"]
    assert campaign["uuid"] in link
    expected = {"return_value": campaign["uuid"], "campaign": campaign} if do_xcom_push else {}
    assert pushed == expected | {"campaign_link": link, BMCampaignLink().xcom_key: link}


def test_failed_poll_names_the_campaign(sandbox, context):
    sandbox.clock.freeze()
    sandbox.fault(method="GET", path=r"/campaigns/[\w-]+$", times=None, status=403)
    with pytest.raises(AirflowFailException) as error:
        operator(sandbox).execute(context)
    (campaign,) = sandbox.campaigns()
    assert f"Campaign {campaign['uuid']} 'Storm' could not be polled: HTTP 403" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [({}, True), ({"wait_for_completion": False}, False), ({"deferrable": False}, False)],
)
def test_end_from_trigger_is_set_only_if_the_task_defers(sandbox, arguments, ends):
    """Airflow refuses tasks that set it, if a plugin has listeners."""
    defaults = {"deferrable": True, "end_from_trigger": True, "wait_for_completion": True}
    task = operator(sandbox, **(defaults | arguments))
    assert task.end_from_trigger is ends
