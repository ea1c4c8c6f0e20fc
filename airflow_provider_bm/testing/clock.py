"""The clock of a test's sandbox."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_bm.sandbox.clock import Clock


class WaitingClock(Clock):
    """Stands still until the API is called for the first time: until then it is Airflow that starts.

    :ivar waiting: it has not begun to run, and nobody has frozen it
    """

    waiting = True

    def reset(self) -> None:
        """Go back to the start, and wait there."""
        super().reset()
        super().freeze()
        self.waiting = True

    def freeze(self) -> datetime:
        """Let time stand still, whoever calls."""
        self.waiting = False
        return super().freeze()

    def resume(self) -> datetime:
        """Let time pass."""
        self.waiting = False
        return super().resume()

    def begin(self) -> None:
        """Let time pass, unless somebody has frozen it."""
        if self.waiting:
            self.resume()
