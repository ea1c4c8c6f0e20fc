"""A pause for all threads, when the server limits one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Gate:
    """Threads pass it, unless one of them was told to wait.

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
        """Keep all threads waiting for some seconds from now, or longer if they already have to."""
        with self._lock:
            self._opens_at = max(self._opens_at, self._monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds until threads may pass."""
        return max(0.0, self._opens_at - self._monotonic())

    def sleep(self, seconds: float) -> None:
        """Wait, and keep all other threads waiting as long: given to the client, which repeats requests."""
        self.close(seconds)
        self._sleep(seconds)
