"""Reading many campaigns with few requests, and believing nothing of the answers."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from airflow_provider_bm.client.client import BMClient
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.client.query import fields_param, list_params
from airflow_provider_bm.client.responses import Campaign
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMAuthError,
    BMBadRequestError,
    BMError,
    BMForbiddenError,
    BMNotFoundError,
    BMRateLimitError,
    BMResponseError,
    BMServerError,
    BMTimeoutError,
)

log = logging.getLogger(__name__)

#: Characters of a URL that every proxy lets through.
LONGEST_URL = 2000
#: Lists in a row that bring less than what must then be read by itself: then there is no point in them.
_MOST_SHORT_ANSWERS = 2
#: Seconds until lists are tried again that only seemed to be pointless: they may just lag behind.
_GIVEN_UP_FOR = 3600.0
#: Single looks in a row that fail before the server is taken to be down.
_MOST_FAILURES = 3
#: Single looks that are forbidden, after a list that is, before all of them are taken to be: a list may be
#: forbidden for one campaign in it.
_MOST_REFUSED = 2
#: Failed campaigns that are remembered, before those that nobody asks for any more are forgotten.
_MOST_REMEMBERED = 1000
#: What the page adds to a URL.
_PAGE = "&page_number=000&page_size=000"

Found = Mapping[str, Campaign | BMError]
Fields = tuple[str, ...]


class BulkReader:
    """Reads campaigns by many at once: ``in(uuid)=…`` in the list, whose form is only assumed.

    An answer is believed as far as it goes: a campaign that is missing in it is read by itself, and a
    server that does not know the filter is not asked that way again. One reader belongs to one thread.

    :param client: the client to read with
    """

    def __init__(self, client: BMClient) -> None:
        self._client = client
        # By fields: lists may be too much for a server only if all messages are in them.
        self._lists_again_at: dict[Fields, float] = {}
        self._short_answers: dict[Fields, int] = {}
        self._failed: set[str] = set()

    def read(self, uuids: Iterable[str], fields: Fields = ()) -> Iterator[Found]:
        """Yield what was found, some campaigns at a time: each a campaign, or its own error.

        Those that failed the last time come last, so that they cannot keep others from being read.

        :param uuids: campaigns, each once
        :param fields: optional parts: ``tasks``, ``messages``
        :raises BMError: one that is not about a single campaign; what was not yielded yet was not read
        """
        uuids = sorted(uuids, key=self._failed.__contains__)
        if len(self._failed) > _MOST_REMEMBERED:
            self._failed.intersection_update(uuids)
        failures = 0
        for chunk in self._chunks(uuids, fields):
            together = len(chunk) > 1 and time.monotonic() >= self._lists_again_at.get(fields, 0.0)
            found, forbidden = self._ask(chunk, fields) if together else ({}, False)
            if found:
                failures = 0
                self._failed.difference_update(found)
                yield found
            missing, alone = [uuid for uuid in chunk if uuid not in found], 0
            refused: dict[str, BMError] = {}
            for uuid in missing:
                one = self._get(uuid, fields)
                failures = failures + 1 if isinstance(one, BMError) and not one.permanent else 0
                if isinstance(one, BMError) and failures >= _MOST_FAILURES:
                    raise one
                forbidden = forbidden and isinstance(one, BMForbiddenError)
                if forbidden and isinstance(one, BMError):
                    refused[uuid] = one
                    if len(refused) >= _MOST_REFUSED:
                        raise one
                    continue
                alone += isinstance(one, dict)
                yield {**refused, uuid: one}
                refused = {}
            if refused:
                yield refused
            if together:
                self._judge(len(found), alone, fields)

    def find(self, listing: CampaignFilter) -> Iterator[Found]:
        """Yield all campaigns of a list, each checked to be one that was asked for.

        :raises BMResponseError: the server does not know a filter
        """
        broken: dict[str, BMError] = {}

        def note(row: Any, error: BMResponseError) -> None:
            uuid = row.get("uuid") if isinstance(row, dict) else None
            if isinstance(uuid, str):
                broken[uuid.lower()] = error
            log.warning("A row of a list is left out: %s", error)

        rows = self._client.list_campaigns(filters=listing.filters, fields=listing.fields, broken=note)
        for campaign in rows:
            listing.check(campaign)
            yield {campaign["uuid"]: campaign}
        yield broken

    def _chunks(self, uuids: Sequence[str], fields: Fields) -> Iterator[Sequence[str]]:
        base = len(f"{self._client.list_url}?{urlencode([('in(uuid)', ''), *fields_param(fields)])}{_PAGE}")
        size = max(1, (LONGEST_URL - base) // len(urlencode({"": "," + "0" * 36})))
        for start in range(0, len(uuids), size):
            yield uuids[start : start + size]

    def _ask(self, chunk: Sequence[str], fields: Fields) -> tuple[dict[str, Campaign], bool]:
        """Campaigns of one list; fewer than asked for, if the server does not do as it should.

        :return: what was found, and whether the list is forbidden
        """
        wanted = set(chunk)
        found: dict[str, Campaign] = {}
        try:
            pages = self._client.list_pages(
                list_params(filters={"in(uuid)": list(chunk)}, fields=fields),
                page_size=len(chunk),
                broken=lambda _, error: log.warning("A row of a list is left out: %s", error),
            )
            for page in pages:
                found.update((one["uuid"], one) for one in page.campaigns if one["uuid"] in wanted)
                others = next((one["uuid"] for one in page.campaigns if one["uuid"] not in wanted), None)
                if others or (page.total or 0) > len(wanted):
                    # No further page: that would be the whole service, page by page.
                    sent = f"campaign {others}" if others else f"a list of {page.total} campaigns"
                    self._give_up(f"it does not know the filter in(uuid): it sent {sent}", fields)
                    break
                if len(found) == len(wanted):
                    break
        except (BMBadRequestError, BMNotFoundError, BMForbiddenError) as error:
            if error.of_token:
                # It says nothing of lists.
                raise
            if isinstance(error, BMNotFoundError):
                # A list is not documented to say so (3.2), and it says nothing of any campaign.
                what = f"There is no list of campaigns; is the Service UUID right? ({error})"
                raise BMResponseError(what, error.status, permanent=True) from error
            # Forbidden are perhaps lists only.
            forbidden = isinstance(error, BMForbiddenError)
            self._give_up(str(error), fields, _GIVEN_UP_FOR if forbidden else math.inf)
            return found, forbidden
        except (BMServerError, BMResponseError, BMTimeoutError) as error:
            if _of_the_server(error) and not _too_much(error):
                raise
            log.warning("A list of %d campaigns failed; reading them one by one: %s", len(chunk), error)
        return found, False

    def _get(self, uuid: str, fields: Fields) -> Campaign | BMError:
        try:
            campaign = self._client.get_campaign(uuid, fields=fields)
        except (BMAPIError, BMResponseError) as error:
            self._failed.add(uuid)
            if _of_the_server(error) and not isinstance(error, BMResponseError):
                raise
            return error
        except BMError:
            self._failed.add(uuid)
            raise
        self._failed.discard(uuid)
        return campaign

    def _judge(self, together: int, alone: int, fields: Fields) -> None:
        if alone <= together:
            self._short_answers.pop(fields, None)
            return
        self._short_answers[fields] = self._short_answers.get(fields, 0) + 1
        if self._short_answers[fields] >= _MOST_SHORT_ANSWERS:
            del self._short_answers[fields]
            why = f"its lists lack campaigns that exist ({alone} of {together + alone}), or fail"
            self._give_up(why, fields, _GIVEN_UP_FOR)

    def _give_up(self, why: str, fields: Fields, seconds: float = math.inf) -> None:
        again_at = max(self._lists_again_at.get(fields, 0.0), time.monotonic() + seconds)
        self._lists_again_at[fields] = again_at
        log.warning(
            "The server cannot be asked for many campaigns at once%s; reading one at a time: %s",
            f" (with {', '.join(fields)})" if fields else "",
            why,
        )


def _too_much(error: BMError) -> bool:
    """Whether a list may just be too much to answer in time: campaigns with all their messages."""
    timed_out = isinstance(error, BMServerError) and error.status in (408, 504)
    return timed_out and not error.of_token and getattr(error, "retry_after", None) is None


def _of_the_server(error: BMError) -> bool:
    """Whether a failure is about the server and not about one campaign, so that asking on is pointless."""
    if error.of_token or isinstance(error, (BMAuthError, BMRateLimitError)):
        return True
    if isinstance(error, BMServerError):
        # A 500 may be one campaign's own; the others come from a gateway, or from an overloaded server.
        return error.status != 500
    return isinstance(error, BMResponseError) and error.permanent
