"""Campaigns put in by hand, as somebody at the BM console would."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_bm.campaigns.vocabulary import JSON_TEMPLATE_SENDING_TYPES, STATUSES

from . import contacts
from .clock import as_utc
from .errors import ApiError
from .execution import Campaign
from .filters import read_time
from .store import Store
from .validation import UUID, new_campaign

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
        checked = new_campaign(_with_defaults(written), store.settle(), STATUSES)
    except ApiError as error:
        raise ValueError(f"no such campaign can be: {error.body.get('items')}") from None
    return store.add(
        service,
        checked,
        checked.pop("status"),
        campaign_uuid=wanted,
        created=_moment(own["created_dt"]),
        last=_moment(own["last_dt"]),
    )


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


def _moment(value: datetime | str | None) -> datetime | None:
    return value if value is None else read_time(value) if isinstance(value, str) else as_utc(value)
