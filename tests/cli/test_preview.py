"""`preview`: what a DAG would send, without sending it."""

from __future__ import annotations

import textwrap

import pytest

HEAD = """
import pendulum
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_bm.operators import (
    BMCampaignStatusOperator, BMCloneCampaignOperator, BMCreateCampaignOperator, BMGetCampaignOperator,
)

START = pendulum.datetime(2026, 1, 1, tz="Europe/Zurich")
SMS = dict(name="Storm", sending_type="sms", sender="+41587000000", recipient_lists="{staff}")

with DAG("storm", schedule=None, start_date=START, params={{"wind": 90}}):
"""


@pytest.fixture
def preview(run, sandbox, tmp_path):
    """`preview("BMCreateCampaignOperator(…)")` previews a DAG with these tasks; it must send nothing."""

    def preview(tasks, *arguments, dag_id="storm"):
        head = HEAD.format(staff=sandbox.recipient_lists["staff"])
        file = tmp_path / "storm.py"
        file.write_text(head + textwrap.indent(textwrap.dedent(tasks), "    "))
        before = sandbox.campaigns()
        done = run("preview", dag_id, "-S", str(file), *arguments)
        assert sandbox.campaigns() == before
        assert {request["method"] for request in sandbox.requests(path="campaigns")} <= {"GET"}
        return done

    return preview


def test_a_campaign_that_would_be_sent(preview):
    done = preview(
        """
        text = "{{ ds }}: {{ params.wind }} km/h, {first_name}"
        BMCreateCampaignOperator(task_id="send", template=text, **SMS)
        """,
        "--logical-date",
        "2026-01-31T08:00Z",
    )
    assert done.code == 2, done.out
    assert "send: would be sent" in done.out
    assert "2026-01-31: 90 km/h, {first_name}" in done.out
    assert "DAG storm: 1 to send, 0 drafts, 0 errors. Nothing was sent now." in done.out


def test_drafts_and_other_tasks_send_nothing(preview):
    done = preview(
        """
        BMCreateCampaignOperator(task_id="draft", template="x", status="draft", **SMS)
        BMGetCampaignOperator(task_id="read", campaign_uuid="1592695e-c1b1-11ee-b153-774c9d3a7957")
        """
    )
    assert done.code == 0, done.out
    assert "draft: stays a draft" in done.out
    assert "read" not in done.out


def test_a_draft_only_connection_sends_nothing(preview, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    done = preview('BMCreateCampaignOperator(task_id="send", template="x", **SMS)')
    assert done.code == 0, done.out
    assert "send: stays a draft (the connection is draft_only)" in done.out


def test_a_clone_shows_the_content_of_its_source(preview, sandbox):
    uuid = sandbox.create(name="Warning", template="Wind {wind}", status="draft")["uuid"]
    variables = {"wind": "90 km/h"}
    done = preview(
        f"""BMCloneCampaignOperator(task_id="send", clone_uuid="{uuid}", template_vars={variables})"""
    )
    assert done.code == 2, done.out
    assert "Wind 90 km/h" in done.out


def test_what_a_guard_refuses_is_an_error(preview, sandbox):
    source = sandbox.create(name="Warning", template="Wind {wind}", status="draft")
    done = preview(f"""BMCloneCampaignOperator(task_id="send", clone_uuid="{source["uuid"]}")""")
    assert done.code == 1
    assert "send: ERROR" in done.out
    assert "{wind}" in done.out


def test_values_of_other_tasks_are_placeholders(preview):
    done = preview(
        """
        BMCreateCampaignOperator(
            task_id="send",
            template="Wind {{ ti.xcom_pull('read')['wind'] }} km/h",
            **SMS,
        )
        """
    )
    assert done.code == 2, done.out
    assert "Wind <read['wind']> km/h" in done.out
    assert "not known before other tasks have run: read" in done.out


def test_the_output_of_a_task_is_a_placeholder(preview):
    done = preview(
        """
        @task
        def source(): ...

        BMCloneCampaignOperator(task_id="send", clone_uuid=source())
        BMCampaignStatusOperator(task_id="start", campaign_uuid=source(), status="active")
        BMCampaignStatusOperator(task_id="stop", campaign_uuid=source(), status="stopped")
        """
    )
    assert done.code == 2, done.out
    assert "send: would be sent" in done.out
    assert "start: would be sent (activates a campaign" in done.out
    assert "stop: nothing to send" in done.out


def test_mapped_tasks(preview):
    done = preview(
        """
        BMCreateCampaignOperator.partial(task_id="send", **SMS).expand(template=["North", "South"])
        """,
        "-o",
        "json",
    )
    assert done.code == 2, done.out
    plans = done.json()
    assert [plan["task"] for plan in plans] == ["send[0]", "send[1]"]
    assert [plan["campaign"]["text"] for plan in plans] == ["North", "South"]


def test_an_unknown_dag(preview):
    done = preview("raise ValueError('broken file')", dag_id="flood")
    assert done.code == 1
    assert "there is no DAG 'flood'" in done.err
    assert "broken file" in done.err


def test_a_logical_date_needs_a_zone(preview):
    done = preview("pass", "--logical-date", "2026-01-31T08:00")
    assert done.code == 1
    assert "--logical-date: the time zone is missing" in done.err
