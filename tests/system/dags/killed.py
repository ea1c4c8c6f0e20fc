"""One DAG for each scenario: create a campaign and wait for it. Parsed by a real Airflow."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.sandbox.contacts import RECIPIENT_LISTS
from tests.system.scenarios import ENDED_CREATES, SCENARIOS, connection_id


def store_process_id(context: Any) -> None:
    """Store the id of the process that executes the operator, so that the test can kill it."""
    ti = context["ti"]
    note = Path(os.environ["BM_SYSTEM_NOTES"], f"{ti.dag_id}.{ti.try_number}")
    temporary = note.with_name(f".{note.name}")
    temporary.write_text(str(os.getpid()))
    temporary.rename(note)


for dag_id, special in (SCENARIOS | ENDED_CREATES).items():
    with DAG(dag_id=dag_id, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        BMCreateCampaignOperator(
            task_id="send",
            name="Storm",
            sending_type="sms",
            template="Stay at home, {first_name}.",
            sender="+41587000000",
            recipient_lists=RECIPIENT_LISTS["staff"],
            bm_conn_id=connection_id(dag_id),
            max_age=None,  # The tests' runs have a fixed logical date.
            wait_for_completion=True,
            retries=2,
            retry_delay=timedelta(seconds=1),
            on_execute_callback=store_process_id,
            **{"poke_interval": 0.5, "timeout": 900, "deferrable": False, **special},
        )
