"""An e-mail that people write and change in the BM console, sent every week with new values.

The draft contains everything: subject, layout, sender, recipient lists. The DAG clones it with this week's
values for its variables, here {edition} and {story}. Whoever edits the draft changes the next e-mail,
without a change to the DAG. A variable without a value, or a value without a variable, fails the task before
anything is sent.

Set up: the connection `bm_default`, and the draft's UUID in the Airflow variable `newsletter_draft`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm.operators import BMCloneCampaignOperator


@task
def choose_story() -> dict[str, str]:
    """The values of this week: in practice, from a table or an API."""
    return {"edition": "23", "story": "The new opening hours"}


with DAG(
    "email_from_draft",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2},
    tags=["bm", "example"],
    doc_md=__doc__,
):
    BMCloneCampaignOperator(
        task_id="send",
        name="Newsletter",
        clone_uuid="{{ var.value.newsletter_draft }}",
        template_vars=choose_story(),
        wait_for_completion=True,
        deferrable=True,
    )
