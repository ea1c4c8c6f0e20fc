"""The sensor ends alike in every mode: poke, deferred, and started or ended in the triggerer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS
from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.hooks import bm as hook
from airflow_provider_bm.links import BMCampaignLink
from airflow_provider_bm.operators import BMGetCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor
from airflow_provider_bm.triggers import BMCampaignTrigger, subscription
from airflow_provider_bm.triggers.campaign import DEFER_MARGIN
from tests.sensors.modes import MODES, task_instance, wait
from tests.support.virtual_time import run

ALL_MODES = pytest.mark.parametrize("mode", MODES)
UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"


@pytest.fixture
def sandbox(sandbox, monkeypatch):
    """A sandbox whose clock only advances on request, and clients that retry without pauses."""
    sandbox.clock.freeze()
    connect = subscription.client_with

    def fast_client(settings: BMSettings, *, sleep, check) -> BMClient:
        return connect(settings, sleep=lambda _: check(), check=check)

    monkeypatch.setattr(subscription, "client_with", fast_client)
    monkeypatch.setattr(hook, "client_with", lambda settings: connect(settings, sleep=lambda _: None))
    monkeypatch.setattr("time.sleep", lambda _: None)
    return sandbox


@pytest.fixture
def sensor(sandbox):
    def sensor(mode, campaign_uuid="{{ params.campaign }}", **arguments):
        return BMCampaignSensor(
            task_id="wait", campaign_uuid=campaign_uuid, **{"timeout": 3600, **MODES[mode], **arguments}
        )

    return sensor


def ends_in_triggerer(mode, state="success"):
    return "triggerer" if "ended" in mode and state in ("success", "skipped") else "worker"


@ALL_MODES
@pytest.mark.parametrize("at_first", [True, False])
def test_finished_campaign_succeeds(sandbox, sensor, mode, at_first, caplog):
    caplog.set_level(logging.INFO)
    uuid = sandbox.create(name="[7c41e09ab2f3d815] Storm", status="active")["uuid"]
    if at_first:
        sandbox.clock.advance(60)
    ended = wait(sensor(mode), meanwhile=lambda: sandbox.clock.advance(60), campaign=uuid)
    assert ended.state == "success"
    if not at_first:
        assert ended.where == ends_in_triggerer(mode)
    assert ended.xcoms["return_value"]["uuid"] == uuid
    assert ended.xcoms["return_value"]["status"] == "finished"
    assert f"Campaign {uuid} 'Storm' is finished, as expected" in caplog.text


@ALL_MODES
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "stopped"}, "Campaign {uuid} 'Storm' is stopped"),
        ({"status": "paused_by_moon"}, "Campaign {uuid} 'Storm' has the unknown status 'paused_by_moon'"),
        (404, "Campaign {uuid}{name} does not exist, or no longer exists"),
        (403, "Campaign {uuid}{name} could not be polled: HTTP 403"),
    ],
)
@pytest.mark.parametrize(("at_first", "soft_fail"), [(True, True), (False, False), (False, True)])
def test_stopped_missing_or_unreadable_campaign_fails_or_skips(
    sandbox, sensor, mode, soft_fail, change, message, at_first, caplog
):
    campaign = sandbox.create(name="Storm", status="active")
    uuid = campaign["uuid"]

    def fail():
        effect = {"status": change} if isinstance(change, int) else {"status": 200, "body": campaign | change}
        sandbox.fault(method="GET", path=uuid, times=None, **effect)

    if at_first:
        fail()
    ended = wait(
        sensor(mode, soft_fail=soft_fail),
        meanwhile=(lambda: None) if at_first else fail,
        campaign=uuid,
    )
    assert ended.state == ("skipped" if soft_fail else "failed")
    if not at_first:
        assert ended.where == ends_in_triggerer(mode, ended.state)
    expected = message.format(uuid=uuid, name="" if at_first else " 'Storm'")
    assert expected in caplog.text + ended.message


@ALL_MODES
@pytest.mark.parametrize("soft_fail", [False, True])
def test_timeout_fails_or_skips(sandbox, sensor, mode, soft_fail, caplog):
    uuid = sandbox.create(name="Storm", status="active")["uuid"]
    arguments = {"timeout": 0.2, "poke_interval": 0.1} if mode == "poke" else {"timeout": 600}
    ended = wait(sensor(mode, soft_fail=soft_fail, **arguments), campaign=uuid)
    assert ended.state == ("skipped" if soft_fail else "failed")
    if mode != "poke":
        assert ended.where == ends_in_triggerer(mode, ended.state)
        assert "The wait timed out; the campaign continues. Last seen: active" in caplog.text
        assert f"(campaign {uuid} 'Storm')" in caplog.text
    assert sandbox.campaigns()[0]["status"] == "active"


@ALL_MODES
def test_executed_after_succeeds_while_the_campaign_is_active(sandbox, sensor, mode):
    uuid = sandbox.create(schedule_type="scheduled", schedule_rrule="FREQ=HOURLY", status="active")["uuid"]
    ended = wait(
        sensor(mode, executed_after="{{ params.after }}"),
        meanwhile=lambda: sandbox.clock.advance(3600),
        campaign=uuid,
        after=sandbox.clock.now().isoformat(),
    )
    assert ended.state == "success"
    assert ended.xcoms["return_value"]["status"] == "active"


@ALL_MODES
def test_draft_is_waited_for(sandbox, sensor, mode):
    uuid = sandbox.create(status="draft")["uuid"]

    def activate():
        sandbox.start_campaign(uuid)
        sandbox.clock.advance(60)

    assert wait(sensor(mode), meanwhile=activate, campaign=uuid).state == "success"


@ALL_MODES
def test_draft_behind_a_draft_only_connection_ends_at_once(sandbox, sensor, mode, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    uuid = sandbox.create(name="Storm", status="draft")["uuid"]
    ended = wait(sensor(mode), campaign=uuid)
    assert ended.state == "success"
    assert ended.xcoms["sent"] is False
    assert "NOTHING WAS SENT" in caplog.text
    assert f"Campaign {uuid} 'Storm' is draft" in caplog.text


@ALL_MODES
@pytest.mark.parametrize("on_empty", ["warn", "fail", "skip"])
@pytest.mark.parametrize("count", [0, 2])
def test_number_of_messages_is_pushed_and_on_empty_applies(sandbox, sensor, mode, on_empty, count, caplog):
    campaign = sandbox.create(name="Storm", status="finished")
    body = campaign | {"messages": count * [{"to": "+41"}]}
    sandbox.fault(method="GET", path=campaign["uuid"], times=None, status=200, body=body)
    ended = wait(sensor(mode, fields=["messages"], on_empty=on_empty), campaign=campaign["uuid"])
    state = {"warn": "success", "fail": "failed", "skip": "skipped"}[on_empty]
    assert ended.state == ("success" if count else state)
    assert ended.xcoms["messages"] == count
    assert (
        f"Campaign {campaign['uuid']} 'Storm' is finished, and sent no messages"
        in (caplog.text + ended.message)
    ) == (not count)


@ALL_MODES
@pytest.mark.parametrize(
    ("argument", "value", "native"),
    [
        ("campaign_uuid", "../../other", False),
        ("target_status", "done", False),
        ("executed_after", "2026-01-01T00:00:00", False),
        ("executed_after", None, False),
        ("executed_after", None, True),
        ("failed_status", "gone", False),
        ("fields", "money", False),
        ("service_uuid", "mine", False),
    ],
)
def test_invalid_argument_fails_without_a_request_despite_soft_fail(
    sandbox, sensor, mode, argument, value, native
):
    with DAG(dag_id="d", schedule=None, render_template_as_native_obj=native):
        task = sensor(mode, soft_fail=True, **{argument: "{{ params.value }}"})
    ended = wait(task, campaign=UUID, value=value)
    assert ended.state == "failed"
    assert argument in ended.message or "{{ params.value }}" in ended.message
    assert sandbox.requests("GET") == []


@ALL_MODES
def test_transient_error_fails_the_try(sandbox, sensor, mode):
    uuid = sandbox.create(name="Storm", status="active")["uuid"]
    ended = wait(
        sensor(mode),
        meanwhile=lambda: sandbox.fault(method="GET", path=uuid, times=None, status=503),
        campaign=uuid,
    )
    assert ended.state == "retry"
    assert f"Campaign {uuid} 'Storm' could not be polled: HTTP 503" in ended.message


@ALL_MODES
def test_console_link_is_pushed(sandbox, sensor, mode, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(console_url="https://bm.test/{campaign_uuid}")
    )
    uuid = sandbox.create(status="active")["uuid"]
    ended = wait(sensor(mode), meanwhile=lambda: sandbox.clock.advance(60), campaign=uuid)
    assert ended.xcoms["campaign_link"] == f"https://bm.test/{uuid}"
    if ended.where == "triggerer":
        # On a worker, Airflow pushes what its UI shows as the link.
        assert ended.xcoms[BMCampaignLink().xcom_key] == f"https://bm.test/{uuid}"


@pytest.mark.parametrize("mode", [mode for mode in MODES if "ended" in mode])
@pytest.mark.parametrize("reason", ["outlets", "on_success_callback", "on_skipped_callback", "post_execute"])
def test_task_with_work_for_a_worker_ends_there(sandbox, sensor, mode, reason):
    from airflow.sdk import Asset

    value = {"outlets": [Asset("a")], "post_execute": lambda context, result: None}.get(
        reason, [lambda context: None]
    )
    uuid = sandbox.create(status="active")["uuid"]
    ended = wait(sensor(mode, **{reason: value}), meanwhile=lambda: sandbox.clock.advance(60), campaign=uuid)
    assert (ended.state, ended.where) == ("success", "worker")


@pytest.mark.parametrize("mode", [mode for mode in MODES if "ended" in mode])
def test_task_whose_xcoms_cannot_be_pushed_from_the_triggerer_ends_on_a_worker(sandbox, sensor, mode, caplog):
    uuid = sandbox.create(status="active")["uuid"]
    ended = wait(sensor(mode), meanwhile=lambda: sandbox.clock.advance(60), supervised=False, campaign=uuid)
    assert (ended.state, ended.where) == ("success", "worker")
    assert ended.xcoms["return_value"]["uuid"] == uuid
    assert "The XComs could not be pushed, so the task ends on a worker" in caplog.text


@pytest.mark.parametrize("mode", [mode for mode in MODES if "ended" in mode])
def test_do_xcom_push_false_pushes_nothing(sandbox, sensor, mode):
    uuid = sandbox.create(status="active")["uuid"]
    ended = wait(sensor(mode, do_xcom_push=False), meanwhile=lambda: sandbox.clock.advance(60), campaign=uuid)
    assert ended.where == "triggerer"
    # The link is pushed for the UI, as on a worker.
    assert set(ended.xcoms) == {"campaign_link", BMCampaignLink().xcom_key}


@pytest.mark.skipif(not HAS_TRIGGERER_TASKS, reason="requires Airflow 3.3")
class TestStartFromTrigger:
    """The arguments that Airflow gets for a sensor that starts in the triggerer."""

    def start(self, **arguments):
        return BMCampaignSensor(
            task_id="wait", campaign_uuid="{{ params.campaign }}", start_from_trigger=True, **arguments
        )

    def test_templates_are_passed_unrendered(self):
        sensor = self.start(executed_after="{{ data_interval_start }}", timeout=3600)
        assert sensor.deferrable
        assert sensor.start_from_trigger
        arguments = sensor.start_trigger_args
        assert arguments.trigger_cls == "airflow_provider_bm.triggers.BMCampaignTrigger"
        assert arguments.next_method == "execute_complete"
        assert arguments.trigger_kwargs["campaign_uuid"] == "{{ params.campaign }}"
        assert arguments.trigger_kwargs["executed_after"] == "{{ data_interval_start }}"
        assert arguments.timeout > timedelta(seconds=3600)
        BMCampaignTrigger(**arguments.trigger_kwargs)

    def test_xcom_of_another_task_is_passed_as_a_template(self):
        with DAG(dag_id="d", schedule=None):
            send = BMGetCampaignOperator(task_id="send", campaign_uuid=UUID)
            sensor = BMCampaignSensor(task_id="wait", campaign_uuid=send.output, start_from_trigger=True)
        assert "xcom_pull(task_ids='send'" in sensor.start_trigger_args.trigger_kwargs["campaign_uuid"]
        assert sensor.upstream_task_ids == {"send"}

    def test_start_trigger_args_survive_serialization(self):
        from airflow.serialization.serialized_objects import BaseSerialization, DagSerialization

        with DAG(dag_id="d", schedule=None) as dag:
            sensor = self.start(failed_status=("stopped", "draft"))
        task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait")
        assert task.start_from_trigger is True
        kwargs = BaseSerialization.deserialize(task.start_trigger_args.trigger_kwargs)
        assert kwargs == sensor.start_trigger_args.trigger_kwargs

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"execution_timeout": timedelta(hours=1)}, "execution_timeout is set"),
            ({"on_execute_callback": lambda context: None}, "the task has on_execute_callback"),
            ({"pre_execute": lambda context: None}, "the task has pre_execute"),
            ({"start_from_trigger": True}, "not a scheduled run"),
            ({"map_index": 2}, "mapped task"),
        ],
    )
    def test_task_that_needs_a_worker_defers_from_it_and_logs_why(self, sandbox, caplog, arguments, reason):
        caplog.set_level(logging.INFO)
        map_index = arguments.pop("map_index", -1)
        arguments.pop("start_from_trigger", None)
        uuid = sandbox.create(status="active")["uuid"]
        sensor = self.start(**arguments)
        ti = task_instance(sensor, campaign=uuid)
        ti.map_index = map_index
        sensor.render_template_fields(ti.get_template_context())
        with pytest.raises(TaskDeferred):
            sensor.execute(ti.get_template_context())
        assert reason in caplog.text
        assert "deferring from a worker" in caplog.text

    def test_deadline_is_the_same_after_a_restart_of_the_triggerer(self, sandbox, caplog):
        caplog.set_level(logging.INFO)
        uuid = sandbox.create(status="active")["uuid"]
        sensor = self.start(timeout=3600)
        timeout_after = datetime.now(UTC) + sensor.start_trigger_args.timeout

        async def first_run():
            trigger = BMCampaignTrigger(**sensor.start_trigger_args.trigger_kwargs | {"campaign_uuid": uuid})
            trigger.timeout_after = timeout_after
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(600):
                    await anext(trigger.run())

        run(first_run())
        run(first_run())
        first, second = re.findall(r"Watching campaign \S+ until (\S+)", caplog.text)
        assert first == second
        assert datetime.fromisoformat(first) == timeout_after - DEFER_MARGIN


def test_exponential_backoff_applies_to_deferred_polls(sandbox):
    uuid = sandbox.create(status="active")["uuid"]
    kwargs = []
    for arguments in ({}, {"exponential_backoff": True}, {"exponential_backoff": True, "max_wait": 600}):
        sensor = BMCampaignSensor(task_id="wait", campaign_uuid=uuid, deferrable=True, **arguments)
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute(task_instance(sensor).get_template_context())
        kwargs.append(deferred.value.trigger.serialize()[1]["max_poke_interval"])
    assert kwargs == [None, 3600, 600]


def test_invalid_on_empty_fails_when_the_dag_is_parsed():
    with pytest.raises(ValueError, match="on_empty='ignore'"):
        BMCampaignSensor(task_id="wait", campaign_uuid=UUID, on_empty="ignore")
