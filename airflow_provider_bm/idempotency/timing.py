"""Pauses and clocks for sending once. Tests replace them with :func:`use_timing`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_bm.client.assumptions import CREATED_DT_RESOLUTION

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient


def _utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Pauses and clocks of a search.

    :param window: how long a request may be in flight, by client; None: ``client.settings.in_flight_window``
    :param first_pause: seconds between the first two searches; doubled until ``longest_pause``
    :param longest_pause: seconds between two searches at most
    :param created_dt_resolution: seconds after which a later campaign has a later ``created_dt``
    :param draft_pause: seconds between two polls of a draft that another attempt activates
    :param sleep: waits
    :param monotonic: clock for elapsed time, in seconds
    :param now: wall clock, used only if the server's time is unknown
    """

    window: Callable[[BMClient], timedelta] | None = None
    first_pause: float = 0.5
    longest_pause: float = 5.0
    created_dt_resolution: float = CREATED_DT_RESOLUTION
    draft_pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _utcnow

    def in_flight_window(self, client: BMClient) -> timedelta:
        """Return how long after its intent a request may still be carried out."""
        return client.settings.in_flight_window if self.window is None else self.window(client)


#: The timing of this process; see :func:`use_timing`.
active = Timing()


def current_timing() -> Timing:
    """Return the timing of this process."""
    return active


@contextmanager
def use_timing(timing: Timing) -> Iterator[Timing]:
    """Use another timing until the end of the block. For tests."""
    global active
    before, active = active, timing
    try:
        yield timing
    finally:
        active = before


class Stopwatch:
    """Elapsed seconds by a monotonic clock; never less than the time slept."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._started, self._slept = timing.monotonic(), 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since this stopwatch was created."""
        return max(self._timing.monotonic() - self._started, self._slept)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._timing.sleep(seconds)
        self._slept += seconds
