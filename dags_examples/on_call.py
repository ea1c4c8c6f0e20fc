"""On call: text the people on call when a task has failed for the last time.

The message is a draft campaign in the BM console, for the list of the people on call:

    {task} of {dag} failed in try {try}

Set up: the connection `bm_default`, and the draft's UUID in the Airflow variable `on_call_draft`. The task of
this DAG fails, to show what happens.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm.notifications import BMCampaignNotifier

text_on_call = BMCampaignNotifier(
    clone_uuid="{{ var.value.on_call_draft }}",
    template_vars={"task": "{{ ti.task_id }}", "dag": "{{ ti.dag_id }}", "try": "{{ ti.try_number }}"},
)

with DAG(
    "on_call",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
        "on_failure_callback": text_on_call,
    },
    tags=["bm", "example"],
    doc_md=__doc__,
):

    @task
    def load() -> None:
        """Fail."""
        raise RuntimeError("This task fails, to show the notifier.")

    load()
