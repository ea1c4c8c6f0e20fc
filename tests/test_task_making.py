"""Making a task is what parsing a DAG file costs: it is quick, and does all that Airflow does."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_bm import operators
from airflow_provider_bm.operators import (
    BMCloneCampaignOperator,
    BMCreateCampaignOperator,
    BMGetCampaignOperator,
)
from airflow_provider_bm.sensors import BMCampaignSensor
from airflow_provider_bm.task import BMTask

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
SMS = {"name": "Storm", "sending_type": "sms", "template": "Hello", "sender": "BM", "recipient_lists": [UUID]}
TASKS = {
    BMCreateCampaignOperator: SMS | {"wait_for_completion": True, "retries": 2},
    BMCloneCampaignOperator: {"clone_uuid": UUID, "template_vars": {"temp": "{{ ds }}"}, "pool": "messages"},
    BMGetCampaignOperator: {"campaign_uuid": UUID, "retry_delay": 30, "params": {"a": 1}},
    BMCampaignSensor: {"campaign_uuid": UUID, "poke_interval": 5, "doc_md": "waits"},
}
OPERATORS = [getattr(operators, name) for name in operators.__all__]


def made(cls: type, arguments: dict[str, object]) -> dict[str, str]:
    """All attributes of a new task, as texts that can be compared."""
    with DAG(
        "making", schedule=None, default_args={"owner": "crm", "max_retry_delay": timedelta(hours=1)}
    ) as dag:
        task = cls(task_id="task", **arguments)
    assert dag.task_dict == {"task": task}
    return {name: re.sub("0x[0-9a-f]+", "0x", repr(value)) for name, value in sorted(vars(task).items())}


@pytest.mark.parametrize("cls", TASKS, ids=lambda cls: cls.__name__)
def test_the_short_way_leads_to_the_same_task(cls, monkeypatch):
    quick = made(cls, TASKS[cls])
    monkeypatch.delattr(BMTask, "__setattr__")
    monkeypatch.delattr(BMTask, "_set_xcomargs_dependencies")

    assert quick == made(cls, TASKS[cls])


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.__name__)
def test_airflow_wraps_the_operators_own_init_and_its_own_only(cls):
    wrapped = [base for base in cls.__mro__ if hasattr(vars(base).get("__init__"), "__wrapped__")]

    assert wrapped == [cls, BaseOperator]


@pytest.mark.parametrize("cls", [*OPERATORS, BMCampaignSensor], ids=lambda cls: cls.__name__)
def test_the_connection_may_come_from_default_args(cls):
    arguments = inspect.signature(cls).parameters.values()
    required = {
        each.name: "value"
        for each in arguments
        if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    }
    with DAG(
        "defaults", schedule=None, default_args={"bm_conn_id": "staging", "service_uuid": UUID, "retries": 3}
    ):
        task = cls(task_id="task", **required)

    assert (task.bm_conn_id, task.service_uuid, task.retries) == ("staging", UUID, 3)


def test_an_xcom_set_later_makes_a_dependency():
    with DAG("later", schedule=None):
        read = BMGetCampaignOperator(task_id="read", campaign_uuid=UUID)
        send = BMCreateCampaignOperator(task_id="send", **SMS)
        send.template = read.output

    assert send.upstream_task_ids == {"read"}


def test_an_xcom_makes_a_dependency_wherever_it_is():
    with DAG("deep", schedule=None):
        read = BMGetCampaignOperator(task_id="read", campaign_uuid=UUID)
        lists = BMGetCampaignOperator(task_id="lists", campaign_uuid=UUID)
        arguments = SMS | {"template": read.output, "recipient_lists": [UUID, lists.output["uuid"]]}
        send = BMCreateCampaignOperator(task_id="send", **arguments)
        wait = BMCampaignSensor(task_id="wait", campaign_uuid=send.output)

    assert send.upstream_task_ids == {"read", "lists"}
    assert wait.upstream_task_ids == {"send"}
