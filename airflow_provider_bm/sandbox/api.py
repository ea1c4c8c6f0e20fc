"""The routes of the API: the token endpoint and the six calls of the Campaign API."""

from __future__ import annotations

import re
import time
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_bm.campaigns.ids import UUID_PATTERN
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.sandbox.access import base_url
from airflow_provider_bm.sandbox.arguments import number
from airflow_provider_bm.sandbox.clock import MAX_SECONDS
from airflow_provider_bm.sandbox.errors import ApiError, invalid, item
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.http_messages import Reply, Request, json_reply
from airflow_provider_bm.sandbox.list_query import pagination, parse_list, parse_single
from airflow_provider_bm.sandbox.store import Store
from airflow_provider_bm.sandbox.validation import changed_campaign, cloned_campaign, new_campaign, new_status

API_PATH = "/news/v1"
TOKEN_PATH = "/oauth2/access-token"  # noqa: S105 - a path
_ROUTE = re.compile(rf"{API_PATH}/services/([^/]*)/campaigns(?:/([^/]*))?")
FORM = "application/x-www-form-urlencoded"
_BASIC = (
    "HTTP Basic is not supported here: send client_id and client_secret in the form-encoded body, beside "
    "grant_type=client_credentials, without an Authorization header."
)
_COLLECTION = ("GET", "POST")
_SINGLE = ("GET", "PUT", "PATCH", "DELETE")


class RateLimit:
    """A token bucket, in real time, because that is what clients wait in."""

    def __init__(self) -> None:
        """Start without a limit."""
        self.set(None)

    def set(self, per_second: float | None, retry_after: str = "1") -> None:
        """Set the limit; None removes it."""
        self.per_second = None if per_second is None else number("per_second", per_second, MAX_SECONDS)
        self.retry_after = retry_after
        self._size = 0.0 if not per_second else max(1.0, per_second)
        self._left, self._at = self._size, time.monotonic()

    def check(self) -> None:
        """Count a call.

        :raises ApiError: 429 if there are too many
        """
        if self.per_second is None:
            return
        now = time.monotonic()
        self._left = min(self._size, self._left + (now - self._at) * self.per_second)
        self._at = now
        if self._left < 1:
            raise ApiError(429, headers={"Retry-After": self.retry_after})
        self._left -= 1


class Api:
    """The API over a store. A call runs entirely under the store's lock.

    :ivar api_url: base of the links between pages, for requests without a host
    """

    api_url = ""

    def __init__(self, store: Store) -> None:
        """Serve this store."""
        self.store = store
        self.rate_limit = RateLimit()

    def handle(self, request: Request) -> Reply:
        """Answer one call."""
        try:
            if request.path == TOKEN_PATH:
                return self._token(request)
            with self.store.lock:
                return self._campaigns(request)
        except ApiError as error:
            return json_reply(error.status, error.body, error.headers)

    def _token(self, request: Request) -> Reply:
        if request.method != "POST":
            raise ApiError(405, headers={"Allow": "POST"})
        if request.headers.get("Authorization", "").lower().startswith("basic "):
            return _oauth_error(400, "invalid_request", _BASIC)
        if request.content_type != FORM:
            return _oauth_error(400, "invalid_request", "The body must be form-encoded.")
        pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        form = dict(pairs)
        if len(form) != len(pairs):
            return _oauth_error(400, "invalid_request", "A parameter occurs more than once.")
        if form.get("grant_type") != "client_credentials":
            error = "unsupported_grant_type" if "grant_type" in form else "invalid_request"
            return _oauth_error(400, error, "grant_type must be client_credentials.")
        with self.store.lock:
            lifetime = self.store.settings.token_lifetime
            credentials = form.get("client_id", ""), form.get("client_secret", "")
            token = self.store.clients.issue_token(*credentials, lifetime)
        if token is None:
            return _oauth_error(401, "invalid_client", "The client_id or client_secret is wrong.")
        reply = {"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime)}
        return json_reply(200, reply, {"Cache-Control": "no-store"})

    def _campaigns(self, request: Request) -> Reply:
        self.rate_limit.check()
        client = self._client(request)
        route = _ROUTE.fullmatch(request.path)
        if route is None:
            raise ApiError(404, "There is no such path in the API.")
        service = route[1].lower()
        if service not in self.store.services:
            raise ApiError(404, "There is no service with this UUID.")
        if service not in self.store.clients.services_of(client):
            raise ApiError(403)
        allowed = _COLLECTION if route[2] is None else _SINGLE
        if request.method not in allowed:
            raise ApiError(405, headers={"Allow": ", ".join(allowed)})
        if request.method != "GET" and request.pairs:
            raise invalid([item(name, "unknown parameter") for name, _ in request.pairs])
        if route[2] is None:
            return self._list(request, service) if request.method == "GET" else self._create(request, service)
        self.store.run_due()
        campaign = (
            self.store.services[service].get(route[2].lower()) if UUID_PATTERN.fullmatch(route[2]) else None
        )
        if campaign is None:
            raise ApiError(404, "There is no campaign with this UUID.")
        return self._single(request, campaign)

    def _client(self, request: Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        client = self.store.clients.client_of(token.strip()) if scheme.lower() == "bearer" else None
        if client is None:
            raise ApiError(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return client

    def _create(self, request: Request, service: str) -> Reply:
        body, now = _json_body(request), self.store.run_due()
        if "clone_uuid" in body:
            source = self.store.services[service].get(str(body["clone_uuid"]).lower())
            fields = cloned_campaign(
                body, source.fields if source else None, now, lists=self.store.recipients
            )
        else:
            fields = new_campaign(body, now, lists=self.store.recipients)
        status = fields.pop("status")
        return self._reply(201, self.store.add(service, fields, status))

    def _list(self, request: Request, service: str) -> Reply:
        query = parse_list(request.pairs, ignore_filters=self.store.settings.ignore_filters)
        now = self.store.run_due()
        uuids = query.uuids()
        candidates = self.store.campaigns(service)
        if uuids is not None:
            stored = self.store.services[service]
            candidates = sorted(
                (stored[uuid] for uuid in set(uuids) if uuid in stored), key=attrgetter("age")
            )
        selected = query.select(candidates)
        first = (query.page - 1) * query.size
        page = selected[first : first + query.size]
        url = f"{base_url(request, API_PATH) or self.api_url}/services/{service}/campaigns"
        pages = pagination(query, len(selected), len(page), url, request.pairs)
        data = [campaign.as_response(now, query.extras) for campaign in page]
        return json_reply(200, {"data": data, "meta": {"pagination": pages}})

    def _single(self, request: Request, campaign: Campaign) -> Reply:
        match request.method:
            case "GET":
                return self._reply(200, campaign, parse_single(request.pairs))
            case "PUT":
                fields = changed_campaign(
                    _json_body(request),
                    self.store.run_due(),
                    lists=self.store.recipients,
                    in_progress=self.store.in_progress(campaign),
                )
                status = fields.pop("status")
                self.store.replace(campaign, fields, status)
            case "PATCH":
                self._change_status(campaign, new_status(_json_body(request)))
            case _:
                self.store.delete(campaign)
                return Reply(204)
        return self._reply(200, campaign)

    def _change_status(self, campaign: Campaign, status: str) -> None:
        if campaign.status == status:
            return
        if campaign.status in ("draft", "finished"):
            raise invalid([item("status", f"a {campaign.status} campaign cannot be made {status}")])
        if status == "stopped":
            self.store.stop(campaign)
        elif self.store.is_overdue(campaign):
            raise invalid([item("status", "its time has passed: update it with a new schedule_rrule")])
        else:
            self.store.resume(campaign)

    def _reply(self, status: int, campaign: Campaign, extras: list[str] | None = None) -> Reply:
        return json_reply(status, campaign.as_response(self.store.clock.now(), extras or ()))


def _oauth_error(status: int, error: str, description: str) -> Reply:
    headers = {"Cache-Control": "no-store"}
    return json_reply(status, {"error": error, "error_description": description}, headers)


def _json_body(request: Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise ApiError(400, "The body must be JSON: Content-Type must be application/json.")
    try:
        body = parse_json(request.body.decode("utf-8"))
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return body
