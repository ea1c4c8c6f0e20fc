"""The pollers of this process: one for each event loop, connection and service."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.polling.poller import Poller
from airflow_provider_bm.polling.watcher import Watcher

#: A connection, and a service or None for the connection's own.
Key = tuple[str, str | None]
_Pollers = weakref.WeakValueDictionary[Key, Poller]
# Weak, since whoever watches holds the poller: a loop that is closed with all on it is gone for good.
_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pollers] = weakref.WeakKeyDictionary()


@contextmanager
def subscribe(
    watcher: Watcher,
    *,
    key: Key,
    settings: Callable[[], Awaitable[BMSettings]],
    connect: Callable[..., BMClient],
) -> Iterator[None]:
    """Let the poller of a connection and service look for a watcher, as long as this lasts.

    :param key: the connection and service
    :param settings: reads the connection; used by whoever comes first
    :param connect: makes a client of it, with ``sleep`` and ``check`` as :class:`.BMClient` has them
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    poller = pollers.get(key)
    if poller is None:

        def known_as(service_uuid: str | None) -> Poller:
            # Whoever comes later without naming a service gets the one that the connection leads to then.
            if service_uuid != key[1]:
                pollers.pop(key, None)
            return pollers.setdefault((key[0], service_uuid), made)

        def ended() -> None:
            for name in [name for name, held in pollers.items() if held is made]:
                del pollers[name]

        poller = made = pollers[key] = Poller(settings, connect, known_as=known_as, ended=ended)
    try:
        poller.join(watcher)
        yield
    finally:
        watcher.leave()
