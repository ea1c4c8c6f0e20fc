"""Progress of a batch in the log, with an estimate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

log = logging.getLogger(__name__)


class Progress:
    """Logs the progress of a batch every few seconds.

    :param total: number of campaigns to send
    :param monotonic: clock in seconds
    :param every: seconds between two lines
    """

    def __init__(self, total: int, monotonic: Callable[[], float], every: float = 5.0) -> None:
        self._total, self._monotonic, self._every = total, monotonic, every
        self._started = self._logged = monotonic()

    def report(self, sent: int, failed: int) -> None:
        """Log the progress, unless it was logged a moment ago."""
        now = self._monotonic()
        if now - self._logged < self._every:
            return
        self._logged = now
        done, elapsed = sent + failed, now - self._started
        remaining = timedelta(seconds=round(elapsed * (self._total - done) / done)) if done else "unknown"
        log.info(
            "%d of %d campaigns sent, %d failed; %.1f per second, time left: %s",
            sent,
            self._total,
            failed,
            done / elapsed,
            remaining,
        )
