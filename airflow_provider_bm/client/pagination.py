"""A list, page by page: each campaign once, and an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from airflow_provider_bm.client.responses import Campaign, Page
from airflow_provider_bm.exceptions import BMResponseError

#: Pages in a row that bring nothing new, where there should be more: then the list has no end.
_MOST_IN_VAIN = 3


def all_pages(fetch: Callable[[int, int], Page], page_size: int, call: str) -> Iterator[Page]:
    """Yield the pages of a list, each with what was on none before it (4.12, 4.13).

    :param fetch: reads a page, by its number and size
    :param page_size: rows to ask for in a request; the server may give fewer
    :param call: names the list in errors
    :raises BMResponseError: the pages are none of a list
    """
    number, nothing_new = 1, 0
    seen: set[str] = set()
    while True:
        page = fetch(number, page_size)
        if page.campaigns and page.number != number:
            raise BMResponseError(f"{call} was asked for page {number} and gave page {page.number}")
        if not page.campaigns and number < page.total_pages:
            raise BMResponseError(f"{call} gave nothing on page {number} of {page.total_pages}")
        # A campaign that is made or deleted meanwhile shifts the rest by a row.
        new = []
        for campaign in page.campaigns:
            if campaign["uuid"] not in seen:
                seen.add(campaign["uuid"])
                new.append(campaign)
        yield page._replace(campaigns=new)
        if number >= page.total_pages:
            return
        nothing_new = 0 if new else nothing_new + 1
        if nothing_new >= _MOST_IN_VAIN:
            raise BMResponseError(
                f"{call} gave nothing new on {nothing_new} pages in a row, up to page {number} of "
                f"{page.total_pages}: it does not seem to know page_number"
            )
        number += 1
        # Page 2 of 50 is not page 2 of 100: go on with the size that the server really uses.
        page_size = page.per_page or page_size


def of_status(pages: Iterator[Page], statuses: Sequence[str]) -> Iterator[Page]:
    """See that a server knows the filter by several statuses, whose form is only assumed."""
    for page in pages:
        for campaign in page.campaigns:
            if campaign["status"] not in statuses:
                raise BMResponseError(
                    f"The server was asked for campaigns that are {' or '.join(statuses)}, and gave "
                    f"{campaign['uuid']}, which is {campaign['status']}: it does not know the filter."
                )
        yield page


def campaigns_of(pages: Iterator[Page]) -> Iterator[Campaign]:
    """Yield what is on the pages."""
    for page in pages:
        yield from page.campaigns
