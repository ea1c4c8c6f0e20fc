"""Creating and changing campaigns as a person does in the BM console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.campaigns.constants import JSON_TEMPLATE_SENDING_TYPES, STATUSES
from airflow_provider_bm.campaigns.ids import UUID_PATTERN
from airflow_provider_bm.sandbox import contacts
from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.store import Store
from airflow_provider_bm.sandbox.time_range import parse_time
from airflow_provider_bm.sandbox.validation import changed_campaign, new_campaign

#: Fields that only the console can set.
_NOT_WRITABLE = ("service_uuid", "uuid", "created_dt", "last_dt")


def create(store: Store, fields: Mapping[str, Any]) -> Campaign:
    """Create a campaign of any status, with defaults for missing fields.

    :raises ValueError: a field is invalid
    """
    own = {name: fields.get(name) for name in _NOT_WRITABLE}
    service = str(own["service_uuid"] or contacts.DEFAULT_SERVICE).lower()
    if service not in store.services:
        raise ValueError(f"there is no service {service}")
    wanted = None if own["uuid"] is None else str(own["uuid"]).lower()
    if wanted is not None and not UUID_PATTERN.fullmatch(wanted):
        raise ValueError(f"uuid: {wanted!r} is not a UUID")
    if wanted in store.services[service]:
        raise ValueError(f"campaign {wanted} exists already")
    written = {name: value for name, value in fields.items() if name not in _NOT_WRITABLE}
    try:
        checked = new_campaign(_with_defaults(written), store.run_due(), STATUSES, lists=store.recipients)
    except ApiError as error:
        raise _refusal(error) from None
    return store.add(
        service,
        checked,
        checked.pop("status"),
        campaign_uuid=wanted,
        created=parse_time(own["created_dt"]),
        last=parse_time(own["last_dt"]),
    )


def find(store: Store, campaign_uuid: str) -> Campaign:
    """Find a campaign in any service.

    :raises ValueError: there is none
    """
    store.run_due()
    wanted = str(campaign_uuid).lower()
    for campaigns in store.services.values():
        if wanted in campaigns:
            return campaigns[wanted]
    raise ValueError(f"there is no campaign {campaign_uuid}")


def change(store: Store, campaign: Campaign, fields: Mapping[str, Any]) -> Campaign:
    """Save a campaign with other fields; None unsets one."""
    whole = {**campaign.fields, "status": campaign.status, **fields}
    present = {name: value for name, value in whole.items() if value is not None}
    try:
        checked = changed_campaign(
            present, store.run_due(), lists=store.recipients, in_progress=store.in_progress(campaign)
        )
    except ApiError as error:
        raise _refusal(error) from None
    status = checked.pop("status")
    store.replace(campaign, checked, status)
    return campaign


def start(store: Store, campaign: Campaign) -> Campaign:
    """Start a draft, resume a stopped campaign, or run a finished one again.

    :raises ValueError: its schedule is over
    """
    if campaign.status == "stopped":
        if store.is_overdue(campaign):
            raise ValueError("its time has passed: change schedule_rrule with update_campaign")
        store.resume(campaign)
    elif campaign.status != "active":
        change(store, campaign, {"status": "active"})
    return campaign


def stop(store: Store, campaign: Campaign) -> Campaign:
    """Stop an active campaign.

    :raises ValueError: it is neither active nor stopped
    """
    if campaign.status not in ("active", "stopped"):
        raise ValueError(f"a {campaign.status} campaign cannot be stopped")
    if campaign.status == "active":
        store.stop(campaign)
    return campaign


def _refusal(error: ApiError) -> ValueError:
    items = "; ".join(f"{item['name']}: {item['message']}" for item in error.body.get("items", ()))
    return ValueError(items or error.body["message"])


def _with_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    in_json = fields.get("sending_type") in JSON_TEMPLATE_SENDING_TYPES
    return {
        "name": "Campaign",
        "status": "draft",
        "sending_type": "sms",
        "schedule_type": "now",
        "template": '{"text": "Hello {first_name}"}' if in_json else "Hello {first_name}",
        "sender": "+41587000000",
        "recipient_lists": contacts.RECIPIENT_LISTS["staff"],
    } | dict(fields)
