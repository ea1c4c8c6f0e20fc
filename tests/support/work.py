"""Limit the work of code by counting function calls, which is independent of the machine's speed."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Calls of Python functions, about a second of work.
LITTLE = 3_000_000


@contextmanager
def little_work() -> Iterator[None]:
    """Fail if the block makes more calls, in this thread or in threads that it starts.

    What would never end is ended by it, too.
    """
    calls: Counter[int] = Counter()
    counting = True

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and counting:
            calls[threading.get_ident()] += 1
            assert calls[threading.get_ident()] <= LITTLE, "this is not little work"

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        counting = False
    assert max(calls.values()) <= LITTLE
