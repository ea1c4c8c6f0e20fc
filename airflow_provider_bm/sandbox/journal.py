"""The journal of requests, without secrets."""

from __future__ import annotations

import copy
import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from airflow_provider_bm.sandbox.http_messages import Reply
from airflow_provider_bm.sandbox.time_range import TimeRange

LIMIT: Final = 100_000
ALWAYS: Final = TimeRange()


@dataclass(eq=False)
class Entry:
    """One request."""

    method: str
    path: str
    query: dict[str, str | list[str]]
    body: Any
    headers: dict[str, str]
    dt: str
    connection: int
    status: int | None = None
    #: Message of an error reply.
    error: str | None = None
    #: Whether it has been answered, or the connection closed.
    finished: bool = False

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, or without a reply."""
        return self.finished and (self.status is None or self.status >= 400)


class Last(NamedTuple):
    """The last requests, newest first, each with its number; the total, and how many are newer."""

    total: int
    newer: int
    entries: Sequence[tuple[int, Entry]]


class Journal:
    """The last requests, oldest first."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._added = self._cleared = 0

    def add(self, entry: Entry) -> None:
        """Add a request when it is received."""
        with self._lock:
            self._entries.append(entry)
            self._added += 1

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._entries.clear()
            self._cleared = self._added  # numbers go on: a page may still ask for the old ones

    def list(
        self,
        method: str | None = None,
        path: str | None = None,
        status: int | str | None = None,
        time_range: TimeRange = ALWAYS,
    ) -> list[dict[str, Any]]:
        """List requests. See :meth:`.Sandbox.requests`."""
        wanted = None if status in (None, "none") else _number(status)
        with self._lock:
            found = list(self._entries)
        return [
            copy.deepcopy(vars(entry))
            for entry in found
            if (method is None or entry.method == method.upper())
            and (path is None or path in entry.path)
            and (status is None or entry.status == wanted)
            and entry.dt in time_range
        ]

    def last(self, count: int, *, failed: bool = False, until: int | None = None) -> Last:
        """Return the last requests.

        :param failed: only those that failed
        :param until: number of the newest one to return; later ones are only counted
        """
        with self._lock:
            added, total = self._added, self._added - self._cleared
            entries = list(self._entries)
        newer = 0
        found: list[tuple[int, Entry]] = []
        for number, entry in zip(range(added, 0, -1), reversed(entries), strict=False):
            if failed and not entry.failed:
                continue
            if until is not None and number > until:
                newer += 1
            elif len(found) < count:
                found.append((number, entry))
            else:
                break
        return Last(total, newer, found)

    def numbered(self, number: int) -> Entry | None:
        """Return the request with a number; None if it has been dropped."""
        with self._lock:
            index = number - 1 - self._added + len(self._entries)
            return self._entries[index] if 0 <= index < len(self._entries) else None


def _number(status: int | str | None) -> int:
    try:
        return int(status or 0)
    except ValueError:
        raise ValueError(f"status must be that of a reply, such as 404, or 'none', not {status!r}") from None


def error_of(reply: Reply) -> str | None:
    """Return the message of an error reply; None if it is not an error, or has none."""
    if reply.status < 400:
        return None
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    items = body.get("items")
    problems = [
        f"{entry.get('name')}: {entry.get('message')}"
        + (f" ({entry['description']})" if "description" in entry else "")
        for entry in (items if isinstance(items, list) else ())
        if isinstance(entry, dict)
    ]
    text = "; ".join(problems) or body.get("message") or body.get("error_description")
    return str(text) if text else None
