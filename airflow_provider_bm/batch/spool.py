"""A temporary file for the rows of a table, so that its size does not matter."""

from __future__ import annotations

import io
import pickle
import tempfile
import threading
from typing import Any, Self


class Spool:
    """Keeps objects in a temporary file instead of in memory. Threads may share it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="bm-batch-")  # noqa: SIM115 - closed on exit
        self._lock = threading.Lock()
        #: What cannot be pickled, such as a database's handle of a large object.
        self._kept: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, value: Any) -> int:
        """Write an object.

        :return: its position
        """
        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001 - a foreign type may raise anything
            self._kept.append(value)
            return -len(self._kept)
        with self._lock:
            position = self._file.seek(0, io.SEEK_END)
            self._file.write(data)
            return position

    def get(self, position: int) -> Any:
        """Return the object at a position."""
        if position < 0:
            return self._kept[-position - 1]
        with self._lock:
            self._file.seek(position)
            return pickle.load(self._file)  # noqa: S301 - nobody else can write this file
