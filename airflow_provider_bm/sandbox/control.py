"""The routes under ``/_sandbox``: the operations of a sandbox for other processes."""

from __future__ import annotations

import base64
import inspect
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.sandbox import page
from airflow_provider_bm.sandbox.access import refuse_other_sites
from airflow_provider_bm.sandbox.arguments import boolean
from airflow_provider_bm.sandbox.clock import Clock
from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.http_messages import Reply, Request, json_reply
from airflow_provider_bm.sandbox.operations import OPERATIONS, Operation, Operations
from airflow_provider_bm.sandbox.page.view import View
from airflow_provider_bm.sandbox.settings import SETTINGS

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Control:
    """Calls the operations of a sandbox: query parameters or the JSON body are their arguments."""

    def __init__(self, sandbox: Operations) -> None:
        """Control this sandbox."""
        self._sandbox = sandbox
        view = View(sandbox)
        self._routes: dict[tuple[str, str], Callable[..., Any]] = {
            (operation.method, operation.path): self._action(operation) for operation in OPERATIONS
        } | {
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._control_clock,
            ("GET", "settings"): self._settings,
            ("POST", "settings"): self._configure,
            ("GET", "page/overview"): view.overview,
            ("GET", "page/campaign"): view.campaign,
            ("GET", "page/request"): view.request,
            ("GET", "page/form"): view.form,
            ("GET", "page/connection"): view.connection,
            ("POST", "page/next"): view.advance_to_next,
            ("POST", "page/clear_used_up"): view.clear_used_up,
        }

    def _action(self, operation: Operation) -> Callable[..., Any]:
        name, key = operation.name, operation.key
        if isinstance(getattr(Operations, name), property):
            return lambda: getattr(self._sandbox, name)
        method: Callable[..., Any] = getattr(self._sandbox, name)
        if key is None:
            return method
        return lambda **arguments: {key: method(**arguments)}

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
        refuse_other_sites(request, loopback=self._sandbox.loopback)
        if self._sandbox.loopback or name == "health":
            return
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        login = base64.b64encode(f"{self._sandbox.client_id}:{self._sandbox.client_secret}".encode())
        if scheme.lower() != "basic" or not secrets.compare_digest(sent.strip().encode(), login):
            text = "Beyond loopback this needs the client id and secret, as Basic authorization."
            raise ApiError(401, text, headers={"WWW-Authenticate": 'Basic realm="bm-sandbox"'})

    def _clock(self) -> dict[str, Any]:
        clock = self._sandbox.clock
        return {"now": clock.now().isoformat(), "speed": clock.speed, "frozen": clock.frozen}

    def _control_clock(self, **wanted: Any) -> dict[str, Any]:
        control_clock(self._sandbox.clock, **wanted)
        return self._clock()

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self._sandbox, name) for name in SETTINGS}

    def _configure(self, **changes: Any) -> dict[str, Any]:
        unknown = changes.keys() - set(SETTINGS)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        self._sandbox.configure(**changes)
        return self._settings()


def control_clock(
    clock: Clock,
    *,
    freeze: bool = False,
    resume: bool = False,
    speed: float | None = None,
    set: str | None = None,  # noqa: A002 - the name in the request
    advance: float | None = None,
) -> None:
    """Apply a request to the clock."""
    if boolean("freeze", freeze):
        clock.freeze()
    if speed is not None:
        clock.speed = speed
    if set is not None:
        if not isinstance(set, str):
            raise ValueError(f"set must be a time such as '2026-01-01T06:00:00Z', not {set!r}")
        clock.set(datetime.fromisoformat(set))
    if advance is not None:
        clock.advance(advance)
    if boolean("resume", resume):
        clock.resume()


def _arguments(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    # Another site could submit a form without asking; it cannot send JSON.
    if request.content_type != "application/json":
        raise ApiError(400, "The body must be JSON: Content-Type must be application/json.")
    try:
        body = parse_json(request.body.decode())
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return body
