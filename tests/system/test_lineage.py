"""OpenLineage's own listener, in a task process: what leaves Airflow about a campaign."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bm.lineage import FACET
from airflow_provider_bm.sandbox import Sandbox
from tools.airflow_env import AirflowHome

if importlib.util.find_spec("openlineage") is None:
    pytest.skip("apache-airflow-providers-openlineage is not installed", allow_module_level=True)

DAG = """
from datetime import UTC, datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_bm.operators import BMCreateCampaignOperator

with DAG("lineage", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    for deferrable in (False, True):
        BMCreateCampaignOperator(
            task_id=f"send_{deferrable}",
            name="Storm",
            sending_type="sms",
            template="Stay at home, {first_name}.",
            sender="+41587000000",
            recipient_lists="LISTS",
            wait_for_completion=True,
            poke_interval=0.5,
            deferrable=deferrable,
        )
"""


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def test_events_of_a_task(tmp_path: Path) -> None:
    events = tmp_path / "events"
    home = AirflowHome(tmp_path / "home", tmp_path / "dags")
    home.dags_folder.mkdir()
    with Sandbox(port=0, execution_seconds=1) as sandbox:
        lists = [sandbox.recipient_lists[name] for name in ("staff", "region-north")]
        (home.dags_folder / "lineage.py").write_text(DAG.replace("LISTS", ",".join(lists)))
        transport = {"type": "file", "log_file_path": str(events), "append": True}
        home.extra |= {
            "AIRFLOW_CONN_BM_DEFAULT": sandbox.connection_json(),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        }
        home.prepare()
        home.airflow("dags", "test", "lineage", log=tmp_path / "output")
        sent = [each["campaign_uuid"] for each in sandbox.executions()]

    assert len(sent) == 2, (tmp_path / "output").read_text()
    namespace = f"bm://{sandbox.service_uuid}"
    found = [json.loads(line) for line in events.read_text().splitlines()]
    by_task = {(event["job"]["name"].removeprefix("lineage."), event["eventType"]): event for event in found}
    for task_id in ("send_False", "send_True"):
        start, complete = by_task[task_id, "START"], by_task[task_id, "COMPLETE"]
        assert start["run"]["runId"] == complete["run"]["runId"]
        facet = complete["run"]["facets"][FACET]
        assert facet["status"] == "finished"
        assert names(complete["inputs"]) == [(namespace, f"lists/{each}") for each in lists]
        assert names(complete["outputs"]) == [(namespace, f"campaigns/{facet['campaignUuid']}")]
        sent.remove(facet["campaignUuid"])
        assert complete["job"]["facets"][FACET]["sendingType"] == "sms"
    for private in ("Storm", "Stay at home", "first_name", "+41587000000", sandbox.client_secret):
        assert private not in events.read_text()
