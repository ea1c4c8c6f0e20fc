"""``check --contract``: reads from BM, and compares the replies with what this provider assumes.

It only sends GET. Each comparison has the name of the assumption: a constant of
:mod:`airflow_provider_bm.client.assumptions`, or a line of ``docs/api-assumptions.md``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from airflow_provider_bm.campaigns.constants import (
    OPTIONAL_FIELDS,
    REQUIRED_FIELDS,
    SCHEDULE_TYPES,
    SENDING_TYPES,
    STATUSES,
)
from airflow_provider_bm.campaigns.ids import parse_uuid
from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.client import assumptions
from airflow_provider_bm.exceptions import BMError, truncated_repr

if TYPE_CHECKING:
    import requests

    from airflow_provider_bm.client import BMClient

#: Assumptions that reading cannot test, and why.
NOT_TESTED: Final = {
    "TOKEN_LIFETIME": "used only if the token's response does not contain its lifetime",
    "UNKNOWN_OUTCOME_STATUSES": "the server would have to fail",
    "NOT_CARRIED_OUT_STATUSES": "the server would have to be overloaded",
    "TOKEN_REJECTED_STATUS": "a token would have to expire",
    "CREATED_DT_TOLERANCE": "a campaign would have to be created",
    "CREATED_DT_RESOLUTION": "campaigns would have to be created",
    "MIN_EXECUTION_INTERVAL": "campaigns would have to be executed",
}
_PAGINATION: Final = ("total", "count", "perPage", "currentPage", "totalPages")

Params = Mapping[str, str | int]


class MismatchError(Exception):
    """An assumption does not hold."""


class UntestableError(Exception):
    """An assumption cannot be tested with what is on the service now."""


class Api:
    """Reads from BM, without the client's own checks of replies."""

    def __init__(self, client: BMClient) -> None:
        self.client = client

    def get(self, path: str = "", params: Params | None = None) -> requests.Response:
        """Send one GET to the list of campaigns, or below it."""
        try:
            response = self.client.session.get(f"{self.client.list_url}{path}", params=dict(params or {}))
        except (BMError, OSError) as error:
            raise UntestableError(f"no complete reply: {error}") from None
        if response.status_code == 429 or response.status_code >= 500:
            raise UntestableError(f"HTTP {response.status_code}")
        return response

    def page(self, params: Params | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the campaigns and the pagination of one page of the list."""
        query = ", ".join(f"{key}={value}" for key, value in (params or {}).items()) or "no parameters"
        response = self.get(params=params)
        if response.status_code != 200:
            raise MismatchError(f"a list with {query} was refused with HTTP {response.status_code}")
        try:
            content = response.json()
            rows, pagination = content["data"], content["meta"]["pagination"]
            numbers = {name: pagination[name] for name in _PAGINATION}
        except (ValueError, KeyError, TypeError):
            raise MismatchError("a list is not an object with data and meta.pagination") from None
        wrong = [name for name, value in numbers.items() if type(value) is not int]
        if wrong or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise MismatchError(
                f"a list has another form: {', '.join(wrong) or 'data is not a list of objects'}"
            )
        return rows, pagination

    @cached_property
    def campaigns(self) -> list[dict[str, Any]]:
        """The first page of campaigns, without parameters but its size."""
        return self.page({"page_size": assumptions.PAGE_SIZE})[0]

    def need(self, number: int) -> list[dict[str, Any]]:
        """Return the first page, if it has enough campaigns for a comparison."""
        if len(self.campaigns) < number:
            raise UntestableError(f"the service has {len(self.campaigns)} campaigns, {number} are needed")
        return self.campaigns


def compare(client: BMClient) -> list[tuple[str, str, str]]:
    """Compare BM with the assumptions.

    :return: for each, its name, ``ok``, ``FAILED`` or ``skipped``, and why
    """
    api, findings = Api(client), []
    for name, check in CHECKS.items():
        try:
            result = "ok", check(api)
        except MismatchError as error:
            result = "FAILED", f"this assumption does not hold: {error}"
        except UntestableError as error:
            result = "skipped", f"could not be tested: {error}"
        findings.append((name, *result))
    return [*findings, *((name, "skipped", f"not tested: {why}") for name, why in _not_tested())]


def _not_tested() -> list[tuple[str, str]]:
    return [(name, why) for name, why in NOT_TESTED.items() if hasattr(assumptions, name)]


def _lists(api: Api) -> str:
    _, pagination = api.page({"page_size": 1})
    return f"data and meta.pagination; {pagination['total']} campaigns"


def _fields(api: Api) -> str:
    for row in api.need(1):
        uuid = row.get("uuid")
        try:
            parse_uuid(str(uuid))
        except BMError:
            raise MismatchError(f"uuid is {truncated_repr(uuid)}") from None
        missing = [name for name in (*REQUIRED_FIELDS, "created_dt") if name not in row]
        if missing:
            raise MismatchError(f"campaign {uuid} has no {', '.join(missing)}")
        choices = {"status": STATUSES, "sending_type": SENDING_TYPES, "schedule_type": SCHEDULE_TYPES}
        for name, known in choices.items():
            if row[name] not in known:
                raise MismatchError(
                    f"campaign {uuid} has {name} {truncated_repr(row[name])}, which is unknown"
                )
    return f"{len(api.campaigns)} campaigns have the documented fields and values"


def _times(api: Api) -> str:
    for row in api.need(1):
        for name in ("created_dt", "last_dt", "next_dt"):
            value = row.get(name)
            if value in (None, "") and name != "created_dt":
                continue
            try:
                read_time(str(value))
            except ValueError as error:
                raise MismatchError(
                    f"{name} of campaign {row['uuid']} is {truncated_repr(value)}: {error}"
                ) from None
    return "times are in the format of RFC 3339, with an offset"


def _page_size(api: Api) -> str:
    rows, pagination = api.page({"page_size": assumptions.PAGE_SIZE})
    if len(rows) > pagination["perPage"] or pagination["count"] != len(rows):
        raise MismatchError(
            f"a page has {len(rows)} campaigns, with count {pagination['count']} and perPage "
            f"{pagination['perPage']}"
        )
    return f"{assumptions.PAGE_SIZE} rows may be requested; perPage is {pagination['perPage']}"


def _pages(api: Api) -> str:
    api.need(2)
    pages = [api.page({"page_size": 1, "page_number": number, "sort": "created_dt"}) for number in (1, 2)]
    numbers = [pagination["currentPage"] for _, pagination in pages]
    if numbers != [1, 2] or any(len(rows) != 1 for rows, _ in pages):
        raise MismatchError(
            f"pages 1 and 2, of one row each, are {numbers}, with {[len(each[0]) for each in pages]}"
        )
    if pages[0][0][0].get("uuid") == pages[1][0][0].get("uuid"):
        raise MismatchError("page 2 repeats the campaign of page 1")
    return "page_number counts from 1"


def _value_separator(api: Api) -> str:
    api.need(1)
    separator = assumptions.FILTER_VALUE_SEPARATOR
    _, everything = api.page({"page_size": 1})
    _, filtered = api.page({"page_size": 1, "in(status)": separator.join(STATUSES)})
    if filtered["total"] != everything["total"]:
        raise MismatchError(
            f"in(status) with all statuses, separated by {separator!r}, finds {filtered['total']} of "
            f"{everything['total']} campaigns"
        )
    status = api.campaigns[0]["status"]
    others = [each for each in STATUSES if each != status]
    rows, _ = api.page({"in(status)": separator.join(others)})
    if any(row.get("status") == status for row in rows):
        raise MismatchError(f"in(status)={separator.join(others)} also finds campaigns that are {status}")
    return f"values of a filter are separated by {separator!r}"


def _without_value(api: Api) -> str:
    api.need(1)
    value = assumptions.FILTER_WITHOUT_VALUE
    rows, _ = api.page({"isnull(last_dt)": value})
    executed = [row for row in rows if row.get("last_dt")]
    if executed:
        raise MismatchError(f"isnull(last_dt)={value} also finds campaigns that have a last_dt")
    if not rows and any(not row.get("last_dt") for row in api.campaigns):
        raise MismatchError(f"isnull(last_dt)={value} does not find the campaigns without a last_dt")
    return f"an operator without a value takes {value!r}"


def _sort(api: Api) -> str:
    api.need(2)
    rows, _ = api.page({"sort": assumptions.SORT_SEPARATOR.join(("-created_dt", "name"))})
    times = [_moment(row) for row in rows]
    if len(set(times)) < 2:
        raise UntestableError("all campaigns were created at the same time")
    if times != sorted(times, reverse=True):
        raise MismatchError("sort=-created_dt,name does not list the newest campaign first")
    return f"columns are separated by {assumptions.SORT_SEPARATOR!r}; '-' is descending"


def _moment(row: Mapping[str, Any]) -> datetime:
    try:
        return read_time(str(row.get("created_dt")))
    except ValueError:
        raise UntestableError("created_dt is not a time") from None


def _optional_fields(api: Api) -> str:
    uuid = api.need(1)[0]["uuid"]
    response = api.get(f"/{uuid}", {"fields": assumptions.FIELDS_SEPARATOR.join(OPTIONAL_FIELDS)})
    if response.status_code != 200:
        raise MismatchError(f"fields=tasks,messages was refused with HTTP {response.status_code}")
    missing = [name for name in OPTIONAL_FIELDS if name not in _object(response)]
    if missing:
        raise MismatchError(f"a campaign with fields=tasks,messages has no {' and no '.join(missing)}")
    return f"names are separated by {assumptions.FIELDS_SEPARATOR!r}"


def _object(response: requests.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        raise MismatchError(f"HTTP {response.status_code} without JSON") from None
    if not isinstance(content, dict):
        raise MismatchError(f"HTTP {response.status_code} with JSON that is not an object")
    return content


def _one_campaign(api: Api) -> str:
    uuid = api.need(1)[0]["uuid"]
    response = api.get(f"/{uuid}")
    if response.status_code != 200 or _object(response).get("uuid") != uuid:
        raise MismatchError(f"GET of campaign {uuid} gives HTTP {response.status_code} without that campaign")
    return "a campaign is found by its UUID"


def _search_by_name(api: Api) -> str:
    api.need(1)
    key = f"{secrets.randbelow(10**16):016}"
    _, pagination = api.page({"contains(name)": key})
    if pagination["total"]:
        raise MismatchError(
            "contains(name) is ignored: a search by key then pages through the newest campaigns, and fails "
            "if there are too many"
        )
    return "contains(name) filters: a task finds the campaign of an earlier try with one request"


def _not_found(api: Api) -> str:
    response = api.get(f"/{uuid4()}")
    if response.status_code != 404:
        raise MismatchError(f"GET of an unknown campaign gives HTTP {response.status_code}, not 404")
    _object(response)
    return "an unknown campaign is a 404 with JSON"


def _date(api: Api) -> str:
    api.get(params={"page_size": 1})
    if api.client.server_now() is None:
        raise MismatchError(
            "no plausible header Date: a search for an earlier try always takes its full time"
        )
    return "replies contain the server's time"


#: Each assumption, and how it is tested.
CHECKS: Final[dict[str, Callable[[Api], str]]] = {
    "Lists": _lists,
    "Fields": _fields,
    "Times": _times,
    "PAGE_SIZE": _page_size,
    "Pages": _pages,
    "FILTER_VALUE_SEPARATOR": _value_separator,
    "FILTER_WITHOUT_VALUE": _without_value,
    "SORT_SEPARATOR": _sort,
    "FIELDS_SEPARATOR": _optional_fields,
    "One campaign": _one_campaign,
    "Search by name": _search_by_name,
    "Not found": _not_found,
    "Date": _date,
}
