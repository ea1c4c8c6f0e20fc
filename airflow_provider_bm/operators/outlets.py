"""Asset events of a task that sends: the campaign is in their extra, and what was not sent has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Key of the campaign in an event's extra.
EXTRA_KEY: Final = "campaign"


def is_sent(campaign: Mapping[str, Any]) -> bool:
    """Return whether a campaign's messages have gone out, or will without a further request."""
    return campaign.get("status") in ("active", "finished")


def update_outlets(
    task: Any, context: Context, campaign: Mapping[str, Any], service_uuid: str | None
) -> None:
    """Put a campaign into the events that Airflow emits for the task's outlets; drop them if it is not sent.

    An ``AssetAlias`` gets the campaign's own asset, see :func:`~airflow_provider_bm.assets.campaign_asset`.

    :param task: the operator that is executed
    :param campaign: as it is now
    :param service_uuid: its BM account
    """
    if not task.outlets:
        return
    if not is_sent(campaign):
        # Airflow emits an event for each outlet of a successful task.
        task.outlets = []
        return
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    from airflow_provider_bm._compat import IS_AIRFLOW_2
    from airflow_provider_bm.assets import campaign_asset
    from airflow_provider_bm.campaigns.constants import OPTIONAL_FIELDS

    # Optional parts contain phone numbers.
    content = {key: value for key, value in campaign.items() if key not in OPTIONAL_FIELDS}
    events = context["outlet_events"]
    for outlet in task.outlets:
        if isinstance(outlet, AssetAlias) and service_uuid is not None:
            asset = campaign_asset(service_uuid, campaign["uuid"])
            # Airflow 2 puts the extra of an alias's event into a set, so that its values must be hashable.
            extra = json.dumps(content) if IS_AIRFLOW_2 else content
            events[outlet].add(asset, extra={EXTRA_KEY: extra})
        elif isinstance(outlet, Asset):
            events[outlet].extra[EXTRA_KEY] = content
