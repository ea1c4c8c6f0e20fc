"""Campaigns handled as somebody at the BM console would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.campaigns.constants import JSON_TEMPLATE_SENDING_TYPES, STATUSES

from . import contacts
from .errors import ApiError
from .execution import Campaign
from .spans import given_time
from .store import Store
from .validation import UUID, changed_campaign, new_campaign

_OWN = ("service_uuid", "uuid", "created_dt", "last_dt")


def put_in(store: Store, fields: Mapping[str, Any]) -> Campaign:
    """Add a campaign of any status, with defaults for what is missing."""
    own = {name: fields.get(name) for name in _OWN}
    service = str(own["service_uuid"] or contacts.DEFAULT_SERVICE).lower()
    if service not in store.services:
        raise ValueError(f"there is no service {service}")
    wanted = None if own["uuid"] is None else str(own["uuid"]).lower()
    if wanted is not None and not UUID.fullmatch(wanted):
        raise ValueError(f"uuid: {wanted!r} is not a UUID")
    if wanted in store.services[service]:
        raise ValueError(f"there is a campaign {wanted} already")
    written = {name: value for name, value in fields.items() if name not in _OWN}
    try:
        checked = new_campaign(_with_defaults(written), store.settle(), STATUSES, lists=store.recipients)
    except ApiError as error:
        raise _refusal(error) from None
    return store.add(
        service,
        checked,
        checked.pop("status"),
        campaign_uuid=wanted,
        created=given_time(own["created_dt"]),
        last=given_time(own["last_dt"]),
    )


def find(store: Store, campaign_uuid: str) -> Campaign:
    """Find a campaign in whatever service it is."""
    store.settle()
    wanted = str(campaign_uuid).lower()
    for held in store.services.values():
        if wanted in held:
            return held[wanted]
    raise ValueError(f"there is no campaign {campaign_uuid}")


def change(store: Store, campaign: Campaign, fields: Mapping[str, Any]) -> Campaign:
    """Save a campaign with other fields; None unsets one."""
    whole = {**campaign.fields, "status": campaign.status, **fields}
    given = {name: value for name, value in whole.items() if value is not None}
    try:
        checked = changed_campaign(given, store.settle(), lists=store.recipients, going=store.going(campaign))
    except ApiError as error:
        raise _refusal(error) from None
    status = checked.pop("status")
    store.replace(campaign, checked, status)
    return campaign


def start(store: Store, campaign: Campaign) -> Campaign:
    """Start a draft, let a stopped campaign go on, run a finished one again."""
    if campaign.status == "stopped":
        if store.missed(campaign):
            raise ValueError("its time has passed: give it another schedule_rrule by update_campaign")
        store.resume(campaign)
    elif campaign.status != "active":
        change(store, campaign, {"status": "active"})
    return campaign


def stop(store: Store, campaign: Campaign) -> Campaign:
    """Stop an active campaign."""
    if campaign.status not in ("active", "stopped"):
        raise ValueError(f"a {campaign.status} campaign cannot be stopped")
    if campaign.status == "active":
        store.stop(campaign)
    return campaign


def _refusal(error: ApiError) -> ValueError:
    items = "; ".join(f"{item['name']}: {item['message']}" for item in error.body.get("items", ()))
    return ValueError(f"no such campaign can be: {items or error.body['message']}")


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
