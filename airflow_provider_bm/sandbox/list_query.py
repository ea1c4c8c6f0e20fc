"""Query parameters of a list: filters, sort, fields and paging."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from urllib.parse import urlencode

from airflow_provider_bm.campaigns.constants import OPTIONAL_FIELDS
from airflow_provider_bm.sandbox.errors import invalid, item
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.filters import COLUMNS, Filter, getter, parse_filter

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100
#: Parameters that may occur once only (3.2); filters may be repeated.
ONCE = ("page_number", "page_size", "fields", "sort", "status", "sending_type")

Pair = tuple[str, str]


@dataclass
class ListQuery:
    """The parameters of a list, parsed."""

    filters: list[Filter] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    page: int = 1
    size: int = DEFAULT_PAGE_SIZE

    def uuids(self) -> list[str] | None:
        """Return the UUIDs that a filter restricts the list to; None without such a filter."""
        for condition in self.filters:
            if condition.column == "uuid" and condition.operator in ("eq", "in"):
                return condition.values
        return None

    def select(self, campaigns: Iterable[Campaign]) -> list[Campaign]:
        """Filter and sort."""
        found = list(campaigns)
        for wanted in self.filters:
            read, test = getter(wanted.column), wanted.test
            found = [campaign for campaign in found if test(read(campaign))]
        # Sorting is stable: by the least significant column first. Campaigns without a value come first.
        for column, descending in reversed(self.sort):
            read = getter(column)
            pairs = [(read(campaign), campaign) for campaign in found]
            unset = [campaign for value, campaign in pairs if value is None]
            rest = [pair for pair in pairs if pair[0] is not None]
            rest.sort(key=itemgetter(0), reverse=descending)
            found = [campaign for _, campaign in rest]
            found = found + unset if descending else unset + found
        return found


def parse_list(pairs: list[Pair], *, ignore_filters: bool = False) -> ListQuery:
    """Parse the parameters of a list.

    :raises ApiError: 400 with all problems
    """
    query, items, seen = ListQuery(), [], set()
    for name, value in pairs:
        try:
            if name in ONCE and name in seen:
                raise ValueError("must occur once only")
            seen.add(name)
            if name in ("page_number", "page_size", "fields", "sort"):
                _option(query, name, value)
            elif ignore_filters and (name in ("name", "uuid") or "(" in name):
                continue
            else:
                query.filters.append(parse_filter(name, value))
        except ValueError as error:
            items.append(item(name, str(error)))
    if items:
        raise invalid(items)
    return query


def parse_single(pairs: list[Pair]) -> list[str]:
    """Parse the parameters of a single campaign: ``fields``.

    :raises ApiError: 400 with all problems
    """
    items, extras, seen = [], [], False
    for name, value in pairs:
        try:
            if name != "fields":
                raise ValueError("unknown parameter")
            if seen:
                raise ValueError("must occur once only")
            seen = True
            extras += _extras(value)
        except ValueError as error:
            items.append(item(name, str(error)))
    if items:
        raise invalid(items)
    return extras


def _option(query: ListQuery, name: str, value: str) -> None:
    if name == "fields":
        query.extras += _extras(value)
    elif name == "sort":
        for column in value.split(","):
            wanted = column.removeprefix("-")
            if wanted not in COLUMNS:
                raise ValueError(f"there is no column {wanted!r}")
            query.sort.append((wanted, column != wanted))
    else:
        if not (value.isascii() and value.isdigit() and 0 < int(value[:19]) < 10**18):
            raise ValueError("must be a whole number of at least 1")
        if name == "page_number":
            query.page = int(value)
        else:
            query.size = min(int(value), MAX_PAGE_SIZE)


def _extras(value: str) -> list[str]:
    names = value.split(",")
    unknown = [name for name in names if name not in OPTIONAL_FIELDS]
    if unknown:
        raise ValueError(f"must be of: {', '.join(OPTIONAL_FIELDS)}; not {', '.join(map(repr, unknown))}")
    return names


def pagination(query: ListQuery, total: int, count: int, url: str, pairs: list[Pair]) -> dict[str, object]:
    """Build the CollectionMetaPagination (4.13), without links to pages that do not exist."""
    pages = -(-total // query.size)
    kept = [pair for pair in pairs if pair[0] not in ("page_number", "page_size")]

    def link(page: int) -> str:
        parameters = [*kept, ("page_number", str(page)), ("page_size", str(query.size))]
        return f"{url}?{urlencode(parameters, safe='(),:')}"

    links = {"first": link(1), "last": link(max(pages, 1))}
    if 1 < query.page <= pages + 1:
        links["prev"] = link(query.page - 1)
    if query.page < pages:
        links["next"] = link(query.page + 1)
    return {
        "total": total,
        "count": count,
        "perPage": query.size,
        "currentPage": query.page,
        "totalPages": pages,
        "links": links,
    }
