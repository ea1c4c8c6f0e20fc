"""The sandbox's clock: real time, faster, frozen, or moved by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_bm.sandbox.arguments import number

#: The end of time: Python has no year 10000, and tokens and executions reach beyond the clock's time.
END: Final = datetime(9000, 1, 1, tzinfo=UTC)
#: Maximum of speeds and settings (some 31 years).
MAX_SECONDS: Final = 1e9


class Clock:
    """A clock of aware UTC times that can be controlled.

    :param start: where it starts (aware); the real time by default.
    :param speed: seconds of sandbox time that pass in one real second.
    """

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        """Start the clock."""
        self._start = None if start is None else as_utc(start)
        self._initial_speed = checked_speed(speed)
        self._lock = threading.Lock()
        #: Called with the new time before the clock is moved forward; may raise ValueError.
        self.before_advance: Callable[[datetime], None] = _allow
        self.reset()

    def reset(self) -> None:
        """Go back to the initial time and speed, running."""
        with self._lock:
            self._base = self._start or datetime.now(UTC)
            self._real = time.monotonic()
            self._speed = self._initial_speed
            self._frozen = False

    def now(self) -> datetime:
        """Return the current time of the sandbox, aware, in UTC."""
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
        if self._frozen:
            return self._base
        return _later(self._base, (time.monotonic() - self._real) * self._speed)

    def _rebase(self, base: datetime) -> None:
        self._base = base
        self._real = time.monotonic()

    @property
    def speed(self) -> float:
        """Seconds of sandbox time per real second (while not frozen)."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        checked = checked_speed(speed)
        with self._lock:
            self._rebase(self._now())
            self._speed = checked

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped."""
        return self._frozen

    def advance(self, by: float | timedelta) -> datetime:
        """Move the clock forward by seconds or a timedelta.

        :raises ValueError: it is negative, beyond the clock's end, or past too many executions
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise ValueError(f"the clock can only be advanced forward, by seconds: not by {by!r}")
        now = self.now()
        if seconds > (END - now).total_seconds():
            raise ValueError(f"the clock ends at {rfc3339(END)}")
        self.before_advance(now + timedelta(seconds=seconds))
        with self._lock:
            moved = _later(self._now(), seconds)
            self._rebase(moved)
        return moved

    def freeze(self) -> datetime:
        """Stop the clock."""
        with self._lock:
            now = self._now()
            self._rebase(now)
            self._frozen = True
        return now

    def resume(self) -> datetime:
        """Start the clock again."""
        with self._lock:
            now = self._now()
            self._rebase(now)
            self._frozen = False
        return now

    def set(self, now: datetime) -> datetime:
        """Set the time.

        Going back does not undo executions; but at an earlier time, one in progress has sent less, or
        nothing. Do it before anything has happened.

        :raises ValueError: it is beyond the clock's end, or past too many executions
        """
        moment = as_utc(now)
        if moment > END:
            raise ValueError(f"the clock ends at {rfc3339(END)}")
        if moment > self.now():
            self.before_advance(moment)
        with self._lock:
            self._rebase(moment)
        return moment


def _allow(_: datetime) -> None:
    """Allow any time."""


def _later(base: datetime, seconds: float) -> datetime:
    return base + timedelta(seconds=min(seconds, max(0.0, (END - base).total_seconds())))


def as_utc(moment: datetime) -> datetime:
    """Convert an aware time to UTC.

    :raises ValueError: it is naive
    """
    if not isinstance(moment, datetime):
        raise ValueError(f"{moment!r} is not a time: pass an aware datetime")
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC)


def checked_speed(speed: float) -> float:
    """Validate a speed.

    :raises ValueError: it is not a positive number
    """
    if number("speed", speed, MAX_SECONDS) == 0:
        raise ValueError("speed must be more than 0: to stop the clock, freeze it")
    return float(speed)


def rfc3339(moment: datetime) -> str:
    """Format a time as the API does: RFC 3339 in whole seconds."""
    return moment.isoformat(timespec="seconds")


def rfc3339_ms(moment: datetime) -> str:
    """Format a time with milliseconds, for journals, where the order within a second matters."""
    return moment.isoformat(timespec="milliseconds")
