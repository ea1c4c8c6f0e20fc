"""The link of a task to its campaign survives serialization, so that the UI shows it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm import operators
from airflow_provider_bm.links import BMCampaignLink
from airflow_provider_bm.sensors import BMCampaignSensor

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
ARGUMENTS = {
    "BMCreateCampaignOperator": {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Hello",
        "sender": "BM",
        "recipient_lists": UUID,
    },
    "BMCloneCampaignOperator": {"clone_uuid": UUID},
    "BMUpdateCampaignOperator": {"campaign_uuid": UUID, "name": "Storm"},
    "BMCampaignStatusOperator": {"campaign_uuid": UUID, "status": "active"},
    "BMGetCampaignOperator": {"campaign_uuid": UUID},
    "BMCampaignSensor": {"campaign_uuid": UUID},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_ui_knows_the_link(name):
    try:
        from airflow.serialization.serialized_objects import DagSerialization as Serialization
    except ImportError:
        from airflow.serialization.serialized_objects import SerializedDAG as Serialization

    cls = getattr(operators, name, BMCampaignSensor)
    with DAG("links", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        cls(task_id="task", **ARGUMENTS[name])
    (task,) = Serialization.from_dict(Serialization.to_dict(dag)).tasks
    assert BMCampaignLink.name in [link.name for link in task.operator_extra_links]
