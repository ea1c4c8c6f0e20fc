"""Last night's table: a campaign for each shop that has news today.

The table comes from a database; its rows say who gets what. The draft, written and approved by people in
the BM console, says how: "Hello {first_name}. {headline}". One task sends all campaigns, several at a time,
and each exactly once, whatever fails. It waits in the triggerer until all have finished. A report lists
the outcome of each row, also if some have failed.

Set up: the connection `bm_default`, a connection `warehouse` of any database with the table `shop_news(day,
shop, recipient_list, headline)`, and the draft's UUID in the Airflow variable `shop_news_draft`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from airflow_provider_bm.operators import BMCampaignBatchOperator

log = logging.getLogger("airflow.task")


@task(trigger_rule="all_done")
def report(ti: Any = None) -> dict[str, int]:
    """Log the rows without a campaign, and count the others."""
    rows = ti.xcom_pull(task_ids="send", key="rows") or []
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
        if row["uuid"] is None:
            log.error("%s was not sent: %s", row["key"]["shop"], row["reason"])
    log.info("Rows by status: %s", counts)
    if not rows or any(row["uuid"] is None for row in rows):
        # As the last task, it decides whether the run has failed.
        raise AirflowFailException(f"Not everything was sent: {counts}")
    return counts


with DAG(
    "from_a_table",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2},
    params={"day": "2026-06-01"},
    tags=["bm", "example"],
    doc_md=__doc__,
):
    send = BMCampaignBatchOperator(
        task_id="send",
        sql="SELECT shop, recipient_list, headline FROM shop_news WHERE day = '{{ params.day }}'",
        sql_conn_id="warehouse",
        key="shop",
        clone_uuid="{{ var.value.shop_news_draft }}",
        name="News of {{ row.shop }}, {{ params.day }}",
        recipient_lists="{{ row.recipient_list }}",
        # A table that is empty, or much larger than usual, is probably a mistake.
        expected_rows=(1, 500),
        wait_for_completion=True,
        deferrable=True,
        timeout=timedelta(hours=6),
    )
    send >> report()
