"""The routes under ``/_sandbox``: the handles of :class:`.Sandbox` for other processes."""

from __future__ import annotations

import base64
import inspect
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.json_text import parse_json

from . import page
from .access import refuse_other_sites
from .clock import Clock
from .errors import ApiError
from .given import truth
from .messages import Reply, Request, json_reply
from .page.view import View

if TYPE_CHECKING:
    from .sandbox import Sandbox

Action = Callable[..., Any]
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
SETTINGS = ("ignore_filters", "execution_seconds", "token_lifetime")


class Control:
    """Calls the methods of a sandbox: query parameters or the JSON body are their arguments."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Control this sandbox."""
        self.sandbox = sandbox
        view = View(sandbox)
        self._routes: dict[tuple[str, str], Action] = {
            ("GET", "health"): self._health,
            ("GET", "campaigns"): sandbox.campaigns,
            ("POST", "campaigns"): sandbox.create,
            ("POST", "update_campaign"): sandbox.update_campaign,
            ("POST", "start_campaign"): sandbox.start_campaign,
            ("POST", "stop_campaign"): sandbox.stop_campaign,
            ("POST", "delete_campaign"): sandbox.delete_campaign,
            ("GET", "messages"): sandbox.messages,
            ("GET", "requests"): sandbox.requests,
            ("GET", "executions"): sandbox.executions,
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._steer_clock,
            ("GET", "faults"): sandbox.faults,
            ("POST", "faults"): sandbox.fault,
            ("DELETE", "faults"): sandbox.clear_faults,
            ("POST", "refuse"): sandbox.refuse,
            ("POST", "reset"): sandbox.reset,
            ("POST", "revoke_tokens"): sandbox.revoke_tokens,
            ("POST", "rate_limit"): sandbox.rate_limit,
            ("POST", "services"): self._add_service,
            ("POST", "clients"): sandbox.add_client,
            ("GET", "recipient_lists"): lambda: sandbox.recipient_lists,
            ("POST", "recipient_lists"): self._add_recipient_list,
            ("GET", "settings"): self._settings,
            ("POST", "settings"): self._set,
            ("GET", "page/overview"): view.overview,
            ("GET", "page/campaign"): view.campaign,
            ("GET", "page/request"): view.request,
            ("GET", "page/connection"): view.connection,
            ("POST", "page/next"): view.go_to_next,
            ("POST", "page/clear_used_up"): view.clear_used_up,
        }

    def handle(self, request: Request) -> Reply:
        """Answer one call."""
        try:
            name = request.path.strip("/").partition("/")[2]
            self._check_access(request, name)
            if page.serves(request.path):
                return page.serve(request)
            action = self._routes.get((request.method, name))
            if action is None:
                allowed = [method for method, known in self._routes if known == name]
                if allowed:
                    raise ApiError(405, headers={"Allow": ", ".join(allowed)})
                known_names = ", ".join(sorted({known for _, known in self._routes}))
                raise ApiError(404, f"Under /_sandbox/ there are: {known_names}")
            arguments = dict(request.pairs) if request.method == "GET" else _arguments(request)
            try:
                inspect.signature(action).bind(**arguments)
                result = action(**arguments)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise ApiError(400, str(error)) from error
        except ApiError as error:
            return json_reply(error.status, error.body, {**_HEADERS, **error.headers})
        return Reply(204) if result is None else json_reply(200, result, _HEADERS)

    def _check_access(self, request: Request, name: str) -> None:
        refuse_other_sites(request, loopback=self.sandbox.loopback)
        if self.sandbox.loopback or name == "health":
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        wanted = base64.b64encode(f"{self.sandbox.client_id}:{self.sandbox.client_secret}".encode())
        if scheme.lower() != "basic" or not secrets.compare_digest(given.strip().encode(), wanted):
            text = "Beyond loopback this needs the client id and secret, as Basic authorization."
            raise ApiError(401, text, headers={"WWW-Authenticate": 'Basic realm="bm-sandbox"'})

    def _health(self) -> dict[str, Any]:
        sandbox = self.sandbox
        return {
            "status": "ok",
            "api_url": sandbox.api_url,
            "token_url": sandbox.token_url,
            "service_uuid": sandbox.service_uuid,
            "client_id": sandbox.client_id,
            "recipient_lists": sandbox.recipient_lists,
        }

    def _clock(self) -> dict[str, Any]:
        clock = self.sandbox.clock
        return {"now": clock.now().isoformat(), "speed": clock.speed, "frozen": clock.frozen}

    def _steer_clock(self, **wanted: Any) -> dict[str, Any]:
        steer_clock(self.sandbox.clock, **wanted)
        return self._clock()

    def _add_service(self, service_uuid: str | None = None) -> dict[str, str]:
        return {"service_uuid": self.sandbox.add_service(service_uuid)}

    def _add_recipient_list(self, name: str, contacts: list[dict[str, str]]) -> dict[str, str]:
        return {"uuid": self.sandbox.add_recipient_list(name, contacts)}

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self.sandbox, name) for name in SETTINGS}

    def _set(self, **wanted: Any) -> dict[str, Any]:
        unknown = wanted.keys() - set(SETTINGS)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        for name, value in wanted.items():
            setattr(self.sandbox, name, value)
        return self._settings()


def steer_clock(
    clock: Clock,
    *,
    freeze: bool = False,
    resume: bool = False,
    speed: float | None = None,
    set: str | None = None,  # noqa: A002 - the word of the request
    advance: float | None = None,
) -> None:
    """Do to the clock what a request asks for."""
    if truth("freeze", freeze):
        clock.freeze()
    if speed is not None:
        clock.speed = speed
    if set is not None:
        if not isinstance(set, str):
            raise ValueError(f"set must be a time such as '2026-01-01T06:00:00Z', not {set!r}")
        clock.set(datetime.fromisoformat(set))
    if advance is not None:
        clock.advance(advance)
    if truth("resume", resume):
        clock.resume()


def _arguments(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    # A form of another site could be sent without asking; JSON cannot.
    if request.content_type != "application/json":
        raise ApiError(400, "The body must be JSON: Content-Type must be application/json.")
    try:
        body = parse_json(request.body.decode())
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return body
