"""Conversion of responses to data, or to typed errors. Does no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from airflow_provider_bm.campaigns.ids import check_uuid
from airflow_provider_bm.campaigns.problems import Problems
from airflow_provider_bm.client.assumptions import (
    NOT_CARRIED_OUT_STATUSES,
    TOKEN_LIFETIME,
    UNKNOWN_OUTCOME_STATUSES,
)
from airflow_provider_bm.client.auth import Token
from airflow_provider_bm.client.retry import retry_after
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMAuthError,
    BMResponseError,
    RetryClass,
    truncate,
    truncated_repr,
)

Campaign = dict[str, Any]

_HINTS = {
    401: "check Client ID and Client secret of the connection; is this machine's IP address registered?",
    403: "is this machine's IP address registered for the API account, and may the account use the service?",
}
_NOT_JSON = object()
#: Another ``Date`` comes from a broken clock, and date arithmetic with it may overflow.
_PLAUSIBLE_YEARS = range(2020, 2200)
#: Maximum number of error items in a message.
_MAX_ITEMS = 50
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Response(NamedTuple):
    """The server's response, and the call (for messages, without secrets)."""

    call: str
    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Page(NamedTuple):
    """One page of a list (4.6, 4.12, 4.13).

    :ivar number: of this page, from 1
    :ivar total: campaigns on all pages together; None if the server does not say
    :ivar contradicted: UUIDs of campaigns that occur twice in the list, with different content
    """

    campaigns: list[Campaign]
    number: int
    per_page: int
    total_pages: int
    total: int | None
    contradicted: frozenset[str] = frozenset()


def data_of(response: Response, scrub: Callable[[str], str] = str) -> Any:
    """The JSON of a successful response; None if it has no body.

    :param scrub: removes secrets from a text, in case the server sends one back
    :raises BMAPIError: the server refused or failed (4.10, 4.11)
    :raises BMResponseError: a redirect, a body that is not JSON, or a web page with status 404
    """
    if 200 <= response.status < 300:
        return _json(response, scrub) if response.body else None
    if response.status == 404 and _is_html(response):
        # The API answers in JSON. A gateway's page does not mean that a campaign does not exist.
        raise BMResponseError(
            f"The response to {response.call} of {response.host} is HTTP 404 with a web page, which is not "
            f"the API's: {_excerpt(response.body, scrub)}. If this persists, check Platform domain and "
            "api_url of the connection.",
            response.status,
        )
    if 300 <= response.status < 400:
        raise BMResponseError(
            f"{response.call} was redirected (HTTP {response.status}) by {response.host} to "
            f"{truncated_repr(scrub(response.headers.get('Location') or ''))}; redirects are not followed. "
            "Check Platform domain, api_url and token_url of the connection.",
            response.status,
            permanent=True,
        )
    raise _error(response, scrub)


def token_of(response: Response, scrub: Callable[[str], str] = str) -> Token:
    """The access token of a response of the token endpoint (1.3).

    :raises BMAuthError: the endpoint refused the credentials
    """
    try:
        # A successful response is never shown: it may contain a token, even if the rest is invalid.
        data = data_of(response, _hide if 200 <= response.status < 300 else scrub)
    except BMAPIError as error:
        if error.status not in (400, 401):
            raise
        refusal = error
    else:
        return _token(response, data)
    raise BMAuthError(
        status=refusal.status,
        call=refusal.call,
        code=refusal.code,
        message=refusal.message,
        description=_HINTS[401],
    )


def _token(response: Response, data: Any) -> Token:
    value = data.get("access_token") if isinstance(data, dict) else None
    # The value is never shown, even if it is invalid. One that does not fit into a header would be
    # quoted by the HTTP library's own error.
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        value = data = None  # not even in a frame of the error
        raise BMResponseError(f"The response to {response.call} has no usable access_token", response.status)
    try:
        lifetime = float(data.get("expires_in", TOKEN_LIFETIME))
    except (TypeError, ValueError):
        lifetime = TOKEN_LIFETIME
    return Token(value, lifetime if lifetime > 0 else TOKEN_LIFETIME)


def campaign_of(response: Response, uuid: str | None = None, scrub: Callable[[str], str] = str) -> Campaign:
    """The campaign of a response (4.4).

    :param uuid: the requested campaign; a different campaign is an error
    """
    campaign = _campaign(data_of(response, scrub), response, scrub)
    if uuid is not None and campaign["uuid"] != uuid:
        other = campaign["uuid"]
        raise BMResponseError(f"{response.call} was answered with another campaign, {other}", response.status)
    return campaign


def page_of(
    response: Response,
    scrub: Callable[[str], str] = str,
    broken: Callable[[Any, BMResponseError], None] | None = None,
) -> Page:
    """A page of the list (4.6).

    :param broken: called with each row that is not a campaign, and the error; None: that is an error
    """
    data = data_of(response, scrub)
    rows = data.get("data") if isinstance(data, dict) else None
    meta = data.get("meta") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not isinstance(meta, dict):
        raise _unexpected(response, "has no data and meta", data, scrub)
    pagination = meta.get("pagination")
    counts = pagination if isinstance(pagination, dict) else {}
    number, per_page, pages = (_count(counts.get(key)) for key in ("currentPage", "perPage", "totalPages"))
    if number is None or per_page is None or pages is None:
        what = "has no meta.pagination with currentPage, perPage and totalPages"
        raise _unexpected(response, what, meta, scrub)
    campaigns = []
    for row in rows:
        try:
            campaigns.append(_campaign(row, response, scrub))
        except BMResponseError as error:
            if broken is None:
                raise
            broken(row, error)
    return Page(campaigns, number, per_page, pages, _count(counts.get("total")))


def server_time(date: str | None) -> datetime | None:
    """The time of a ``Date`` header, in UTC and whole seconds; None if it is missing or implausible."""
    try:
        moment = parsedate_to_datetime(date or "")
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in _PLAUSIBLE_YEARS else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _campaign(data: Any, response: Response, scrub: Callable[[str], str]) -> Campaign:
    if not isinstance(data, dict):
        raise _unexpected(response, "is not a campaign", data, scrub)
    uuid = check_uuid("uuid", data.get("uuid"), Problems())
    if uuid is None:
        raise _unexpected(response, "has no campaign uuid", data, scrub)
    if not isinstance(data.get("status"), str):
        raise _unexpected(response, "has no campaign status", data, scrub)
    return {**data, "uuid": uuid}


def _unexpected(response: Response, what: str, data: Any, scrub: Callable[[str], str]) -> BMResponseError:
    # Scrubbed before it is cut, here and below: part of a secret would not be found.
    shown = truncate(scrub(repr(data)), 200)
    return BMResponseError(f"The response to {response.call} {what}: {shown}", response.status)


def _json(response: Response, scrub: Callable[[str], str]) -> Any:
    data = _parsed(response.body)
    if data is not _NOT_JSON:
        return data
    raise BMResponseError(
        f"The response to {response.call} of {response.host} is not JSON (HTTP {response.status}, "
        f"{response.headers.get('Content-Type') or 'no content type'}): {_excerpt(response.body, scrub)}",
        response.status,
    )


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON  # not raised here: the error contains the whole body


def _error(response: Response, scrub: Callable[[str], str]) -> BMAPIError:
    data = _parsed(response.body)
    # Forms of other servers: {"error": {"code": …, "message": …}}
    if isinstance(data, dict) and isinstance(data.get("error"), dict):
        data = data["error"]
    if not isinstance(data, dict):
        data = {}

    def text(*keys: str) -> str | None:
        value = next((data[key] for key in keys if data.get(key) not in (None, "")), None)
        return None if value is None else truncate(scrub(_as_text(value)), 1000)

    # Besides the API's own (4.10): OAuth2's (RFC 6749, 5.2), problem details' (RFC 9457), and gateways'.
    message = text("message", "error_description", "detail", "Message", "title")
    items = [{scrub(name): scrub(text) for name, text in item.items()} for item in _items(data)]
    if message is None and not items:
        message = _excerpt(response.body, scrub)
    return BMAPIError.for_status(response.status)(
        status=response.status,
        call=response.call,
        code=text("code", "error"),
        message=message or "",
        description=text("description") or _HINTS.get(response.status),
        items=items,
        retry_after=retry_after(
            response.headers.get("Retry-After"), server_time(response.headers.get("Date"))
        ),
        retry_class=_retry_class(response.status),
    )


def _retry_class(status: int) -> RetryClass:
    if status in UNKNOWN_OUTCOME_STATUSES:
        return RetryClass.UNKNOWN
    return RetryClass.REPEAT if status in NOT_CARRIED_OUT_STATUSES else RetryClass.REFUSED


def _items(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """The error items (4.11), or what other servers send: ``errors`` as a list, or a map by field."""
    items = data.get("items")
    if not isinstance(items, list) or not any(isinstance(item, dict) for item in items):
        items = data.get("errors")
    if isinstance(items, dict):
        return [{"name": str(name), "message": _as_text(value)} for name, value in items.items()][:_MAX_ITEMS]
    found = []
    for item in (items if isinstance(items, list) else [])[:_MAX_ITEMS]:
        if isinstance(item, dict):
            named = {str(key): _as_text(value) for key, value in item.items()}
            if "message" not in named:  # not the API's form
                reason = next((named[key] for key in ("detail", "title", "Message") if key in named), "")
                named["message"] = reason or _as_text(item)
            found.append({"name": "error", **named})
        else:
            found.append({"name": "error", "message": _as_text(item)})
    return found


def _as_text(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    return str(value)


def _is_html(response: Response) -> bool:
    return response.body.lstrip()[:1] == b"<" or "html" in response.headers.get("Content-Type", "").lower()


def _excerpt(body: bytes, scrub: Callable[[str], str]) -> str:
    """A short excerpt of an unexpected body; without markup if it is HTML."""
    text = scrub(body.decode("utf-8", "replace"))[:4000]
    text = re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return truncated_repr(" ".join(text.split())) if text.strip() else "(empty)"


def _hide(_: str) -> str:
    return "(not shown)"
