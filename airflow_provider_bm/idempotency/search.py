"""Finding the campaigns of a task instance, by the key in front of their names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bm.client.query import list_params
from airflow_provider_bm.exceptions import BMBadRequestError, BMCampaignStateError, BMResponseError
from airflow_provider_bm.idempotency.key import has_key, row_key_of

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Maximum number of campaigns to page through if the server does not filter by name.
MAX_CAMPAIGNS: Final = 2_000
#: How much earlier than the DAG run's start a campaign may seem to have been created.
MARGIN: Final = timedelta(days=1)

Campaign = dict[str, Any]


def campaigns_with_key(client: BMClient, key: str, since: datetime | None = None) -> list[Campaign]:
    """Return the campaigns whose names start with a key, oldest first; those that are not drafts come first.

    Requests ``contains(name)=<key>``, and compares the names itself. If the server ignores or rejects the
    filter, pages through its newest campaigns.

    :param since: start of the DAG run: no campaign of it is older
    :raises BMResponseError: the server does not filter, and has too many campaigns to page through
    :raises BMCampaignStateError: only campaigns with the key elsewhere in their names were found
    """
    return _matching(client, key, since, lambda name: has_key(name, key), MAX_CAMPAIGNS)


def campaigns_of_rows(
    client: BMClient, key: str, since: datetime | None = None, *, rows: int = 0
) -> dict[str, list[Campaign]]:
    """Return the campaigns of a batch by the keys of their rows, in the order of :func:`campaigns_with_key`.

    :param key: key of the task instance
    :param since: start of the DAG run
    :param rows: number of rows; raises the limit if the server does not filter
    """
    found: dict[str, list[Campaign]] = {}
    matches = _matching(
        client, key, since, lambda name: row_key_of(name, key) is not None, MAX_CAMPAIGNS + rows
    )
    for campaign in matches:
        found.setdefault(str(row_key_of(campaign.get("name"), key)), []).append(campaign)
    return found


def _matching(
    client: BMClient, key: str, since: datetime | None, is_match: Callable[[object], bool], limit: int
) -> list[Campaign]:
    matches, elsewhere, filtered = [], [], True
    try:
        for campaign in _pages(client, filters=[("contains(name)", key)]):
            if is_match(campaign.get("name")):
                matches.append(campaign)
            elif key in str(campaign.get("name")).casefold():
                elsewhere.append(campaign)
            else:
                filtered = False
                break
    except BMBadRequestError as error:
        if error.of_token:
            raise
        log.warning("The server rejected the filter contains(name): %s", error)
        filtered = False
    if not filtered:
        matches = list(_newest(client, key, since, is_match, limit))
    elif elsewhere and not matches:
        raise BMCampaignStateError(
            f"Campaign {elsewhere[0]['uuid']} {elsewhere[0].get('name')!r} has the key of this task "
            "instance, but not at the start of its name: it may be the campaign of an earlier try. Nothing "
            f"more is sent. If it is, put [{key}] at the start of its name; if not, remove the key from its "
            "name. Then clear the task.",
            elsewhere[0],
        )
    return sorted(matches, key=lambda each: (each["status"] == "draft", created_at(each), each["uuid"]))


def _newest(
    client: BMClient, key: str, since: datetime | None, is_match: Callable[[object], bool], limit: int
) -> Iterator[Campaign]:
    """Page through the newest campaigns, until the start of the DAG run less a day."""
    newest_first, last = True, None
    for number, campaign in enumerate(_pages(client, sort="-created_dt")):
        if number >= limit:
            raise BMResponseError(
                f"The server does not filter by name (assumed: contains(name)), and has more than {limit} "
                f"campaigns since the DAG run started. Whether there is one whose name starts with [{key}] "
                "is not known; look for it in the BM console. Nothing more is sent."
            )
        created = created_at(campaign)
        newest_first = newest_first and (last is None or created <= last)
        last = created
        if is_match(campaign.get("name")):
            yield campaign
        elif since is not None and number and newest_first and created < since - MARGIN:
            return


def _pages(client: BMClient, **query: Any) -> Iterator[Campaign]:
    """Yield the campaigns of a list.

    :raises BMResponseError: the list is not complete
    """
    count, totals = 0, []
    for page in client.list_pages(list_params(**query)):
        count += len(page.campaigns)
        if page.total is not None:
            totals.append(page.total)
        yield from page.campaigns
    # Campaigns may be created or deleted meanwhile.
    total = min(totals, default=0)
    if count < total:
        raise BMResponseError(
            f"The server returned {count} of {total} campaigns. Whether the campaign of this task instance "
            "is among the others is not known; look for it in the BM console. Nothing more is sent."
        )


def created_at(campaign: Mapping[str, Any]) -> datetime:
    """Return when a campaign was created, by the server's clock; ``datetime.max`` if unknown."""
    return server_time_of(campaign, "created_dt")


def server_time_of(campaign: Mapping[str, Any], field: str) -> datetime:
    """Return a time of a campaign, by the server's clock; ``datetime.max`` if unknown."""
    try:
        moment = datetime.fromisoformat(str(campaign.get(field)))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
