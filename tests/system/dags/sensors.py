"""One DAG for each sensor that starts or ends in the triggerer (Airflow 3.3+). Parsed by a real Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.sensors import BMCampaignSensor
from tests.system.scenarios import SENSORS, connection_id, watched_campaign

for dag_id, special in SENSORS.items():
    with DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        params={"campaign": watched_campaign(dag_id)},
    ):
        BMCampaignSensor(
            task_id="send",
            campaign_uuid="{{ params.campaign }}",
            bm_conn_id=connection_id(dag_id),
            poke_interval=0.5,
            timeout=900,
            retries=2,
            retry_delay=timedelta(seconds=1),
            **special,
        )
