"""A process that sends campaigns of a table: with one batch, and with a mapped clone for each row."""

from __future__ import annotations

import csv
import logging
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.child import answer_all
from benchmarks.creator import Store, TaskInstance

#: Seconds for a run of mapped tasks.
TIMEOUT = 3600.0


def table(count: int) -> Iterator[dict[str, str]]:
    return ({"shop": f"shop {number}", "headline": f"News number {number}"} for number in range(count))


def batch(count: int, draft: str) -> dict[str, float]:
    """Send the rows of a CSV file.

    :return: seconds, and the growth of the process's peak memory in megabytes
    """
    from airflow_provider_bm.operators import BMCampaignBatchOperator

    folder = Path(tempfile.mkdtemp())
    rows = folder / "news.csv"
    with rows.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("shop", "headline"))
        writer.writeheader()
        writer.writerows(table(count))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    now = datetime.now(UTC)
    context: Any = {"ti": TaskInstance(), "task_state_store": Store(), "run_after": now}
    task = BMCampaignBatchOperator(
        task_id="send",
        rows=str(rows),
        key="shop",
        clone_uuid=draft,
        name="News of {{ row.shop }}",
        max_campaigns=None,
        results_path=str(folder / "results.jsonl"),
    )
    task.render_template_fields(context)
    began = time.perf_counter()
    counts = task.execute(context)
    took = time.perf_counter() - began
    if counts["sent"] != count:
        raise RuntimeError(f"not everything was sent: {counts}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": took, "megabytes": grown / 1024}


def mapped(count: int, draft: str) -> dict[str, float]:
    """Run a DAG with a clone task for each row; in this process, without the start of a worker process."""
    from airflow.providers.common.compat.sdk import DAG

    from airflow_provider_bm.operators import BMCloneCampaignOperator
    from airflow_provider_bm.testing import dags, database

    arguments = [
        {"name": f"News of {row['shop']}", "template_vars": {"headline": row["headline"]}}
        for row in table(count)
    ]
    with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        BMCloneCampaignOperator.partial(task_id="send", clone_uuid=draft).expand_kwargs(arguments)
    with database.own_database(database.create_database(Path(tempfile.mkdtemp()))):
        began = time.perf_counter()
        run = dags.run_dag(dag, timeout=TIMEOUT)
        took = time.perf_counter() - began
    if run.state != "success":
        raise RuntimeError(f"the run is {run.state}: {run.task_states}")
    return {"seconds": took}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    answer_all({"batch": batch, "mapped": mapped})
