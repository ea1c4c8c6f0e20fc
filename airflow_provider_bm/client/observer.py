"""Observation of requests, without their content and without secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request that was sent, and its outcome.

    :ivar method: HTTP method
    :ivar path: ``/campaigns``, or the URL if it is not of the API; without its query
    :ivar status: HTTP status; None if there was no complete reply
    :ivar seconds: time from sending the request to the end of the reply, or to the error
    """

    method: str
    path: str
    status: int | None
    seconds: float

    @property
    def status_class(self) -> str:
        """``2xx``, ``3xx``, ``4xx``, ``5xx``, or ``no_reply``."""
        return "no_reply" if self.status is None else f"{self.status // 100}xx"

    def __str__(self) -> str:
        status = "no reply" if self.status is None else self.status
        return f"{self.method} {self.path}: {status} in {self.seconds * 1000:.0f} ms"


#: Called after each request, in the thread that sent it. Must not raise.
Observer = Callable[[Exchange], None]


def ignore(exchange: Exchange) -> None:
    """Observe nothing."""
