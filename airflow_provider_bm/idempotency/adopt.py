"""Using a campaign that an earlier request of the same task instance created."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.exceptions import BMCampaignStateError, BMNotFoundError
from airflow_provider_bm.idempotency.compare import differences
from airflow_provider_bm.idempotency.record import STATE_KEY
from airflow_provider_bm.idempotency.verify import SENT_STATUSES

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: How to send a message again on purpose.
SEND_AGAIN = (
    "To send again on purpose, start a new DAG run, or change key_namespace in [bm] of Airflow's "
    "configuration"
)


def recorded_campaign(client: BMClient, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the campaign whose UUID an earlier try has recorded, or None.

    :raises BMCampaignStateError: it was deleted, so somebody did not want it to be sent
    """
    if not record.get("uuid"):
        return None
    uuid = str(record["uuid"])
    try:
        return client.get_campaign(uuid)
    except BMNotFoundError as error:
        raise BMCampaignStateError(
            f"An earlier try created campaign {campaign_label(uuid, record)}, and it has been deleted since. "
            f"To create it again, delete {STATE_KEY!r} from the task instance's state store, and clear the "
            "task."
        ) from error


def adopt(
    campaign: Mapping[str, Any],
    payload: Mapping[str, Any],
    expected: Callable[[], Mapping[str, Any]],
    *,
    strict: bool,
) -> None:
    """Accept a campaign in place of a request, and log it.

    :param payload: what this try would send
    :param expected: returns the content that this try would send, see :func:`.differences`
    :param strict: refuse a campaign with different content
    :raises BMCampaignStateError: its content differs, or it is a draft or stopped although an active campaign
        is expected
    """
    which = campaign_label(campaign["uuid"], campaign)
    try:
        different = differences(expected(), campaign)
    except BMNotFoundError:
        if strict:
            raise
        different = ["the campaign that it was cloned from no longer exists"]
    if different and strict:
        raise BMCampaignStateError(
            f"Campaign {which} has the key of this task instance already, and it is not what this task "
            f"would send: {'; '.join(different)}. Nothing was sent. {SEND_AGAIN}, or set "
            "deduplicate=False.",
            campaign,
        )
    if payload.get("status") == "active":
        refuse_unsent(campaign)
    log.warning(
        "Campaign %s was created by an earlier request of this task instance. Nothing is sent again.", which
    )
    if different:
        log.warning("It differs from what this try would have sent: %s", "; ".join(different))


def refuse_unsent(campaign: Mapping[str, Any]) -> None:
    """Refuse an existing campaign that does not send, although an active campaign is expected.

    :raises BMCampaignStateError: it is a draft, was stopped, or has a status that is not known
    """
    which = campaign_label(campaign["uuid"], campaign)
    if campaign["status"] == "draft":
        _refuse(
            f"Campaign {which} exists already, as a draft: somebody made it one, or it was created through a "
            "draft_only connection. Activate it in the BM console, or delete it, and clear the task.",
            campaign,
        )
    if campaign["status"] == "stopped":
        _refuse(
            f"Campaign {which} exists already, and was stopped. Resume it in the BM console and clear the "
            f"task. {SEND_AGAIN}.",
            campaign,
        )
    if campaign["status"] not in SENT_STATUSES:
        _refuse(
            f"Campaign {which} exists already, and is {campaign['status']!r} instead of active. Check it in "
            f"the BM console. {SEND_AGAIN}.",
            campaign,
        )


def _refuse(message: str, campaign: Mapping[str, Any]) -> NoReturn:
    raise BMCampaignStateError(message, campaign)
