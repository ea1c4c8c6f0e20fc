"""Restricts which servers the clients of this process may call, so that no test reaches a real BM.

Only the pytest plugin uses it. Processes that a test starts inherit the restriction by an environment
variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.exceptions import BMHeldError

#: Scheme, host and port.
Origin = tuple[str, str, int | None]
#: What this process may call: the URL of a server, or :data:`LOOPBACK`. Not set: everything.
VARIABLE: Final = "AIRFLOW_PROVIDER_BM_ALLOW_ONLY"
LOOPBACK: Final = "loopback"


def origin(url: str | None) -> Origin:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url or "")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


class OutboundGuard:
    """Refuses requests to servers that are not allowed.

    :param allows: whether requests may go to an origin
    :ivar refused: the message of each refused request
    """

    def __init__(self, allows: Callable[[Origin], bool]) -> None:
        self._allows = allows
        self.refused: list[str] = []

    def check(self, method: str, url: str, conn_id: str | None) -> None:
        """Raise :class:`.BMHeldError` if a request is not allowed."""
        if self._allows(origin(url)):
            return
        refusal = f"{method} {url.partition('?')[0]} was not sent: a test may only call its sandbox."
        if conn_id is not None:
            refusal += f" Point the connection {conn_id!r} to it with bm_connection({conn_id!r})."
        self.refused.append(refusal)
        raise BMHeldError(refusal)


#: Every request must pass each of them.
GUARDS: list[OutboundGuard] = []


def check_outbound(method: str, url: str, conn_id: str | None) -> None:
    """Refuse a request to a server that is not allowed.

    :param conn_id: the Airflow connection of the request
    :raises BMHeldError: the server is not allowed; nothing was sent
    """
    for guard in GUARDS:
        guard.check(method, url, conn_id)


def _guard_for(allowed: str) -> OutboundGuard:
    if allowed == LOOPBACK:
        return OutboundGuard(lambda target: is_loopback(target[1]))
    return OutboundGuard(lambda target: target == origin(allowed))


if os.environ.get(VARIABLE):
    GUARDS.append(_guard_for(os.environ[VARIABLE]))


@contextmanager
def allow_only(allowed: str, allows: Callable[[Origin], bool] | None = None) -> Iterator[OutboundGuard]:
    """Refuse requests to all other servers within this context.

    :param allowed: what child processes may call: the URL of a server, or :data:`LOOPBACK`
    :param allows: what this process may call. Default: the same
    """
    guard = _guard_for(allowed) if allows is None else OutboundGuard(allows)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = allowed
    GUARDS.append(guard)
    try:
        yield guard
    finally:
        GUARDS.remove(guard)
        _set_variable(before)


@contextmanager
def allow_everything() -> Iterator[None]:
    """Lift all restrictions within this context."""
    guards, before = GUARDS[:], os.environ.get(VARIABLE)
    GUARDS.clear()
    _set_variable(None)
    try:
        yield
    finally:
        GUARDS[:] = guards
        _set_variable(before)


def _set_variable(value: str | None) -> None:
    if value is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = value
