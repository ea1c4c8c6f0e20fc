"""The pollers of this process: one for each event loop, connection and service."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.polling.poller import Poller
from airflow_provider_bm.polling.watcher import Watcher

_Pollers = weakref.WeakValueDictionary[Hashable, Poller]
# Weak, since whoever watches holds the poller: a loop that is closed with all on it is gone for good.
_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pollers] = weakref.WeakKeyDictionary()


@contextmanager
def watching(
    watcher: Watcher,
    *,
    key: Hashable,
    settings: Callable[[], Awaitable[BMSettings]],
    connect: Callable[[BMSettings, Callable[[float], None]], BMClient],
) -> Iterator[None]:
    """Let the poller of a connection and service look for a watcher, as long as this lasts.

    :param key: the connection and service
    :param settings: reads the connection; used by whoever comes first
    :param connect: makes a client of it, which waits between tries with the function that it is given
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    poller = pollers.get(key)
    if poller is None:
        poller = pollers[key] = Poller(settings, connect, ended=lambda: pollers.pop(key, None))
    try:
        poller.join(watcher)
        yield
    finally:
        poller.leave(watcher)
