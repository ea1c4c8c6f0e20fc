"""When pollers poll: intervals, pauses after failures, and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: More doublings than any interval needs to reach the maximum. Without a limit, the power would overflow.
_MAX_DOUBLINGS: Final = 60


@dataclass(frozen=True, kw_only=True)
class PollTiming:
    """Timing of a poller. All values are in seconds, unless stated otherwise.

    :ivar min_interval: shortest interval between two polls, even if a watcher asks for less
    :ivar jitter: fraction of the interval by which a round may be late, so that many pollers do not send
        their requests at the same time
    :ivar max_pause: longest pause after failures (or the interval, if that is longer)
    :ivar max_retry_after: longest pause that a server can ask for with ``Retry-After``: some watchers never
        give up
    :ivar final_poll_window: watchers whose final (or first) polls are this close together share one
    :ivar max_pause_before_final_poll: longest pause after failures if a deadline is near
    :ivar settings_max_age: time after which the connection is read again, since it may have been changed
    :ivar settings_timeout: time that reading the connection may take
    """

    min_interval: float = 0.1
    jitter: float = 0.1
    max_pause: float = 300.0
    max_retry_after: float = 3600.0
    final_poll_window: float = 5.0
    max_pause_before_final_poll: float = 60.0
    settings_max_age: float = 600.0
    settings_timeout: float = 60.0

    def pause_after(self, failures: int, interval: float) -> float:
        """Return the pause before the next poll: the interval, doubled for each failure after the first.

        :param failures: consecutive failed polls
        :param interval: seconds between two polls
        """
        if failures < 2:
            return interval
        doubled = interval * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        return min(doubled, max(interval, self.max_pause))


DEFAULT_TIMING: Final = PollTiming()
