"""From (status, headers, body) to data, or to a typed error. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from airflow_provider_bm.campaigns.ids import check_uuid
from airflow_provider_bm.campaigns.problems import Problems
from airflow_provider_bm.client.assumptions import TOKEN_LIFETIME
from airflow_provider_bm.client.auth import Token
from airflow_provider_bm.client.retry import retry_after
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMAuthError,
    BMResponseError,
    truncated_repr,
)

Campaign = dict[str, Any]

_HINTS = {
    401: "check Client ID and Client secret of the connection; is this machine's IP address registered?",
    403: "is this machine's IP address on the API account's list, and the service one of its own?",
}
_NOT_JSON = object()
#: Another ``Date`` comes from a broken clock, and date arithmetic with it may overflow.
_PLAUSIBLE_YEARS = range(2020, 2200)
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Reply(NamedTuple):
    """What came back, and for which call (for messages; without secrets)."""

    call: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Page(NamedTuple):
    """One page of a list (4.6, 4.12, 4.13)."""

    campaigns: list[Campaign]
    number: int
    per_page: int
    total_pages: int
    #: Campaigns on all pages together; None if the server does not say.
    total: int | None


def data_of(reply: Reply, scrub: Callable[[str], str] = str) -> Any:
    """The JSON of a successful reply; None if it has no body.

    :param scrub: takes secrets out of a text, in case that a server sends one back
    :raises BMAPIError: the server refused or failed (4.10, 4.11)
    :raises BMResponseError: a redirect, a body that is not JSON, or a web page that says 404
    """
    if 200 <= reply.status < 300:
        return _json(reply, scrub) if reply.body else None
    if reply.status == 404 and _is_html(reply):
        # The API says so in JSON. A gateway's page does not mean that a campaign is gone.
        raise BMResponseError(
            f"{reply.call} was answered with HTTP 404 and a web page, which is not the API's answer: "
            f"{_excerpt(reply.body, scrub)}. If it stays so, check Platform domain and api_url of the "
            "connection.",
            reply.status,
        )
    if 300 <= reply.status < 400:
        raise BMResponseError(
            f"{reply.call} was redirected (HTTP {reply.status}) to "
            f"{truncated_repr(scrub(reply.headers.get('Location') or ''))}; redirects are not followed. "
            "Check Platform domain, api_url and token_url of the connection.",
            reply.status,
            permanent=True,
        )
    raise _error(reply, scrub)


def token_of(reply: Reply, scrub: Callable[[str], str] = str) -> Token:
    """The access token of a reply of the token endpoint (1.3).

    :raises BMAuthError: the endpoint refused the credentials
    """
    try:
        # Of a success nothing is shown: it may hold a token, whatever is wrong with the rest.
        data = data_of(reply, _hide if 200 <= reply.status < 300 else scrub)
    except BMAPIError as error:
        if error.status not in (400, 401):
            raise
        raise BMAuthError(
            status=error.status,
            call=error.call,
            code=error.code,
            message=error.message,
            description=_HINTS[401],
        ) from None
    value = data.get("access_token") if isinstance(data, dict) else None
    # The value is never shown, whatever is wrong with it. One that does not fit into a header would be
    # quoted by the HTTP library's own error.
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise BMResponseError(f"{reply.call} answered without a usable access_token", reply.status)
    try:
        lifetime = float(data.get("expires_in", TOKEN_LIFETIME))
    except (TypeError, ValueError):
        lifetime = TOKEN_LIFETIME
    return Token(value, lifetime if lifetime > 0 else TOKEN_LIFETIME)


def campaign_of(reply: Reply, uuid: str | None = None, scrub: Callable[[str], str] = str) -> Campaign:
    """The campaign of a reply (4.4).

    :param uuid: the campaign that was asked for; another one is an error
    """
    campaign = _campaign(data_of(reply, scrub), reply, scrub)
    if uuid is not None and campaign["uuid"] != uuid:
        other = campaign["uuid"]
        raise BMResponseError(f"{reply.call} answered with another campaign, {other}", reply.status)
    return campaign


def page_of(
    reply: Reply,
    scrub: Callable[[str], str] = str,
    broken: Callable[[Any, BMResponseError], None] | None = None,
) -> Page:
    """A page of the list (4.6).

    :param broken: called with each row that is no campaign, and why; None: that is an error
    """
    data = data_of(reply, scrub)
    rows = data.get("data") if isinstance(data, dict) else None
    meta = data.get("meta") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not isinstance(meta, dict):
        raise _unexpected(reply, "has no data and meta", data, scrub)
    pagination = meta.get("pagination")
    held = pagination if isinstance(pagination, dict) else {}
    number, per_page, pages = (_count(held.get(key)) for key in ("currentPage", "perPage", "totalPages"))
    if number is None or per_page is None or pages is None:
        what = "has no meta.pagination with currentPage, perPage and totalPages"
        raise _unexpected(reply, what, meta, scrub)
    campaigns = []
    for row in rows:
        try:
            campaigns.append(_campaign(row, reply, scrub))
        except BMResponseError as error:
            if broken is None:
                raise
            broken(row, error)
    return Page(campaigns, number, per_page, pages, _count(held.get("total")))


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


def _campaign(data: Any, reply: Reply, scrub: Callable[[str], str]) -> Campaign:
    if not isinstance(data, dict):
        raise _unexpected(reply, "is not a campaign", data, scrub)
    uuid = check_uuid("uuid", data.get("uuid"), Problems())
    if uuid is None:
        raise _unexpected(reply, "has no campaign uuid", data, scrub)
    if not isinstance(data.get("status"), str):
        raise _unexpected(reply, "has no campaign status", data, scrub)
    return {**data, "uuid": uuid}


def _unexpected(reply: Reply, what: str, data: Any, scrub: Callable[[str], str]) -> BMResponseError:
    # Scrubbed before it is cut, here and below: half a secret is not found any more.
    shown = _cut(scrub(repr(data)))
    return BMResponseError(f"The reply to {reply.call} {what}: {shown}", reply.status)


def _json(reply: Reply, scrub: Callable[[str], str]) -> Any:
    data = _parsed(reply.body)
    if data is not _NOT_JSON:
        return data
    raise BMResponseError(
        f"The reply to {reply.call} is not JSON (HTTP {reply.status}, "
        f"{reply.headers.get('Content-Type') or 'no content type'}): {_excerpt(reply.body, scrub)}",
        reply.status,
    )


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON  # and not raised from here: the error has all of the body in it


def _error(reply: Reply, scrub: Callable[[str], str]) -> BMAPIError:
    data = _parsed(reply.body)
    if not isinstance(data, dict):
        data = {"message": _excerpt(reply.body, scrub)}

    def text(*keys: str) -> str | None:
        value = next((data[key] for key in keys if data.get(key) not in (None, "")), None)
        return None if value is None else scrub(str(value))

    items = data.get("items")
    return BMAPIError.for_status(reply.status)(
        status=reply.status,
        call=reply.call,
        # The token endpoint answers with OAuth2's own names (RFC 6749, 5.2).
        code=text("code", "error"),
        message=text("message", "error_description") or "",
        description=text("description") or _HINTS.get(reply.status),
        items=[
            {scrub(key): scrub(str(value)) for key, value in item.items()}
            for item in (items if isinstance(items, list) else [])
            if isinstance(item, dict)
        ],
        retry_after=retry_after(reply.headers.get("Retry-After")),
    )


def _is_html(reply: Reply) -> bool:
    return reply.body.lstrip()[:1] == b"<" or "html" in reply.headers.get("Content-Type", "").lower()


def _excerpt(body: bytes, scrub: Callable[[str], str]) -> str:
    """A short piece of a body that is not what it should be; without markup, if it is HTML."""
    text = scrub(body.decode("utf-8", "replace"))[:4000]
    text = re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return truncated_repr(" ".join(text.split())) if text.strip() else "(empty)"


def _cut(text: str, longest: int = 200) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def _hide(_: str) -> str:
    return "(not shown)"
