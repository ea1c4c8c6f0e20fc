"""The lock around all state, which is not let go before what changed under it is in the state file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from .state import Key, Row, StateFile

CLOCK: Key = ("clock", "clock")


class Saving:
    """A re-entrant lock; leaving it saves. So a reply that is made within it tells nothing that can be lost.

    :param state: where to; nothing is saved if None.
    :param clock: describes the clock: saved with everything, so that it never starts before what happened.
    """

    def __init__(self, state: StateFile | None, clock: Callable[[], Row]) -> None:
        """Start with nothing to save."""
        self._lock = threading.RLock()
        self._state = state
        self._clock = clock
        self._depth = 0
        self._anew = False
        self._noted: dict[Key, Callable[[], Row] | None] = {}

    def __enter__(self) -> None:
        """Take the lock."""
        self._lock.acquire()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save, if the lock is about to be let go, and let go of it.

        What could not be saved because the disk is full, for example, is tried again with the next change.
        """
        try:
            if self._depth == 1:
                self._save()
        finally:
            self._depth -= 1
            self._lock.release()

    def note(self, kind: str, name: str, row: Callable[[], Row] | None) -> None:
        """Remember to save a thing, as ``row`` describes it in the end, or to remove it."""
        if self._state is not None:
            self._noted[(kind, name)] = row

    def note_clock(self) -> None:
        """Remember to save the clock."""
        self.note(*CLOCK, self._clock)

    def anew(self) -> None:
        """Remember to remove all that was saved so far."""
        self._noted.clear()
        self._anew = self._state is not None

    def close(self) -> None:
        """Save, and let go of the file; from then on nothing is saved."""
        if self._state is not None:
            try:
                self._save()
            finally:
                self._state.close()
                self._state = None

    def _save(self) -> None:
        if self._state is None or not (self._noted or self._anew):
            return
        try:
            rows = {key: row and row() for key, row in self._noted.items()}
            self._state.write(rows | {CLOCK: self._clock()}, anew=self._anew)
        except OSError:
            raise
        except Exception:
            # A row that no file can hold: to try it again would let every later call fail, too.
            self._noted.clear()
            raise
        self._noted.clear()
        self._anew = False
