"""Verification that the reply to a POST is the requested campaign."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.client.assumptions import CREATED_DT_TOLERANCE
from airflow_provider_bm.exceptions import BMCampaignStateError, BMOutcomeUnknownError
from airflow_provider_bm.idempotency.compare import IDENTITY_FIELDS, differences
from airflow_provider_bm.idempotency.key import has_key, has_other_key
from airflow_provider_bm.idempotency.search import created_at
from airflow_provider_bm.idempotency.timing import Timing

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: A campaign with one of these has been sent, or will be.
SENT_STATUSES = ("active", "finished")


def verify_reply(
    campaign: Mapping[str, Any],
    payload: Mapping[str, Any],
    expected: Callable[[], Mapping[str, Any]],
    *,
    client: BMClient,
    key: str,
    recorded: bool,
    timing: Timing,
) -> None:
    """Check that a reply is the requested campaign.

    :param campaign: the reply
    :param payload: the body of the request; its name starts with the key
    :param expected: returns the content to compare with, see :func:`.expected_content`
    :param key: key of the task instance, or of a row
    :param recorded: whether the campaign's UUID will be recorded, so that a retry finds it by any name
    :raises BMOutcomeUnknownError: it is a different campaign
    :raises BMCampaignStateError: it is not active as requested, or a retry would not find it
    """
    if not has_key(campaign.get("name"), key):
        _verify_by_content(campaign, payload, expected(), client, key, recorded, timing)
    if payload.get("status") == "active" and not client.settings.draft_only:
        check_active(campaign)


def check_same(
    campaign: Mapping[str, Any], payload: Mapping[str, Any], expected: Callable[[], Mapping[str, Any]]
) -> None:
    """Check that a reply has the requested name or, if the server changed it, the requested content.

    For requests whose campaign is not searched for later: by ``deduplicate=False``, and by the notifier.

    :param expected: returns the content to compare with, see :func:`.expected_content`
    :raises BMOutcomeUnknownError: it is a different campaign
    """
    if campaign.get("name") != payload.get("name"):
        different = differences(expected(), campaign, IDENTITY_FIELDS)
        if different:
            raise _another_campaign(campaign, payload, "; ".join(different))


def check_active(campaign: Mapping[str, Any]) -> None:
    """Check the status in the reply to a request for an active campaign.

    :raises BMCampaignStateError: it is neither active nor finished
    """
    status = campaign["status"]
    if status in SENT_STATUSES:
        return
    outcome = (
        "Nothing was sent. Activate it in the BM console, or delete it and clear the task."
        if status == "draft"
        else "Some of its messages may have been sent. Check it in the BM console before you clear the task."
    )
    raise BMCampaignStateError(
        f"The server saved campaign {campaign_label(campaign['uuid'], campaign)} as {status!r}, though an "
        f"active campaign was requested. {outcome}",
        campaign,
    )


def _verify_by_content(
    campaign: Mapping[str, Any],
    payload: Mapping[str, Any],
    expected: Mapping[str, Any],
    client: BMClient,
    key: str,
    recorded: bool,
    timing: Timing,
) -> None:
    name, uuid = campaign.get("name"), campaign["uuid"]
    different = differences(expected, campaign, IDENTITY_FIELDS)
    now = client.server_now() or timing.now()
    recent = abs(created_at(campaign) - now) <= CREATED_DT_TOLERANCE
    if different or not recent or has_other_key(name, key):
        why = "; ".join(different) or f"name is {name!r}, created_dt is {campaign.get('created_dt')!r}"
        raise _another_campaign(campaign, payload, why)
    if not recorded:
        raise BMCampaignStateError(
            f"The server created campaign {uuid} under another name, {name!r} instead of "
            f"{payload.get('name')!r}, so that a retry would not find it and would send it again. The "
            "campaign was created; check it in the BM console. Do not clear this task.",
            campaign,
        )
    log.warning("The server created campaign %s under another name, %r. Its UUID is recorded.", uuid, name)


def _another_campaign(
    campaign: Mapping[str, Any], payload: Mapping[str, Any], why: str
) -> BMOutcomeUnknownError:
    name = payload.get("name")
    return BMOutcomeUnknownError(
        f"The server answered with another campaign, {campaign['uuid']}: {why}. It is not known whether "
        f"campaign {name!r} was created",
        name=str(name),
    )
