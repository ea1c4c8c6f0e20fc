"""Two DAGs: one sends a warning, and the other runs whenever a warning has been sent.

The campaign is not known when the files are parsed, so the task that sends names an asset alias as its
outlet. Once the campaign is sent, the alias gets the campaign's own asset, with the campaign in the event's
extra. A draft, or a campaign that was not sent, causes no event.

Set up: the connection `bm_default`; below, a recipient list of your BM account instead of the sandbox's.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AssetAlias, task

from airflow_provider_bm.operators import BMCreateCampaignOperator

log = logging.getLogger("airflow.task")

RECIPIENT_LIST = "d326d5d5-7ed4-5580-b947-541396b642f8"  # the sandbox's staff

sent_warnings = AssetAlias("sent_warnings")

with DAG(
    "warn",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["bm", "example"],
    doc_md=__doc__,
):
    BMCreateCampaignOperator(
        task_id="send",
        name="Storm warning",
        sending_type="sms",
        template="Storm ahead, {first_name}. Please stay at home.",
        sender="+41587000000",
        recipient_lists=RECIPIENT_LIST,
        wait_for_completion=True,
        deferrable=True,
        outlets=[sent_warnings],
    )


@task
def record(triggering_asset_events: Any = None) -> list[str]:
    """What you do once a warning is out, such as writing it to a journal."""
    campaigns = [event.extra["campaign"] for events in triggering_asset_events.values() for event in events]
    for campaign in campaigns:
        log.info("%s was sent at %s", campaign["name"], campaign["last_dt"])
    return [campaign["uuid"] for campaign in campaigns]


with DAG(
    "after_a_warning",
    schedule=[sent_warnings],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["bm", "example"],
    doc_md=__doc__,
):
    record()
