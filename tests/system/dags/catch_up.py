"""Scheduled DAGs whose runs are a month late. Parsed by a real Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.sandbox.contacts import RECIPIENT_LISTS
from tests.system.scenarios import CATCH_UP, connection_id

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

for dag_id, special in CATCH_UP.items():
    with DAG(
        dag_id=dag_id,
        schedule=timedelta(days=1),
        start_date=TODAY - timedelta(days=35),
        end_date=TODAY - timedelta(days=34),
        catchup=True,
        is_paused_upon_creation=True,  # until Airflow is up
    ):
        BMCreateCampaignOperator(
            task_id="send",
            name="Storm on {{ ds }}",
            sending_type="sms",
            template="Stay at home, {first_name}.",
            sender="+41587000000",
            recipient_lists=RECIPIENT_LISTS["staff"],
            bm_conn_id=connection_id(dag_id),
            # Only for failures of Airflow itself: a refused run is not retried.
            retries=2,
            retry_delay=timedelta(seconds=1),
            **special,
        )
