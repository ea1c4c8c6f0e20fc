"""The sandbox's clock: real time, faster, frozen, or moved by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .given import number

#: Where the clock stops: Python knows no year 10000, and tokens and executions reach beyond the clock's time.
END: Final = datetime(9000, 1, 1, tzinfo=UTC)
#: So many seconds (some 31 years) are the most that a speed, or a setting, makes of one.
MAX_SECONDS: Final = 1e9


class Clock:
    """A clock of aware UTC times that can be steered.

    :param start: where it starts (aware); the real time by default.
    :param speed: seconds of sandbox time that pass in one real second.
    """

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        """Start the clock."""
        self._start = None if start is None else as_utc(start)
        self._initial_speed = checked_speed(speed)
        self._lock = threading.Lock()
        #: Called before the clock is moved forward, with where to: a ValueError ends that.
        self.ahead: Callable[[datetime], None] = _anything
        #: Called after the clock was steered.
        self.steered: Callable[[], None] = _nothing
        self.reset()

    def reset(self) -> None:
        """Go back to the start and the speed it was made with, running."""
        with self._lock:
            self._base = self._start or datetime.now(UTC)
            self._real = time.monotonic()
            self._speed = self._initial_speed
            self._frozen = False
        self.steered()

    def snapshot(self) -> dict[str, Any]:
        """Describe it for :meth:`restore`."""
        with self._lock:
            return {
                "now": self._now().isoformat(),
                "at": time.time(),
                "speed": self._speed,
                "frozen": self._frozen,
            }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot as if the clock had not stopped since: it is never behind what it showed."""
        base = datetime.fromisoformat(snapshot["now"])
        if not snapshot["frozen"]:
            base = _later(base, max(0.0, time.time() - snapshot["at"]) * snapshot["speed"])
        with self._lock:
            self._rebase(base)
            self._speed, self._frozen = snapshot["speed"], snapshot["frozen"]

    def now(self) -> datetime:
        """Tell the sandbox's time, aware, in UTC."""
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
        self.steered()

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen

    def advance(self, by: float | timedelta) -> datetime:
        """Move the clock forward by seconds or a timedelta; it goes on (or stands still) from there.

        :raises ValueError: if that is not forward, beyond the clock's end, or past too many executions.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise ValueError(f"the clock can only be advanced forward, by seconds: not by {by!r}")
        now = self.now()
        if seconds > (END - now).total_seconds():
            raise ValueError(f"the clock ends at {rfc3339(END)}")
        self.ahead(now + timedelta(seconds=seconds))
        with self._lock:
            moved = _later(self._now(), seconds)
            self._rebase(moved)
        self.steered()
        return moved

    def freeze(self) -> datetime:
        """Let time stand still."""
        with self._lock:
            now = self._now()
            self._rebase(now)
            self._frozen = True
        self.steered()
        return now

    def resume(self) -> datetime:
        """Let time pass again."""
        with self._lock:
            now = self._now()
            self._rebase(now)
            self._frozen = False
        self.steered()
        return now

    def set(self, now: datetime) -> datetime:
        """Set the time.

        Going back undoes no execution; but one that is not over has sent less at an earlier time, or nothing
        yet. Do it before anything has happened.

        :raises ValueError: if it is beyond the clock's end, or past too many executions.
        """
        moment = as_utc(now)
        if moment > END:
            raise ValueError(f"the clock ends at {rfc3339(END)}")
        if moment > self.now():
            self.ahead(moment)
        with self._lock:
            self._rebase(moment)
        self.steered()
        return moment


def _nothing() -> None:
    """Be told, and do nothing."""


def _anything(_: datetime) -> None:
    """Let the clock be moved to wherever it is."""


def _later(base: datetime, seconds: float) -> datetime:
    return base + timedelta(seconds=min(seconds, max(0.0, (END - base).total_seconds())))


def as_utc(moment: datetime) -> datetime:
    """Convert an aware time to UTC; refuse a naive one, whose zone nobody knows."""
    if not isinstance(moment, datetime):
        raise ValueError(f"{moment!r} is no time: give an aware datetime")
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC)


def checked_speed(speed: float) -> float:
    """Refuse a speed at which time would not pass."""
    if number("speed", speed, MAX_SECONDS) == 0:
        raise ValueError("speed must be more than 0: to stop the clock, freeze it")
    return float(speed)


def rfc3339(moment: datetime) -> str:
    """Write a time as the API does: RFC 3339 in whole seconds."""
    return moment.isoformat(timespec="seconds")


def rfc3339_ms(moment: datetime) -> str:
    """Write a time with milliseconds, for journals, where the order within a second matters."""
    return moment.isoformat(timespec="milliseconds")
