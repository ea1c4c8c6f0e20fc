"""A DAG that fails, late, and tells people each time. Parsed by a real Airflow."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm.notifications import BMCampaignNotifier
from tests.system.scenarios import NOTIFICATIONS, ON_CALL_DRAFT, connection_id

ARGUMENTS: dict[str, Any] = {"clone_uuid": ON_CALL_DRAFT, "bm_conn_id": connection_id(NOTIFICATIONS)}

try:
    from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference
except ImportError:  # before Airflow 3.1
    DEADLINE = {}
else:
    late = {**ARGUMENTS, "template_vars": {"what": "{{ dag_run.dag_id }} is late"}}
    DEADLINE = {
        "deadline": DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(seconds=1),
            callback=AsyncCallback(BMCampaignNotifier, kwargs=late),
        )
    }

with DAG(
    NOTIFICATIONS,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    on_failure_callback=BMCampaignNotifier(
        **ARGUMENTS, template_vars={"what": "{{ dag_run.dag_id }} has failed"}
    ),
    **DEADLINE,
):

    @task(
        on_failure_callback=BMCampaignNotifier(
            **ARGUMENTS, template_vars={"what": "{{ ti.task_id }} has failed"}
        )
    )
    def load() -> None:
        """Fail when the test says so."""
        while not Path(os.environ["BM_SYSTEM_NOTES"], NOTIFICATIONS).exists():
            time.sleep(0.2)
        raise RuntimeError("This task fails, so that people are told.")

    load()
