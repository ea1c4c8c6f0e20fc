"""What a task shows of its campaign: log lines, the link, the map index, asset events and metrics."""

from __future__ import annotations

import re

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias

from airflow_provider_bm import metrics
from airflow_provider_bm.assets import campaign_uri
from airflow_provider_bm.operators import (
    BMCampaignStatusOperator,
    BMCloneCampaignOperator,
    BMCreateCampaignOperator,
    BMUpdateCampaignOperator,
)
from airflow_provider_bm.sandbox.contacts import DEFAULT_SERVICE
from airflow_provider_bm.sensors import BMCampaignSensor
from tools.airflow_env import ROOT, is_airflow_2

CONSOLE = "https://console.example.com/campaigns/{campaign_uuid}"


def make_dag(name: str, **kwargs: object) -> DAG:
    return DAG(dag_id=f"reporting_{name}", schedule=None, start_date=pendulum.datetime(2026, 1, 1), **kwargs)


@pytest.fixture
def sms(sandbox):
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Hello {first_name}.",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
    }


@pytest.fixture
def console(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(console_url=CONSOLE))


def lines(run, task_id, level, logger="airflow_provider_bm"):
    """The lines of this package in a task's log."""
    found = [line.split(" ", 2) for line in run.logs(task_id).splitlines() if line.startswith(logger)]
    return [
        parts[2] for parts in found if parts[1].lower() == level and parts[0] != "airflow_provider_bm.sandbox"
    ]


class TestLinks:
    @pytest.mark.usefixtures("console")
    def test_every_task_that_names_a_campaign_has_the_link_in_its_log(self, sandbox, run_dag):
        uuid = sandbox.create(status="draft", name="Storm")["uuid"]
        with make_dag("links") as dag:
            BMUpdateCampaignOperator(task_id="update", campaign_uuid=uuid, name="Frost") >> (
                BMCampaignStatusOperator(task_id="stop", campaign_uuid=uuid, status="stopped")
            )
        run = run_dag(dag)
        for task_id in ("update", "stop"):
            assert run.xcom(task_id, "campaign_link") == CONSOLE.format(campaign_uuid=uuid)
            assert CONSOLE.format(campaign_uuid=uuid) in run.logs(task_id)

    @pytest.mark.usefixtures("console")
    def test_failed_tasks_have_the_link_too(self, sandbox, run_dag):
        executed = {"created_dt": "2026-01-01T08:00:00Z", "last_dt": "2026-01-01T08:00:00Z"}
        finished = sandbox.create(status="finished", **executed)["uuid"]
        stopped = sandbox.create(status="stopped")["uuid"]
        with make_dag("failed_links") as dag:
            BMUpdateCampaignOperator(task_id="update", campaign_uuid=finished, status="active")
            BMCampaignStatusOperator(task_id="start", campaign_uuid=finished, status="active")
            BMCampaignSensor(task_id="poke", campaign_uuid=stopped)
            BMCampaignSensor(task_id="defer", campaign_uuid=stopped, deferrable=True)
        run = run_dag(dag, expect="failed")
        expected = {"update": finished, "start": finished, "poke": stopped, "defer": stopped}
        for task_id, uuid in expected.items():
            assert run.xcom(task_id, "campaign_link") == CONSOLE.format(campaign_uuid=uuid)
            if not is_airflow_2():
                assert run.xcom(task_id, "_link_BMCampaignLink") == CONSOLE.format(campaign_uuid=uuid)

    @pytest.mark.usefixtures("console")
    def test_a_wait_that_fails_in_the_triggerer_keeps_the_link(self, sandbox, run_dag):
        daily = {"schedule_type": "scheduled", "schedule_rrule": "FREQ=DAILY;BYHOUR=3;BYMINUTE=0;BYSECOND=0"}
        uuid = sandbox.create(status="active", **daily)["uuid"]
        with make_dag("deferred_link") as dag:
            BMCampaignSensor(
                task_id="wait", campaign_uuid=uuid, deferrable=True, poke_interval=0.2, timeout=0.5
            )
        run = run_dag(dag, expect="failed")
        assert run.xcom("wait", "campaign_link") == CONSOLE.format(campaign_uuid=uuid)
        if not is_airflow_2():
            assert run.xcom("wait", "_link_BMCampaignLink") == CONSOLE.format(campaign_uuid=uuid)


class TestLogs:
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_info_logs_the_course_of_a_campaign(self, sandbox, run_dag, sms, deferrable):
        with make_dag(f"course_{deferrable}") as dag:
            BMCreateCampaignOperator(
                task_id="send", wait_for_completion=True, deferrable=deferrable, poke_interval=0.3, **sms
            )
        run = run_dag(dag, expect="success")
        uuid = run.xcom("send")
        logged = lines(run, "send", "info")
        assert len(logged) <= 7, logged
        text = "\n".join(logged)
        assert "Sending campaign 'Storm': sms, at once" in text
        assert f"Campaign {uuid} 'Storm': active" in text
        assert re.search(rf"{uuid} 'Storm'.*finished, sent at \d\d:\d\d:\d\d UTC, no further execution", text)
        assert all("'Storm'" in line for line in logged)
        assert "Hello" not in text

    def test_debug_has_each_request_without_content(self, sandbox, run_dag, sms):
        with make_dag("debug") as dag:
            BMCreateCampaignOperator(task_id="send", **sms)
        run = run_dag(dag, expect="success")
        requests = lines(run, "send", "debug", "airflow_provider_bm.client.session")
        assert re.fullmatch(r"GET /campaigns: 200 in \d+ ms", requests[-2])
        assert re.fullmatch(r"POST /campaigns: 201 in \d+ ms", requests[-1])
        assert not [line for line in requests if "Hello" in line or "Bearer" in line or "?" in line]

    def test_a_refusal_ends_with_one_error_and_no_frames_of_libraries(self, sandbox, run_dag, sms):
        sandbox.fault("POST", "campaigns$", status=403, times=None)
        with make_dag("refused") as dag:
            BMCreateCampaignOperator(task_id="send", **sms)
        run = run_dag(dag, expect="failed")
        log = run.logs("send")
        assert log.count("HTTP 403") >= 1
        assert "During handling of the above exception" not in log
        assert "direct cause of the following exception" not in log
        assert "site-packages/requests" not in log


@pytest.mark.skipif(is_airflow_2(), reason="the tests cannot read the index that Airflow 2 has rendered")
@pytest.mark.parametrize("template", [None, "region {{ task.template }}"])
def test_the_map_index_is_the_campaigns_name(sandbox, run_dag, sms, template):
    more = {} if template is None else {"map_index_template": template}
    sms = {key: value for key, value in sms.items() if key not in ("name", "template")}
    with make_dag(f"mapped_{template is None}") as dag:
        BMCreateCampaignOperator.partial(task_id="send", **sms, **more).expand_kwargs(
            [{"name": name, "template": name.lower()} for name in ("North", "South")]
        )
    run = run_dag(dag, expect="success")
    names = {ti.map_index: ti.rendered_map_index for ti in run.dag_run.get_task_instances()}
    assert names == ({0: "North", 1: "South"} if template is None else {0: "region north", 1: "region south"})


@pytest.mark.skipif(is_airflow_2(), reason="dag.test() of Airflow 2 does not store the datasets")
class TestOutlets:
    """Asset events of tasks that send."""

    @pytest.fixture
    def events(self, airflow_db):
        """`events()`: all asset events, as (URI, extra)."""

        def events():
            from airflow.utils.session import create_session

            if is_airflow_2():
                from airflow.models.dataset import DatasetEvent as Event
            else:
                from airflow.models.asset import AssetEvent as Event
            with create_session() as session:
                return [
                    ((event.dataset if is_airflow_2() else event.asset).uri, event.extra)
                    for event in session.query(Event).order_by(Event.id)
                ]

        return events

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_the_event_has_the_campaign(self, sandbox, run_dag, sms, events, deferrable):
        with make_dag(f"outlet_{deferrable}") as dag:
            BMCreateCampaignOperator(
                task_id="send",
                wait_for_completion=True,
                deferrable=deferrable,
                poke_interval=0.3,
                outlets=[Asset(uri="s3://bucket/warnings")],
                **sms,
            )
        run = run_dag(dag, expect="success")
        ((uri, extra),) = events()
        assert uri == "s3://bucket/warnings"
        assert extra["campaign"]["uuid"] == run.xcom("send")
        assert extra["campaign"]["status"] == "finished"

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_an_alias_becomes_the_asset_of_the_campaign(self, sandbox, run_dag, sms, events, deferrable):
        with make_dag(f"alias_{deferrable}") as dag:
            BMCreateCampaignOperator(
                task_id="send",
                wait_for_completion=True,
                deferrable=deferrable,
                poke_interval=0.3,
                outlets=[AssetAlias("sent campaigns")],
                **sms,
            )
        run = run_dag(dag, expect="success")
        ((uri, extra),) = events()
        assert uri == campaign_uri(DEFAULT_SERVICE, run.xcom("send"))
        assert extra["campaign"]["name"].endswith("Storm")

    def test_the_example_passes_the_sent_campaign_to_the_next_dag(self, sandbox, run_dag_file, events):
        sandbox.execution_seconds = 0
        example = ROOT / "dags_examples" / "follow_up.py"
        run = run_dag_file(example, "warn", expect="success")
        ((_, extra),) = events()
        assert extra["campaign"]["uuid"] == run.xcom("send")
        assert extra["campaign"]["last_dt"]

    def test_what_was_not_sent_has_no_event(self, sandbox, run_dag, sms, events, monkeypatch):
        draft = sandbox.create(status="draft")["uuid"]
        outlets = {"outlets": [Asset(uri="s3://bucket/warnings"), AssetAlias("sent")]}
        with make_dag("unsent") as dag:
            BMCreateCampaignOperator(task_id="draft", status="draft", **sms, **outlets)
            BMCloneCampaignOperator(task_id="clone", clone_uuid=draft, status="draft", **outlets)
            BMUpdateCampaignOperator(task_id="update", campaign_uuid=draft, name="Frost", **outlets)
        run_dag(dag, expect="success")
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
        with make_dag("unsent_draft_only") as dag:
            BMCreateCampaignOperator(task_id="create", **sms, **outlets)
            BMCampaignStatusOperator(task_id="start", campaign_uuid=draft, status="active", **outlets)
        run_dag(dag, expect="success")
        assert events() == []


class TestMetrics:
    @pytest.fixture
    def counted(self, monkeypatch):
        """The counters that were incremented, each with its tags."""
        found = []

        class Stats:
            @staticmethod
            def incr(name, tags=None):
                found.append((name, tags))

            @staticmethod
            def timing(name, value, tags=None):
                found.append((name, tags))

        monkeypatch.setattr("airflow.providers.common.compat.sdk.Stats", Stats)
        return found

    def test_a_campaign_that_is_sent_and_waited_for(self, sandbox, execute, sms, counted):
        done = execute(BMCreateCampaignOperator, wait_for_completion=True, poke_interval=0.3, **sms)
        assert done.error is None, done.error
        names = [name for name, _ in counted]
        assert names.count("bm.campaigns.created") == 1
        assert ("bm.campaigns.created", {"sending_type": "sms"}) in counted
        assert names.count("bm.waits.done") == 1
        assert names.count("bm.polls") >= 1
        assert ("bm.requests.2xx", {"method": "POST"}) in counted

    def test_adopted_and_activated(self, sandbox, execute, sms, counted):
        execute(BMCreateCampaignOperator, **sms)
        assert execute(BMCreateCampaignOperator, **sms).error is None
        draft = sandbox.create(status="draft")["uuid"]
        execute(BMCampaignStatusOperator, campaign_uuid=draft, status="active")
        names = [name for name, _ in counted]
        assert [names.count(f"bm.campaigns.{what}") for what in ("created", "adopted", "activated")] == [
            1,
            1,
            1,
        ]

    def test_refused(self, sandbox, execute, sms, counted):
        assert execute(BMCreateCampaignOperator, **{**sms, "sender": ""}).error is not None
        sandbox.fault("POST", "campaigns$", status=403)
        assert execute(BMCreateCampaignOperator, **sms).error is not None
        names = [name for name, _ in counted]
        assert names.count("bm.campaigns.refused") == 2
        assert names.count("bm.requests.4xx") == 1

    def test_unknown(self, sandbox, execute, sms, counted):
        sandbox.fault("POST", "campaigns$", status=500)
        assert execute(BMCreateCampaignOperator, deduplicate=False, **sms).error is not None
        names = [name for name, _ in counted]
        assert names.count("bm.campaigns.unknown") == 1
        assert "bm.campaigns.refused" not in names

    def test_a_failed_wait_is_no_refusal(self, sandbox, execute, sms, counted):
        done = execute(
            BMCreateCampaignOperator,
            wait_for_completion=True,
            timeout=0.1,
            poke_interval=0.1,
            **sms,
            schedule_rrule="FREQ=DAILY;BYHOUR=3;BYMINUTE=0;BYSECOND=0",
            schedule_type="scheduled",
        )
        assert done.error is not None
        names = [name for name, _ in counted]
        assert "bm.waits.timeout" in names
        assert "bm.campaigns.refused" not in names

    def test_every_name_and_tag_is_documented_in_the_module(self, sandbox, execute, sms, counted):
        execute(BMCreateCampaignOperator, wait_for_completion=True, poke_interval=0.3, **sms)
        for name, tags in counted:
            assert set(tags) <= set(metrics.COUNTERS.get(name, ("method",)))
