"""Reading many campaigns with few requests, and believing nothing of the answers."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from airflow_provider_bm.client.client import BMClient
from airflow_provider_bm.client.listing import Listing
from airflow_provider_bm.client.query import fields_param
from airflow_provider_bm.client.replies import Campaign
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMAuthError,
    BMBadRequestError,
    BMError,
    BMNotFoundError,
    BMRateLimitError,
    BMResponseError,
    BMServerError,
    BMTimeoutError,
)

log = logging.getLogger(__name__)

#: Characters of a URL that every proxy lets through.
LONGEST_URL = 2000
#: Answers in a row that lack most of what was asked for: then the filter is not known, or broken.
_MOST_SHORT_ANSWERS = 2
#: Seconds until a filter is tried again that only seemed not to be known: a list may just lag behind.
_GIVEN_UP_FOR = 3600.0
#: Single looks in a row that fail before the server is taken to be down.
_MOST_FAILURES = 3
#: What the page adds to a URL.
_PAGE = "&page_number=000&page_size=000"

Found = Mapping[str, Campaign | BMError]


class CampaignReader:
    """Reads campaigns by many at once: ``in(uuid)=…`` in the list, whose form is only assumed.

    An answer is believed as far as it goes: a campaign that is missing in it is read by itself, and a
    server that does not know the filter is not asked that way again. One reader belongs to one thread.

    :param client: the client to read with
    :param check: called before each request; may raise to end the reading
    """

    def __init__(self, client: BMClient, check: Callable[[], None]) -> None:
        self._client = client
        self._check = check
        self._filter_again_at = 0.0
        self._short_answers = 0

    def read(self, uuids: Sequence[str], fields: Sequence[str] = ()) -> Iterator[Found]:
        """Yield what was found, some campaigns at a time: each a campaign, or its own error.

        :param uuids: campaigns, each once; those that failed the last time belong at the end, so that
            they cannot keep others from being read
        :param fields: optional parts: ``tasks``, ``messages``
        :raises BMError: one that is not about a single campaign; what was not yielded yet was not read
        """
        failures = 0
        for chunk in self._chunks(uuids, fields):
            together = len(chunk) > 1 and time.monotonic() >= self._filter_again_at
            found = self._ask(chunk, fields) if together else {}
            if found:
                failures = 0
                yield found
            missing, alone = [uuid for uuid in chunk if uuid not in found], 0
            for uuid in missing:
                one = self._get(uuid, fields)
                failed = isinstance(one, BMError) and not one.permanent
                failures = failures + 1 if failed else 0
                if isinstance(one, BMError) and failures >= _MOST_FAILURES:
                    raise one
                alone += isinstance(one, dict)
                yield {uuid: one}
            if together:
                self._judge(len(found), alone)

    def find(self, listing: Listing) -> Iterator[Campaign]:
        """Yield all campaigns of a list, each checked to be one that was asked for.

        :raises BMResponseError: the server does not know a filter
        """
        self._check()
        for campaign in self._client.list_campaigns(filters=listing.filters, fields=listing.fields):
            listing.check(campaign)
            yield campaign
            # The next one may be on the next page.
            self._check()

    def _chunks(self, uuids: Sequence[str], fields: Sequence[str]) -> Iterator[Sequence[str]]:
        base = len(f"{self._client.list_url}?{urlencode([('in(uuid)', ''), *fields_param(fields)])}{_PAGE}")
        size = max(1, (LONGEST_URL - base) // len(urlencode({"": "," + "0" * 36})))
        for start in range(0, len(uuids), size):
            yield uuids[start : start + size]

    def _ask(self, chunk: Sequence[str], fields: Sequence[str]) -> dict[str, Campaign]:
        """Campaigns of one list; fewer than asked for, if the server does not do as it should."""
        wanted, found = set(chunk), {}
        self._check()
        try:
            rows = self._client.list_campaigns(
                filters={"in(uuid)": list(chunk)}, fields=fields, page_size=len(chunk)
            )
            for campaign in rows:
                if campaign["uuid"] not in wanted:
                    # No further page: that would be the whole service, page by page.
                    self._give_up(f"it sent campaign {campaign['uuid']}, which was not asked for")
                    break
                found[campaign["uuid"]] = campaign
                if len(found) == len(wanted):
                    break
                self._check()
        except (BMBadRequestError, BMNotFoundError, BMServerError, BMResponseError, BMTimeoutError) as error:
            # A list may be just too much to answer in time: campaigns with all their messages.
            too_slow = isinstance(error, BMServerError) and error.status in (408, 504) and not error.of_token
            if _of_the_server(error) and not too_slow:
                raise
            if isinstance(error, BMBadRequestError):
                self._give_up(str(error))
            else:
                log.warning("A list of %d campaigns failed; reading them one by one: %s", len(chunk), error)
        return found

    def _get(self, uuid: str, fields: Sequence[str]) -> Campaign | BMError:
        self._check()
        try:
            return self._client.get_campaign(uuid, fields=fields)
        except (BMAPIError, BMResponseError) as error:
            if _of_the_server(error):
                raise
            return error

    def _judge(self, together: int, alone: int) -> None:
        if alone <= together:
            self._short_answers = 0
            return
        self._short_answers += 1
        if self._short_answers >= _MOST_SHORT_ANSWERS:
            self._short_answers = 0
            why = f"its lists lack campaigns that exist ({alone} of {together + alone})"
            self._give_up(why, _GIVEN_UP_FOR)

    def _give_up(self, why: str, seconds: float = math.inf) -> None:
        self._filter_again_at = max(self._filter_again_at, time.monotonic() + seconds)
        log.warning("The server does not know the filter in(uuid); reading one campaign at a time: %s", why)


def _of_the_server(error: BMError) -> bool:
    """Whether a failure is about the server and not about one campaign, so that asking on is pointless."""
    if error.of_token or isinstance(error, (BMAuthError, BMRateLimitError)):
        return True
    if isinstance(error, BMServerError):
        # A 500 may be one campaign's own; the others come from a gateway, or from an overloaded server.
        return error.status != 500
    return isinstance(error, BMResponseError) and error.permanent
