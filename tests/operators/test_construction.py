"""Constructing tasks: default_args, and dependencies through XComArgs."""

from __future__ import annotations

import inspect

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowOptionalProviderFeatureException

from airflow_provider_bm import operators
from airflow_provider_bm.operators import (
    BMApproveCampaignOperator,
    BMCreateCampaignOperator,
    BMGetCampaignOperator,
)
from airflow_provider_bm.operators.approve import HAS_HITL
from airflow_provider_bm.sensors import BMCampaignSensor
from tools.airflow_env import airflow_version

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
SMS = {"name": "Storm", "sending_type": "sms", "template": "Hello", "sender": "BM", "recipient_lists": [UUID]}
VALID = {"status": "stopped", "sending_type": "sms"}
ADDITIONAL = {"BMUpdateCampaignOperator": {"name": "Storm"}, "BMCampaignBatchOperator": {"rows": []}}
OPERATORS = [
    getattr(operators, name) for name in operators.__all__ if HAS_HITL or name != "BMApproveCampaignOperator"
]


@pytest.mark.parametrize("cls", [*OPERATORS, BMCampaignSensor], ids=lambda cls: cls.__name__)
def test_default_args_apply_to_every_class(cls):
    arguments = inspect.signature(cls).parameters.values()
    required = {
        each.name: VALID.get(each.name, "value")
        for each in arguments
        if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    } | ADDITIONAL.get(cls.__name__, {})
    with DAG(
        "defaults", schedule=None, default_args={"bm_conn_id": "staging", "service_uuid": UUID, "retries": 3}
    ):
        task = cls(task_id="task", **required)

    assert (task.bm_conn_id, task.service_uuid, task.retries) == ("staging", UUID, 3)


def test_xcom_assigned_to_an_attribute_makes_a_dependency():
    with DAG("later", schedule=None):
        read = BMGetCampaignOperator(task_id="read", campaign_uuid=UUID)
        send = BMCreateCampaignOperator(task_id="send", **SMS)
        send.template = read.output

    assert send.upstream_task_ids == {"read"}


def test_nested_xcom_makes_a_dependency():
    with DAG("deep", schedule=None):
        read = BMGetCampaignOperator(task_id="read", campaign_uuid=UUID)
        lists = BMGetCampaignOperator(task_id="lists", campaign_uuid=UUID)
        arguments = SMS | {"template": read.output, "recipient_lists": [UUID, lists.output["uuid"]]}
        send = BMCreateCampaignOperator(task_id="send", **arguments)
        wait = BMCampaignSensor(task_id="wait", campaign_uuid=send.output)

    assert send.upstream_task_ids == {"read", "lists"}
    assert wait.upstream_task_ids == {"send"}


def test_approve_operator_requires_airflow_3_1():
    assert (tuple(map(int, airflow_version().split(".")[:2])) >= (3, 1)) == HAS_HITL
    if not HAS_HITL:
        with pytest.raises(AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.1 or newer"):
            BMApproveCampaignOperator(task_id="approve", campaign_uuid=UUID)
