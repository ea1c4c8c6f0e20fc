"""Search for campaigns by the values of their fields, outside the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_bm.campaigns.constants import OPTIONAL_FIELDS
from airflow_provider_bm.sandbox.arguments import choice, strings
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.filters import COLUMNS, WORDS
from airflow_provider_bm.sandbox.store import Store


def search(
    store: Store, wanted: Mapping[str, Any], service_uuid: str | None, extras: Iterable[str]
) -> list[dict[str, Any]]:
    """Return campaigns as in the API's responses, oldest first.

    :param wanted: required values of fields; None or empty for fields that are not set
    :param extras: optional fields of the response
    :raises ValueError: there is no such field, value or service, so nothing can match
    """
    names = list(extras)
    unknown = [name for name in wanted if name not in COLUMNS]
    unknown += [name for name in names if name not in OPTIONAL_FIELDS]
    if unknown:
        raise ValueError(f"a campaign has no field {', '.join(map(repr, unknown))}")
    for name, value in strings(wanted).items():
        if value and name in WORDS:
            choice(name, value, WORDS[name])
    now = store.run_due()
    found = store.every_campaign() if service_uuid is None else _campaigns_of(store, service_uuid)
    return [
        campaign.as_response(now, names)
        for campaign in found
        if all((campaign.value(name) or None) == (value or None) for name, value in wanted.items())
    ]


def _campaigns_of(store: Store, service_uuid: str) -> Iterable[Campaign]:
    if service_uuid not in store.services:
        raise ValueError(f"there is no service {service_uuid}")
    return store.campaigns(service_uuid)
