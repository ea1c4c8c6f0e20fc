"""A stub of the API with prepared responses and recorded requests, and the hook's calls as parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
import requests_mock
from urllib3.exceptions import IncompleteRead, MaxRetryError, NewConnectionError, ProtocolError

from airflow_provider_bm.hooks import BMHook

SECRET = "hush hush/very+secret"
API = "https://api.example.com/news/v1"
TOKEN_URL = "https://accounts.example.com/oauth2/access-token"
SERVICE = "0b2d6c1e-7f0a-4c57-9a55-3d3c54a1d0a1"
UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
OTHER = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
LIST = f"{API}/services/{SERVICE}/campaigns"
ONE = f"{LIST}/{UUID}"
FUTURE = "2099-05-01 17:05:00"

#: The required fields of a campaign.
GIVEN = {
    "name": "Storm",
    "sending_type": "sms",
    "template": "Hello {first_name}",
    "sender": "+41587000000",
    "recipient_lists": OTHER,
}


def connection(**changes: Any) -> str:
    """Value of AIRFLOW_CONN_BM_DEFAULT; keyword arguments are extras."""
    fields = {
        "conn_type": "bm",
        "host": "example.com",
        "login": "client",
        "password": SECRET,
        "schema": SERVICE,
        "extra": changes,
    }
    return json.dumps(fields)


def campaign(uuid: str = UUID, **changes: Any) -> dict[str, Any]:
    """A campaign as the server returns it."""
    return (
        GIVEN
        | {"uuid": uuid, "status": "active", "schedule_type": "once", "schedule_rrule": FUTURE}
        | {"query_type": "all", "created_dt": "2026-01-01T00:00:00+00:00", "next_dt": None}
        | changes
    )


def writable(**changes: Any) -> dict[str, Any]:
    """The same campaign, as a PUT sends it."""
    read_only = ("uuid", "created_dt", "next_dt")
    return {name: value for name, value in campaign(**changes).items() if name not in read_only}


def page(*rows: dict[str, Any], number: int = 1, pages: int = 1, per_page: int = 100) -> dict[str, Any]:
    """The response to a request for one page of the list."""
    numbers = {"total": len(rows), "count": len(rows), "perPage": per_page}
    return {
        "data": list(rows),
        "meta": {"pagination": numbers | {"currentPage": number, "totalPages": pages, "links": {}}},
    }


def error_body(message: str = "Invalid request") -> dict[str, Any]:
    items = [{"name": "template", "message": "is too long", "description": "160 at most"}]
    return {"code": "invalid_request", "message": message, "items": items}


class HttpStub:
    """The network of a test: prepared responses and recorded requests."""

    def __init__(self, mock: requests_mock.Mocker) -> None:
        self.mock = mock
        self.issued = 0
        self.mock.register_uri("POST", TOKEN_URL, json=self._token)

    def _token(self, *_: Any) -> dict[str, Any]:
        self.issued += 1
        return {
            "access_token": f"bm-token-number-{self.issued}",
            "token_type": "Bearer",
            "expires_in": 604800,
        }

    def answer(self, method: str, url: str, *replies: dict[str, Any]) -> None:
        """Return these responses in turn, and repeat the last one indefinitely."""
        self.mock.register_uri(method, url, list(replies))

    @property
    def token_requests(self) -> list[Any]:
        return [request for request in self.mock.request_history if request.url == TOKEN_URL]

    @property
    def requests(self) -> list[Any]:
        """All requests except those for a token."""
        return [request for request in self.mock.request_history if request.url != TOKEN_URL]

    def sent(self, method: str | None = None) -> list[tuple[str, str]]:
        return [
            (request.method, request.url) for request in self.requests if method in (None, request.method)
        ]

    def body(self, index: int = -1) -> Any:
        return self.requests[index].json()


@dataclass(frozen=True)
class Call:
    """A call of the hook, and the one of its requests that tests let fail.

    :ivar before: the campaign that the hook reads before it writes
    :ivar once: it can make messages go out
    """

    do: Callable[[BMHook], Any]
    method: str
    url: str
    ok: dict[str, Any]
    before: dict[str, Any] | None = None
    once: bool = False

    def prepare(self, http_stub: HttpStub, *replies: dict[str, Any]) -> None:
        """Prepare responses to that request; reads before it succeed."""
        if self.before is not None:
            http_stub.answer("GET", ONE, {"json": self.before})
        http_stub.answer(self.method, self.url, *replies)


_ACTIVE, _DRAFT, _STOPPED = ({"json": campaign(status=status)} for status in ("active", "draft", "stopped"))
_NEW = {"status_code": 201, "json": campaign()}

CALLS = {
    "list": Call(lambda hook: list(hook.list_campaigns()), "GET", LIST, {"json": page(campaign())}),
    "get": Call(lambda hook: hook.get_campaign(UUID), "GET", ONE, _ACTIVE),
    "delete": Call(lambda hook: hook.delete_campaign(UUID), "DELETE", ONE, {"status_code": 204}),
    "stop": Call(lambda hook: hook.set_campaign_status(UUID, "stopped"), "PATCH", ONE, _STOPPED, campaign()),
    "update a draft": Call(
        lambda hook: hook.update_campaign(UUID, {"name": "Gale"}),
        "PUT",
        ONE,
        _DRAFT,
        campaign(status="draft"),
    ),
    "replace by a draft": Call(
        lambda hook: hook.update_campaign(UUID, writable(status="draft"), replace=True), "PUT", ONE, _DRAFT
    ),
    "create": Call(lambda hook: hook.create_campaign(GIVEN), "POST", LIST, _NEW, once=True),
    "create a draft": Call(
        lambda hook: hook.create_campaign(GIVEN | {"status": "draft"}), "POST", LIST, _NEW, once=True
    ),
    "clone": Call(lambda hook: hook.clone_campaign(OTHER, name="Storm"), "POST", LIST, _NEW, once=True),
    "update an active one": Call(
        lambda hook: hook.update_campaign(UUID, {"template": "Hi"}),
        "PUT",
        ONE,
        _ACTIVE,
        campaign(),
        once=True,
    ),
    "replace by an active one": Call(
        lambda hook: hook.update_campaign(UUID, writable(), replace=True), "PUT", ONE, _ACTIVE, once=True
    ),
    "activate a draft": Call(
        lambda hook: hook.set_campaign_status(UUID, "active"),
        "PUT",
        ONE,
        _ACTIVE,
        campaign(status="draft"),
        once=True,
    ),
    "resume": Call(
        lambda hook: hook.set_campaign_status(UUID, "active"),
        "PATCH",
        ONE,
        _ACTIVE,
        campaign(status="stopped"),
        once=True,
    ),
}

_HTML = {"headers": {"Content-Type": "text/html"}, "text": "<html><h1>Bad <b>Gateway</b></h1></html>"}
NEVER_LEFT = {
    "connect time-out": {"exc": requests.ConnectTimeout},
    "connection refused": {
        "exc": requests.ConnectionError(
            MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
        )
    },
}
NO_REPLY = {
    "time-out": {"exc": requests.ReadTimeout},
    "reset": {"exc": requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError()))},
    "cut-off body": {"exc": requests.exceptions.ChunkedEncodingError(IncompleteRead(3, 9))},
}
BAD_REPLY = {
    "HTML": {"status_code": 200, **_HTML},
    "cut-off JSON": {"text": '{"uuid": "1592'},
    "empty": {"text": ""},
    "an array": {"json": [1]},
    "no uuid": {"json": {"status": "active"}},
    "uuid is none": {"json": {"uuid": "7", "status": "active"}},
    "no status": {"json": {"uuid": UUID}},
    "other campaign": {"json": campaign(OTHER)},
}
FAILED = {
    status: {"status_code": status, "json": error_body()} for status in (408, 500, 502, 503, 504, 520)
} | {"HTML 502": {"status_code": 502, **_HTML}}
#: Responses after which the request was certainly not processed.
REFUSED = {
    status: {"status_code": status, "json": error_body()} for status in (400, 403, 404, 405, 409, 422, 429)
}
