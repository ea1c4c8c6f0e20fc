"""A pause for all threads when the server limits the requests of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Gate:
    """Threads pass while it is open; it is closed when the server limits requests.

    :param sleep: waits
    :param monotonic: clock in seconds
    """

    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep, self._monotonic = sleep, monotonic
        self._lock = threading.Lock()
        self._opens_at = 0.0

    def close(self, seconds: float) -> None:
        """Close it for this number of seconds, unless it is already closed for longer."""
        with self._lock:
            self._opens_at = max(self._opens_at, self._monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds until threads may pass."""
        return max(0.0, self._opens_at - self._monotonic())

    def sleep(self, seconds: float) -> None:
        """Close it and wait: the ``sleep`` of the client, so that a retry delays all threads."""
        self.close(seconds)
        self._sleep(seconds)
