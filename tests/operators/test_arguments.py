"""Arguments that can never be right are refused when the task is constructed, and so when a DAG is parsed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_bm.campaigns import SegmentationQuery, SendWindow
from airflow_provider_bm.exceptions import BMPayloadError
from airflow_provider_bm.notifications import BMCampaignNotifier
from airflow_provider_bm.operators import (
    BMCampaignBatchOperator,
    BMCampaignReportOperator,
    BMCampaignStatusOperator,
    BMCloneCampaignOperator,
    BMCreateCampaignOperator,
    BMDeleteCampaignOperator,
    BMGetCampaignOperator,
    BMListCampaignsOperator,
    BMUpdateCampaignOperator,
)
from airflow_provider_bm.sensors import BMCampaignSensor

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
VALID = {
    BMCreateCampaignOperator: {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Hello",
        "sender": "BM",
        "recipient_lists": UUID,
    },
    BMCloneCampaignOperator: {"clone_uuid": UUID},
    BMUpdateCampaignOperator: {"campaign_uuid": UUID, "name": "Storm"},
    BMCampaignStatusOperator: {"campaign_uuid": UUID, "status": "stopped"},
    BMDeleteCampaignOperator: {"campaign_uuid": UUID},
    BMGetCampaignOperator: {"campaign_uuid": UUID},
    BMListCampaignsOperator: {},
    BMCampaignBatchOperator: {"clone_uuid": UUID, "key": "city", "rows": []},
    BMCampaignReportOperator: {"campaign_uuid": UUID, "path": "report.jsonl"},
    BMCampaignSensor: {"campaign_uuid": UUID},
}


def construct(cls, **arguments):
    return cls(task_id="send", **VALID[cls] | arguments)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (BMCreateCampaignOperator, {"sending_type": "SMS"}, "sending_type='SMS': .* did you mean 'sms'"),
        (BMCreateCampaignOperator, {"status": "finished"}, "status='finished': must be one of active, draft"),
        (BMCreateCampaignOperator, {"status": None}, "status=None: must be one of active, draft"),
        (BMCreateCampaignOperator, {"schedule_type": "daily"}, "must be one of now, once, scheduled"),
        (BMCreateCampaignOperator, {"schedule_type": "once"}, "schedule_rrule=None: schedule_type 'once'"),
        (BMCreateCampaignOperator, {"query_type": "some"}, "must be one of all, segmentation"),
        (BMCreateCampaignOperator, {"query_type": "segmentation"}, "query=None: query_type 'segmentation'"),
        (BMCreateCampaignOperator, {"query_type": "all", "query": "q.json"}, "contradicts query"),
        (BMCreateCampaignOperator, {"query": [1]}, "must be a SegmentationQuery"),
        (BMCreateCampaignOperator, {"name": ["Storm"]}, "name=.*must be a string"),
        (BMCreateCampaignOperator, {"template": 5}, "must be a string or a dict"),
        (BMCreateCampaignOperator, {"sender": 41587000000}, r"sender=41587000000: .*'\+41587000000'"),
        (BMCreateCampaignOperator, {"recipient_lists": 5}, "must be a list of UUIDs"),
        (BMCreateCampaignOperator, {"staged": True, "deduplicate": False}, "needs deduplicate=True"),
        (BMCreateCampaignOperator, {"staged": "yes"}, "staged='yes': must be True or False"),
        (BMCreateCampaignOperator, {"wait_for_completion": 1}, "must be True or False"),
        (
            BMCreateCampaignOperator,
            {"poke_interval": "60"},
            "must be a number of seconds",
        ),
        (BMCreateCampaignOperator, {"timeout": timedelta(0)}, "must be a number of seconds above 0"),
        (BMCreateCampaignOperator, {"timeout": float("inf")}, "must be a number of seconds above 0"),
        (BMCreateCampaignOperator, {"float_format": "two digits"}, "must be a format specification"),
        (BMCreateCampaignOperator, {"float_format": ""}, "must be a format specification"),
        (BMCreateCampaignOperator, {"max_age": "soon"}, "must be a timedelta"),
        (BMCreateCampaignOperator, {"send_window": "nine to five"}, "must be a JSON object"),
        (BMCreateCampaignOperator, {"send_window": {"start": "09:00", "end": "25:00"}}, "25:00"),
        (BMCreateCampaignOperator, {"allowed_variables": [5]}, "must be a list of names"),
        # Not templated: the text would never be rendered.
        (BMCreateCampaignOperator, {"on_stale": "{{ params.x }}"}, "must be one of fail, skip"),
        (BMCreateCampaignOperator, {"bm_conn_id": 5}, "must be a string"),
        (BMCreateCampaignOperator, {"service_uuid": 5}, "must be a UUID"),
        (BMCloneCampaignOperator, {"template_vars": ["temp"]}, "must be a dict"),
        (BMCloneCampaignOperator, {"on_unknown_variable": "ignore"}, "must be one of fail, warn"),
        (BMCloneCampaignOperator, {"schedule_type": "now", "schedule_rrule": "FREQ=DAILY"}, "contradicts"),
        (BMUpdateCampaignOperator, {"status": "Active"}, "did you mean 'active'"),
        (BMUpdateCampaignOperator, {"name": None}, "pass at least one field"),
        (BMUpdateCampaignOperator, {"replace": True}, "template=None: is required with replace=True"),
        (BMCampaignStatusOperator, {"status": "finished"}, "must be one of active, stopped"),
        (BMCampaignStatusOperator, {"on_draft_only": "pass"}, "must be one of succeed, fail, skip"),
        (BMDeleteCampaignOperator, {"missing_ok": "no"}, "must be True or False"),
        (BMGetCampaignOperator, {"campaign_uuid": None}, "must be a UUID"),
        (BMGetCampaignOperator, {"fields": ["message"]}, "must be some of tasks, messages"),
        (BMGetCampaignOperator, {"on_empty": "shrug"}, "must be one of warn, fail, skip"),
        (BMListCampaignsOperator, {"status": ["draft", "gone"]}, "must be some of active, stopped"),
        (BMListCampaignsOperator, {"limit": 0}, "must be a whole number from 1"),
        (BMCampaignBatchOperator, {"sql": "SELECT 1"}, "pass either rows or sql"),
        (BMCampaignBatchOperator, {"max_workers": "8"}, "must be a whole number from 1 to 10"),
        (BMCampaignBatchOperator, {"max_workers": 11}, "must be a whole number from 1 to 10"),
        (BMCampaignBatchOperator, {"expected_rows": 5}, "must be the lowest and the highest number"),
        (
            BMCampaignBatchOperator,
            {"wait_for_completion": True, "status": "draft"},
            "a draft does not finish",
        ),
        (BMCampaignReportOperator, {"hash_phone_numbers": "no"}, "must be True or False"),
        (BMCampaignSensor, {"target_status": "done"}, "must be one of active, stopped, finished, draft"),
        (BMCampaignSensor, {"failed_status": "stopped, gone"}, "must be some of active"),
        (BMCampaignSensor, {"executed_after": 5}, "must be an aware datetime"),
    ],
)
def test_literal_that_can_never_be_right(cls, arguments, message):
    with pytest.raises(BMPayloadError, match=message) as caught:
        construct(cls, **arguments)
    assert f"Invalid arguments of {cls.__name__} 'send'" in str(caught.value)
    # A mapped task is constructed when it runs; a retry would not help.
    assert isinstance(caught.value, AirflowFailException)


def test_default_of_a_subclass_is_checked():
    """Without a status, the API would send the campaign."""

    class Prepared(BMCreateCampaignOperator):
        def __init__(self, *, status=None, limit="unrelated", **kwargs):
            self.limit = limit
            super().__init__(status=status, **kwargs)

    with pytest.raises(BMPayloadError, match="status=None: must be one of active, draft"):
        Prepared(task_id="send", **VALID[BMCreateCampaignOperator])
    Prepared(task_id="send", status="draft", **VALID[BMCreateCampaignOperator])


def test_all_problems_are_reported_at_once():
    with pytest.raises(BMPayloadError) as caught:
        construct(BMCreateCampaignOperator, sending_type="SMS", staged=True, deduplicate=False, timeout=-1)
    assert [problem.field for problem in caught.value.problems] == ["sending_type", "timeout", "staged"]


def test_poke_interval_of_the_sensor():
    with pytest.raises(Exception, match="poke_interval"):
        construct(BMCampaignSensor, poke_interval="60")


@pytest.mark.parametrize(
    "arguments",
    [
        {"sending_type": "{{ params.channel }}", "schedule_type": "{{ params.kind }}"},
        {"status": "{{ 'draft' if params.test else 'active' }}", "max_age": "{{ params.max_age }}"},
        {"name": 5, "webpush_title": Decimal("1.5"), "recipient_lists": ["{{ params.list }}"]},
        {"query_type": "all", "query": "{{ params.query }}"},
        {"query": SegmentationQuery.where(city="Bern")},
        {"schedule_rrule": datetime(2027, 1, 1, tzinfo=UTC), "poke_interval": timedelta(minutes=1)},
        {"max_age": None, "send_window": SendWindow("09:00", "20:00"), "float_format": ".2f"},
    ],
)
def test_arguments_that_may_be_right(arguments):
    construct(BMCreateCampaignOperator, **arguments)


def test_xcoms_are_not_checked():
    with DAG("xcoms", schedule=None):
        read = construct(BMGetCampaignOperator)
        BMCreateCampaignOperator(
            task_id="create",
            **VALID[BMCreateCampaignOperator] | {"sending_type": read.output["sending_type"]},
        )


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("conn_id", "bm_conn_id"), ("recipient_list", "recipient_lists"), ("template_var", "template_vars")],
)
def test_similar_name_is_suggested(wrong, right):
    with pytest.raises(TypeError, match=f"{wrong}.*did you mean '{right}'"):
        construct(BMCloneCampaignOperator, **{wrong: "value"})


def test_notifier():
    with pytest.raises(BMPayloadError, match="BMCampaignNotifier:\n  on_unknown_variable='ignore'"):
        BMCampaignNotifier(clone_uuid=UUID, on_unknown_variable="ignore")
