"""DAGs with an approval, parsed by a real Airflow. Before 3.1 there are none."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators import BMApproveCampaignOperator
from tests.system.scenarios import APPROVALS, connection_id


def note_process(context: Any) -> None:
    """Write down which process executes the operator, for the test to kill."""
    ti = context["ti"]
    Path(os.environ["BM_SYSTEM_NOTES"], f"{ti.run_id}.{ti.try_number}").write_text(str(os.getpid()))


for dag_id, response_timeout in APPROVALS.items():
    with DAG(dag_id=dag_id, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        BMApproveCampaignOperator(
            task_id="approve",
            campaign_uuid="{{ dag_run.conf['draft'] }}",
            response_timeout=timedelta(seconds=response_timeout),
            on_reject="delete",
            bm_conn_id=connection_id("approval"),
            retries=2,
            retry_delay=timedelta(0),
            on_execute_callback=note_process,
        )
