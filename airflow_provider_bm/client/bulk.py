"""Reading many campaigns with few requests, verifying every response."""

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

#: Length of a URL that every proxy accepts.
MAX_URL_LENGTH = 2000
#: After this many lists that return fewer campaigns than must be fetched singly, stop using lists.
_MAX_SHORT_LISTS = 2
#: Seconds until lists are tried again that seemed to be useless: they may just lag behind.
_RETRY_LISTS_AFTER = 3600.0
#: Consecutive failed GETs after which the server is considered down.
_MAX_FAILURES = 3
#: Forbidden GETs, after a forbidden list, after which all are considered forbidden: a list may be forbidden
#: for one campaign in it.
_MAX_FORBIDDEN = 2
#: Maximum number of failed campaigns to remember; beyond it, those no longer requested are forgotten.
_MAX_REMEMBERED = 1000
#: What pagination adds to a URL.
_PAGE_PARAMS = "&page_number=000&page_size=000"

Found = Mapping[str, Campaign | BMError]
Fields = tuple[str, ...]


class BulkReader:
    """Reads many campaigns with one list request: ``in(uuid)=…``, a filter that is assumed to exist.

    A campaign that is missing in the list, or contradicts itself there, is fetched singly. If a server
    does not support the filter, lists are not used again. One reader belongs to one thread.

    :param client: the client to read with
    """

    def __init__(self, client: BMClient) -> None:
        self._client = client
        # By fields: lists may be too much for a server only if all messages are in them.
        self._lists_again_at: dict[Fields, float] = {}
        self._short_lists: dict[Fields, int] = {}
        self._failed: set[str] = set()

    def read(self, uuids: Iterable[str], fields: Fields = ()) -> Iterator[Found]:
        """Yield campaigns by UUID, some at a time; in place of a campaign that failed, its error.

        Those that failed the last time come last, so that they cannot delay the others.

        :param uuids: campaigns, each once
        :param fields: optional parts: ``tasks``, ``messages``
        :raises BMError: an error that is not about a single campaign; the rest was not read
        """
        uuids = sorted(uuids, key=self._failed.__contains__)
        if len(self._failed) > _MAX_REMEMBERED:
            self._failed.intersection_update(uuids)
        failures = 0
        for chunk in self._chunks(uuids, fields):
            use_list = len(chunk) > 1 and time.monotonic() >= self._lists_again_at.get(fields, 0.0)
            found, forbidden = self._read_list(chunk, fields) if use_list else ({}, False)
            if found:
                failures = 0
                self._failed.difference_update(found)
                yield found
            missing, singly = [uuid for uuid in chunk if uuid not in found], 0
            refused: dict[str, BMError] = {}
            for uuid in missing:
                result = self._get(uuid, fields)
                failures = failures + 1 if isinstance(result, BMError) and not result.permanent else 0
                if isinstance(result, BMError) and failures >= _MAX_FAILURES:
                    raise result
                forbidden = forbidden and isinstance(result, BMForbiddenError)
                if forbidden and isinstance(result, BMError):
                    refused[uuid] = result
                    if len(refused) >= _MAX_FORBIDDEN:
                        raise result
                    continue
                singly += isinstance(result, dict)
                yield {**refused, uuid: result}
                refused = {}
            if refused:
                yield refused
            if use_list:
                self._count_missing(len(found), singly, fields)

    def list(self, selection: CampaignFilter) -> Iterator[Found]:
        """Yield all campaigns that match a filter, as :meth:`read` does.

        :raises BMResponseError: the server returned a campaign that does not match
        """
        broken: dict[str, BMError] = {}

        def on_broken_row(row: Any, error: BMResponseError) -> None:
            uuid = row.get("uuid") if isinstance(row, dict) else None
            if isinstance(uuid, str):
                broken[uuid.lower()] = error
            log.warning("A row of a list is ignored: %s", error)

        params = [*selection.filters, *fields_param(selection.fields)]
        for page in self._client.list_pages(params, on_broken_row=on_broken_row):
            for campaign in page.campaigns:
                selection.check(campaign)
            yield {each["uuid"]: each for each in page.campaigns if each["uuid"] not in page.contradicted}
            yield {uuid: self._get(uuid, selection.fields) for uuid in page.contradicted}
        yield broken

    def _chunks(self, uuids: Sequence[str], fields: Fields) -> Iterator[Sequence[str]]:
        base = len(
            f"{self._client.list_url}?{urlencode([('in(uuid)', ''), *fields_param(fields)])}{_PAGE_PARAMS}"
        )
        size = max(1, (MAX_URL_LENGTH - base) // len(urlencode({"": "," + "0" * 36})))
        for start in range(0, len(uuids), size):
            yield uuids[start : start + size]

    def _read_list(self, chunk: Sequence[str], fields: Fields) -> tuple[dict[str, Campaign], bool]:
        """Read campaigns with one list; fewer than requested if the server does not filter correctly.

        :return: the campaigns, and whether the list is forbidden
        """
        wanted = set(chunk)
        found: dict[str, Campaign] = {}
        try:
            pages = self._client.list_pages(
                list_params(filters={"in(uuid)": [*chunk]}, fields=fields),
                page_size=len(chunk),
                on_broken_row=lambda _, error: log.warning("A row of a list is ignored: %s", error),
            )
            for page in pages:
                found.update((each["uuid"], each) for each in page.campaigns if each["uuid"] in wanted)
                for uuid in page.contradicted:
                    found.pop(uuid, None)
                others = next((each["uuid"] for each in page.campaigns if each["uuid"] not in wanted), None)
                if others or (page.total or 0) > len(wanted):
                    # No further page: that would be the whole service, page by page.
                    sent = f"campaign {others}" if others else f"a list of {page.total} campaigns"
                    self._stop_using_lists(
                        f"it does not support the filter in(uuid): it returned {sent}", fields
                    )
                    break
                if len(found) == len(wanted):
                    break
        except (BMBadRequestError, BMNotFoundError, BMForbiddenError) as error:
            if error.of_token:
                raise
            if isinstance(error, BMNotFoundError):
                # Not documented for a list (3.2), and not about any campaign.
                what = f"There is no list of campaigns; is the Service UUID right? ({error})"
                raise BMResponseError(what, error.status, permanent=True) from error
            # Perhaps only lists are forbidden.
            forbidden = isinstance(error, BMForbiddenError)
            self._stop_using_lists(str(error), fields, _RETRY_LISTS_AFTER if forbidden else math.inf)
            return found, forbidden
        except (BMServerError, BMResponseError, BMTimeoutError) as error:
            if _is_server_wide(error) and not _may_be_too_large(error):
                raise
            log.warning("A list of %d campaigns failed; fetching them singly: %s", len(chunk), error)
        return found, False

    def _get(self, uuid: str, fields: Fields) -> Campaign | BMError:
        try:
            campaign = self._client.get_campaign(uuid, fields=fields)
        except (BMAPIError, BMResponseError) as error:
            self._failed.add(uuid)
            if _is_server_wide(error) and not isinstance(error, BMResponseError):
                raise
            return error
        except BMError:
            self._failed.add(uuid)
            raise
        self._failed.discard(uuid)
        return campaign

    def _count_missing(self, listed: int, singly: int, fields: Fields) -> None:
        """Stop using lists if they repeatedly lack most campaigns.

        :param listed: number of campaigns in the list
        :param singly: number of campaigns that were missing there, and exist
        """
        if singly <= listed:
            self._short_lists.pop(fields, None)
            return
        self._short_lists[fields] = self._short_lists.get(fields, 0) + 1
        if self._short_lists[fields] >= _MAX_SHORT_LISTS:
            del self._short_lists[fields]
            why = f"its lists lack campaigns that exist ({singly} of {listed + singly}), or fail"
            self._stop_using_lists(why, fields, _RETRY_LISTS_AFTER)

    def _stop_using_lists(self, why: str, fields: Fields, seconds: float = math.inf) -> None:
        again_at = max(self._lists_again_at.get(fields, 0.0), time.monotonic() + seconds)
        self._lists_again_at[fields] = again_at
        log.warning(
            "The server does not return many campaigns with one list%s; fetching them singly: %s",
            f" (with {', '.join(fields)})" if fields else "",
            why,
        )


def _may_be_too_large(error: BMError) -> bool:
    """Whether a list may just be too large to return in time: campaigns with all their messages."""
    timed_out = isinstance(error, BMServerError) and error.status in (408, 504)
    return timed_out and not error.of_token and getattr(error, "retry_after", None) is None


def _is_server_wide(error: BMError) -> bool:
    """Whether an error is about the server, not about one campaign, so that further calls are pointless."""
    if error.of_token or isinstance(error, (BMAuthError, BMRateLimitError)):
        return True
    if isinstance(error, BMServerError):
        # A 500 may be about one campaign; the others come from a gateway, or from an overloaded server.
        return error.status != 500
    return isinstance(error, BMResponseError) and error.permanent
