"""Query parameters of the list: the URL Filtering Guidelines, sort, fields and paging."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from airflow_provider_bm.campaigns.vocabulary import (
    CAMPAIGN_FIELDS,
    OPTIONAL_FIELDS,
    RESPONSE_FIELDS,
    SENDING_TYPES,
    STATUSES,
)

from .errors import invalid, item
from .execution import Campaign
from .segmentation import compare

COLUMNS = (*CAMPAIGN_FIELDS, *RESPONSE_FIELDS)
TIMES = tuple(name for name in RESPONSE_FIELDS if name.endswith("_dt"))
DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100

_NULL = ("isnull", "isnotnull", "isempty", "isnotempty")
_TEXT = ("startswith", "contains", "endswith", "doesnotcontain")
_ORDER = ("eq", "neq", "lt", "lte", "gte", "gt")
_MANY = ("in", "notin", "between", "notbetween")
OPERATORS = (*_NULL, *_ORDER, *_TEXT, *_MANY)
_CALL = re.compile(r"([^()]*)\(([^()]*)\)")
_ENUMS = {"status": STATUSES, "sending_type": SENDING_TYPES}

Pair = tuple[str, str]


@dataclass
class Filter:
    """One condition of a list."""

    operator: str
    column: str
    values: list[str]

    def matches(self, campaign: Campaign) -> bool:
        """Tell whether a campaign fulfils it. What is not set fulfils only the negative ones."""
        held = campaign.value(self.column)
        if self.operator in _NULL:
            return (held is None) == (self.operator in ("isnull", "isempty"))
        negative = self.operator in ("neq", "notin", "notbetween", "doesnotcontain")
        if held is None:
            return negative
        return self._holds(campaign, held) != negative

    def _holds(self, campaign: Campaign, held: str) -> bool:
        if self.operator in ("startswith", "endswith"):
            test: Callable[[str], bool] = getattr(held, self.operator)
            return test(self.values[0])
        if self.operator in ("contains", "doesnotcontain"):
            return self.values[0] in held
        order = [self._order(campaign, held, value) for value in self.values]
        match self.operator:
            case "lt":
                return order[0] < 0
            case "lte":
                return order[0] <= 0
            case "gt":
                return order[0] > 0
            case "gte":
                return order[0] >= 0
            case "between" | "notbetween":
                return order[0] >= 0 >= order[1]
            case _:
                return 0 in order

    def _order(self, campaign: Campaign, held: str, value: str) -> int:
        if self.column in TIMES:
            left, right = campaign.moment(self.column), read_time(value)
            assert left is not None
            return (left > right) - (left < right)
        if self.operator in ("eq", "neq", "in", "notin"):
            return 0 if held == (value.lower() if self.column == "uuid" else value) else 1
        return compare(held, value)


@dataclass
class Listing:
    """What a list was asked for."""

    filters: list[Filter] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    page: int = 1
    size: int = DEFAULT_PAGE_SIZE

    def uuids(self) -> list[str] | None:
        """Which campaigns it can be at most, if a filter by UUID says so: no need to look at all."""
        for one in self.filters:
            if one.column == "uuid" and one.operator in ("eq", "in"):
                return [value.lower() for value in one.values]
        return None

    def select(self, campaigns: Iterable[Campaign]) -> list[Campaign]:
        """Filter and sort."""
        found = list(campaigns)
        for wanted in self.filters:
            found = [one for one in found if wanted.matches(one)]
        # Sorting is stable: by the least important column first.
        for column, descending in reversed(self.sort):
            found.sort(key=lambda one, name=column: _sort_key(one, name), reverse=descending)  # type: ignore[misc]
        return found


def _sort_key(campaign: Campaign, column: str) -> tuple[bool, str]:
    value = campaign.value(column)
    return (value is not None, value or "")


def parse_list(pairs: list[Pair], *, ignore_filters: bool = False) -> Listing:
    """Read the parameters of the list; all that is wrong ends in one 400."""
    listing, items, seen = Listing(), [], set()
    for name, value in pairs:
        try:
            if name in ("page_number", "page_size", "fields", "sort"):
                if name in seen and name.startswith("page"):
                    raise ValueError("must be given once")
                seen.add(name)
                _option(listing, name, value)
            elif ignore_filters and (name in ("name", "uuid") or "(" in name):
                continue
            else:
                listing.filters.append(_filter(name, value))
        except ValueError as error:
            items.append(item(name, str(error)))
    if items:
        raise invalid(items)
    return listing


def parse_single(pairs: list[Pair]) -> list[str]:
    """Read the parameters of one campaign: ``fields``."""
    items, extras = [], []
    for name, value in pairs:
        try:
            if name != "fields":
                raise ValueError("unknown parameter")
            extras += _extras(value)
        except ValueError as error:
            items.append(item(name, str(error)))
    if items:
        raise invalid(items)
    return extras


def _option(listing: Listing, name: str, value: str) -> None:
    if name == "fields":
        listing.extras += _extras(value)
    elif name == "sort":
        for column in filter(None, value.split(",")):
            wanted = column.removeprefix("-")
            if wanted not in COLUMNS:
                raise ValueError(f"there is no column {wanted!r}")
            listing.sort.append((wanted, column != wanted))
    else:
        if not (value.isascii() and value.isdigit() and 0 < int(value[:19]) < 10**18):
            raise ValueError("must be a whole number of at least 1")
        if name == "page_number":
            listing.page = int(value)
        else:
            listing.size = min(int(value), MAX_PAGE_SIZE)


def _extras(value: str) -> list[str]:
    names = [name for name in value.split(",") if name]
    unknown = [name for name in names if name not in OPTIONAL_FIELDS]
    if unknown:
        raise ValueError(f"must be of: {', '.join(OPTIONAL_FIELDS)}; not {', '.join(unknown)}")
    return names


def _filter(name: str, value: str) -> Filter:
    call = _CALL.fullmatch(name)
    operator, column = (call[1], call[2]) if call else ("eq", name)
    if operator not in OPERATORS:
        raise ValueError(f"unknown operator {operator!r}: there are {', '.join(OPERATORS)}")
    if column not in COLUMNS:
        raise ValueError(f"there is no field {column!r} to filter by" if call else "unknown parameter")
    values = value.split(",") if operator in _MANY else [value]
    if operator.endswith("between") and len(values) != 2:
        raise ValueError("needs two values, separated by a comma")
    if operator in ("eq", "neq", "in", "notin"):
        wrong = [one for one in values if one not in _ENUMS.get(column, (one,))]
        if wrong:
            raise ValueError(f"must be of: {', '.join(_ENUMS[column])}; not {', '.join(wrong)}")
    if column in TIMES and operator in (*_ORDER, *_MANY):
        for one in values:
            read_time(one)
    return Filter(operator, column, values)


def read_time(text: str) -> datetime:
    """Read a time of a filter; one without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time in RFC 3339 format") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def pagination(listing: Listing, total: int, count: int, url: str, pairs: list[Pair]) -> dict[str, object]:
    """Make the CollectionMetaPagination (4.13). There is no link to a page that does not exist."""
    pages = -(-total // listing.size)
    kept = [pair for pair in pairs if pair[0] not in ("page_number", "page_size")]

    def link(page: int) -> str:
        query = urlencode([*kept, ("page_number", str(page)), ("page_size", str(listing.size))], safe="(),:")
        return f"{url}?{query}"

    links = {"first": link(1), "last": link(max(pages, 1))}
    if 1 < listing.page <= pages + 1:
        links["prev"] = link(listing.page - 1)
    if listing.page < pages:
        links["next"] = link(listing.page + 1)
    return {
        "total": total,
        "count": count,
        "perPage": listing.size,
        "currentPage": listing.page,
        "totalPages": pages,
        "links": links,
    }
