"""The pollers of this process: one for each event loop, connection and service."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.polling.poller import Poller, Subscription
from airflow_provider_bm.polling.timing import DEFAULT_TIMING, PollTiming
from airflow_provider_bm.polling.watcher import Watcher

#: A connection, and a service or None for the connection's own.
Key = tuple[str, str | None]
_Pollers = weakref.WeakValueDictionary[Key, Poller]
# Weak, since subscriptions refer to the poller: it disappears with a loop that was closed with tasks on it.
pollers_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pollers] = weakref.WeakKeyDictionary()


@contextmanager
def subscribe(
    watcher: Watcher,
    *,
    key: Key,
    settings: Callable[[], Awaitable[BMSettings]],
    connect: Callable[..., BMClient],
    timing: PollTiming = DEFAULT_TIMING,
) -> Iterator[Subscription]:
    """Let the poller of a connection and service poll for a watcher within a ``with`` block.

    :param key: the connection and service
    :param settings: reads the connection; used if this is the first subscription
    :param connect: creates a client from it, with ``sleep`` and ``check`` as :class:`.BMClient` has them
    :param timing: timing of a new poller
    """
    pollers = pollers_by_loop.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    poller = pollers.get(key)
    if poller is None:

        def register(service_uuid: str | None) -> Poller:
            # A later subscription without a service uses the connection's service at that time.
            if service_uuid != key[1]:
                pollers.pop(key, None)
            return pollers.setdefault((key[0], service_uuid), new)

        def unregister() -> None:
            for name in [name for name, other in pollers.items() if other is new]:
                del pollers[name]

        poller = new = pollers[key] = Poller(
            settings, connect, register=register, unregister=unregister, timing=timing
        )
    subscription = poller.join(watcher)
    try:
        yield subscription
    finally:
        subscription.leave()
