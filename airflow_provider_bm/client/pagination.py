"""Pagination of a list: yields each campaign once, and always ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_provider_bm.client.responses import Campaign, Page
from airflow_provider_bm.exceptions import BMResponseError

#: Consecutive pages without new campaigns after which the list is considered endless.
_MAX_PAGES_WITHOUT_NEW = 3


def all_pages(fetch: Callable[[int, int], Page], page_size: int, call: str) -> Iterator[Page]:
    """Yield the pages of a list, each with the campaigns that were on no page before (4.12, 4.13).

    :param fetch: reads a page, by its number and size
    :param page_size: rows to request per page; the server may return fewer
    :param call: the request, for messages
    :raises BMResponseError: the pages are not those of one list
    """
    number, nothing_new = 1, 0
    seen: dict[str, int] = {}
    while True:
        page = fetch(number, page_size)
        if page.campaigns and page.number != number:
            raise BMResponseError(f"{call} was asked for page {number} and returned page {page.number}")
        if not page.campaigns and number < page.total_pages:
            raise BMResponseError(f"{call} returned nothing on page {number} of {page.total_pages}")
        # A campaign that is created or deleted meanwhile shifts the rest by a row.
        new: list[Campaign] = []
        contradicted: set[str] = set()
        for campaign in page.campaigns:
            uuid, content = campaign["uuid"], hash(repr(campaign))
            if uuid not in seen:
                new.append(campaign)
            elif seen[uuid] != content:
                contradicted.add(uuid)
            seen[uuid] = content
        yield page._replace(campaigns=new, contradicted=frozenset(contradicted))
        if number >= page.total_pages:
            return
        nothing_new = 0 if new else nothing_new + 1
        if nothing_new >= _MAX_PAGES_WITHOUT_NEW:
            raise BMResponseError(
                f"{call} returned nothing new on {nothing_new} consecutive pages, up to page {number} of "
                f"{page.total_pages}: it does not seem to support page_number"
            )
        number += 1
        # Page 2 of 50 is not page 2 of 100: continue with the size that the server really uses.
        page_size = page.per_page or page_size
