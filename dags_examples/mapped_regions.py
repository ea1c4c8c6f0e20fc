"""One campaign for each region of a table: the same draft, each with its own recipients and wording.

The table, data/regions.csv, says who gets what; in practice it is a query. The draft, written and approved
by people in the BM console, says how: "Hello {first_name}. {headline} {advice}". Each row becomes a clone of
it, a task instance of its own, with its own retries, and its own place in the grid. A new row is a new
campaign, without a change to the DAG.

Set up: the connection `bm_default`, and the draft's UUID in the Airflow variable `regions_draft`. The lists
in the table are the sandbox's.
"""

from __future__ import annotations

import csv
import logging
from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm.operators import BMCloneCampaignOperator

log = logging.getLogger("airflow.task")

REGIONS = Path(__file__).parent / "data" / "regions.csv"


@task
def read_regions() -> list[dict[str, str]]:
    """The rows: region, recipient_list, headline, advice."""
    with REGIONS.open(newline="") as file:
        return list(csv.DictReader(file))


def clone_of(row: dict[str, str]) -> dict[str, object]:
    """The arguments of one clone."""
    return {
        "name": f"Storm {row['region']}",
        "recipient_lists": row["recipient_list"],
        "template_vars": {"headline": row["headline"], "advice": row["advice"]},
    }


@task
def gather(rows: list[dict[str, str]], campaign_uuids: list[str]) -> dict[str, int]:
    """Return the number of messages in each region."""
    from airflow_provider_bm.hooks import BMHook

    hook = BMHook()
    sent = {}
    # The UUIDs come in the order of the rows.
    for row, campaign_uuid in zip(rows, campaign_uuids, strict=True):
        sent[row["region"]] = len(hook.get_campaign(campaign_uuid, fields="messages")["messages"])
    log.info("Messages by region: %s", sent)
    return sent


with DAG(
    "mapped_regions",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2},
    tags=["bm", "example"],
    doc_md=__doc__,
):
    regions = read_regions()
    send = BMCloneCampaignOperator.partial(
        task_id="send",
        clone_uuid="{{ var.value.regions_draft }}",
        wait_for_completion=True,
        deferrable=True,
        # Names of the instances in the Airflow UI, instead of 0, 1, 2.
        map_index_template="{{ task.name }}",
    ).expand_kwargs(regions.map(clone_of))
    gather(regions, send.output)
