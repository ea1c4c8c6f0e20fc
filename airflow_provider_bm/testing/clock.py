"""The clock of a test's sandbox."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_bm.sandbox.clock import Clock


class IdleClock(Clock):
    """A clock that starts with the first API call, so that Airflow's own start takes no sandbox time.

    :ivar idle: it has not started, and was not frozen
    """

    idle = True

    def reset(self) -> None:
        """Go back to the start time, and wait for the first API call."""
        super().reset()
        super().freeze()
        self.idle = True

    def freeze(self) -> datetime:
        """Stop the clock."""
        self.idle = False
        return super().freeze()

    def resume(self) -> datetime:
        """Start the clock."""
        self.idle = False
        return super().resume()

    def begin(self) -> None:
        """Start the clock, unless it was frozen."""
        if self.idle:
            self.resume()
