"""Complete DAG runs in a real Airflow, against the sandbox."""

from __future__ import annotations

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators import (
    BMCampaignStatusOperator,
    BMCloneCampaignOperator,
    BMCreateCampaignOperator,
    BMDeleteCampaignOperator,
    BMGetCampaignOperator,
    BMListCampaignsOperator,
    BMUpdateCampaignOperator,
)
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sensors import BMCampaignSensor
from tools.airflow_env import is_airflow_2

START = pendulum.datetime(2026, 1, 1)


def make_dag(name: str, **kwargs: object) -> DAG:
    return DAG(dag_id=f"life_cycle_{name}", schedule=None, start_date=START, **kwargs)


def sms(sandbox: Sandbox, **kwargs: object) -> dict[str, object]:
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Hello {first_name}, stay at home.",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
        **kwargs,
    }


def test_all_operators_and_the_sensor_in_one_dag(sandbox, run_dag):
    with make_dag("all") as dag:
        draft = BMCreateCampaignOperator(task_id="draft", **sms(sandbox, status="draft"))
        update = BMUpdateCampaignOperator(
            task_id="update", campaign_uuid=draft.output, template="Hello {first_name}, {temp} today."
        )
        clone = BMCloneCampaignOperator(
            task_id="clone", clone_uuid=draft.output, template_vars={"temp": "-22C"}
        )
        wait = BMCampaignSensor(task_id="wait", campaign_uuid=clone.output, poke_interval=0.3, timeout=30)
        read = BMGetCampaignOperator(task_id="read", campaign_uuid=clone.output, fields="messages")
        drafts = BMListCampaignsOperator(task_id="drafts", status="draft", limit="{{ 1 + 1 }}")
        # An active campaign that is due now may have finished before it can be stopped.
        postpone = BMUpdateCampaignOperator(
            task_id="postpone",
            campaign_uuid=draft.output,
            schedule_type="once",
            schedule_rrule="2099-01-01 09:00:00",
        )
        start = BMCampaignStatusOperator(
            task_id="start", campaign_uuid=draft.output, status="active", allowed_variables="temp"
        )
        stop = BMCampaignStatusOperator(task_id="stop", campaign_uuid=draft.output, status="stopped")
        delete = BMDeleteCampaignOperator(task_id="delete", campaign_uuid=draft.output)
        draft >> update >> clone >> wait >> read >> drafts >> postpone >> start >> stop >> delete
    run = run_dag(dag, expect="success")

    draft_uuid, clone_uuid = run.xcom("draft"), run.xcom("clone")
    assert draft_uuid != clone_uuid
    assert run.xcom("draft", "campaign")["status"] == "draft"
    assert run.xcom("clone", "campaign")["uuid"] == clone_uuid
    assert run.xcom("wait")["status"] == "finished"
    assert len(run.xcom("read")["messages"]) == len(sandbox.messages(campaign_uuid=clone_uuid)) > 10
    assert [each["uuid"] for each in run.xcom("drafts")] == [draft_uuid]
    assert run.xcom("delete") is None
    texts = {message["text"] for message in sandbox.messages(campaign_uuid=clone_uuid)}
    assert all(text.endswith(", -22C today.") for text in texts)
    assert [campaign["uuid"] for campaign in sandbox.campaigns()] == [clone_uuid]


@pytest.mark.parametrize("deferrable", [False, True])
def test_create_waits_for_completion(sandbox, run_dag, deferrable):
    with make_dag(f"wait_{deferrable}") as dag:
        BMCreateCampaignOperator(
            task_id="send",
            wait_for_completion=True,
            deferrable=deferrable,
            poke_interval=0.3,
            **sms(sandbox),
        )
    run = run_dag(dag, expect="success")
    uuid = run.xcom("send")
    assert run.xcom("send", "campaign")["status"] == "finished"
    assert sandbox.campaigns()[0]["uuid"] == uuid


@pytest.mark.parametrize("console", [None, "https://console.example.com/campaigns/{campaign_uuid}"])
def test_console_link_is_pushed_for_the_ui(sandbox, run_dag, monkeypatch, console):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(console_url=console))
    with make_dag(f"link_{bool(console)}") as dag:
        send = BMCreateCampaignOperator(
            task_id="send", wait_for_completion=True, deferrable=True, poke_interval=0.3, **sms(sandbox)
        )
        BMCampaignSensor(task_id="wait", campaign_uuid=send.output, deferrable=True, poke_interval=0.3)
    run = run_dag(dag, expect="success")
    for task_id in ("send", "wait"):
        link = run.xcom(task_id, "campaign_link")
        assert link == (console and console.replace("{campaign_uuid}", run.xcom("send")))
        if not is_airflow_2():
            assert run.xcom(task_id, "_link_BMCampaignLink") == (link or "")
        # Airflow 3 logs this as an error.
        assert "XCom not found" not in run.logs(task_id)


def test_draft_only_sends_nothing(sandbox, run_dag, monkeypatch):
    draft = sandbox.create(status="draft")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    with make_dag("draft_only") as dag:
        BMCreateCampaignOperator(task_id="create", **sms(sandbox))
        BMCloneCampaignOperator(task_id="clone", clone_uuid=draft["uuid"], staged=True)
        BMUpdateCampaignOperator(task_id="update", campaign_uuid=draft["uuid"], status="active")
        BMCampaignStatusOperator(task_id="start", campaign_uuid=draft["uuid"], status="active", retries=2)
    run = run_dag(dag, expect="success")
    assert {campaign["status"] for campaign in sandbox.campaigns()} == {"draft"}
    assert sandbox.executions() == []
    for task_id in run.task_states:
        assert "NOTHING WAS SENT" in run.logs(task_id)
        assert run.xcom(task_id, "sent") is False
