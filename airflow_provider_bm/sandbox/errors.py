"""The API's error replies (4.10, 4.11)."""

from __future__ import annotations

from typing import Any

CODES = {
    400: ("bad_request", "The request is invalid."),
    401: ("unauthorized", "The access token is missing, expired or revoked."),
    403: ("forbidden", "The access token does not give access to this service."),
    404: ("not_found", "The resource was not found."),
    405: ("method_not_allowed", "The method is not allowed here."),
    408: ("request_timeout", "The request took too long."),
    409: ("conflict", "The request is in conflict with the resource's state."),
    411: ("length_required", "The request needs a Content-Length."),
    413: ("payload_too_large", "The request body is too large."),
    429: ("too_many_requests", "Too many requests: slow down."),
    500: ("internal_error", "The server failed."),
    501: ("not_implemented", "The server does not know this method."),
    502: ("bad_gateway", "The gateway received an invalid response."),
    503: ("service_unavailable", "The service is overloaded."),
    504: ("gateway_timeout", "The gateway received no response in time."),
}


def item(name: str, message: str, description: str | None = None) -> dict[str, str]:
    """Build an ErrorItem (4.11)."""
    built = {"name": name, "message": message}
    if description is not None:
        built["description"] = description
    return built


def error_body(
    status: int,
    message: str | None = None,
    *,
    description: str | None = None,
    items: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Build an Error (4.10) for an HTTP status."""
    code, usual = CODES.get(status, (f"error_{status}", f"The request ended with status {status}."))
    body: dict[str, Any] = {"code": code, "message": message or usual}
    if description is not None:
        body["description"] = description
    if items:
        body["items"] = items
    return body


class ApiError(Exception):
    """An error that ends a call with an error reply."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        items: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
        description: str | None = None,
    ) -> None:
        """Build the body of the reply."""
        self.status = status
        self.body = error_body(status, message, description=description, items=items)
        self.headers = headers or {}
        super().__init__(self.body["message"])


def invalid(items: list[dict[str, str]]) -> ApiError:
    """Build the 400 that lists every problem of a request."""
    return ApiError(400, "The request is invalid: see items.", items=items)
