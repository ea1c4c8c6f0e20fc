"""Holds the clients of this process back from all servers but some: no test may reach the real BM.

Nothing is held back unless the pytest plugin asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_bm.exceptions import BMHeldError

#: Scheme, host and port.
Origin = tuple[str, str, int | None]
#: Holds the processes that a test starts, by its URL of a sandbox.
VARIABLE: Final = "_AIRFLOW_PROVIDER_BM_HELD_TO"


def origin(url: str | None) -> Origin:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url or "")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


class OutboundGuard:
    """Lets requests go to some origins only, and remembers those that it has refused.

    :param allowed: tells the origins
    :ivar refused: what was said of each refused request
    """

    def __init__(self, allowed: Callable[[], Collection[Origin]]) -> None:
        self._allowed = allowed
        self.refused: list[str] = []

    def check(self, target: Origin, call: str, conn_id: str | None) -> None:
        """Refuse a request that would go elsewhere.

        :param call: method and URL
        :param conn_id: the Airflow connection that leads there
        :raises BMHeldError: nothing was sent
        """
        if target in self._allowed():
            return
        refusal = f"{call} was not sent: a test may call nothing but its sandbox."
        if conn_id is not None:
            refusal += f" Let the connection {conn_id!r} lead there: bm_connection({conn_id!r})."
        self.refused.append(refusal)
        raise BMHeldError(refusal)


#: All that there are; a request has to pass each.
GUARDS: list[OutboundGuard] = []
_inherited: Final = os.environ.get(VARIABLE)
if _inherited:
    GUARDS.append(OutboundGuard(lambda: [origin(_inherited)]))


@contextmanager
def allow_only(allowed: Callable[[], Collection[Origin]]) -> Iterator[OutboundGuard]:
    """Let no request go elsewhere for as long as this lasts.

    :param allowed: tells the origins that may be called
    """
    hold = OutboundGuard(allowed)
    GUARDS.append(hold)
    try:
        yield hold
    finally:
        GUARDS.remove(hold)
