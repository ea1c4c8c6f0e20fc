"""Requests and faults as the page lists them: limited in number, with long texts truncated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from airflow_provider_bm.sandbox.journal import Last
from airflow_provider_bm.sandbox.page.marks import cut

REQUESTS: Final = 25
FAULTS: Final = 50
_HEADERS: Final = 3


def request_rows(last: Last) -> list[dict[str, Any]]:
    """Return the columns of the last requests, newest first."""
    return [
        {
            "number": number,
            "method": cut(entry.method, 50),
            "path": cut(entry.path, 500),
            "status": entry.status,
            "finished": entry.finished,
            "dt": entry.dt,
        }
        for number, entry in last.entries
    ]


def used_up(fault: Mapping[str, Any]) -> bool:
    """Return whether a fault will not hit another call."""
    return fault["times"] is not None and fault["seen"] >= fault["nth"] + fault["times"] - 1


def fault_rows(faults: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of the newest faults: in the order in which they hit, then those used up."""
    rows = [_fault(fault) for fault in faults[-FAULTS:]]
    return [row for row in rows if not row["used_up"]] + [row for row in reversed(rows) if row["used_up"]]


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: cut(value, 200) if isinstance(value, str) else value for name, value in fault.items()}
    # A body does not fit a line, and may be megabytes.
    for name in ("body", "change_request", "change_reply"):
        if name in fault:
            row[name] = True
    if "headers" in fault:
        first = islice(fault["headers"].items(), _HEADERS)
        row["headers"] = {
            cut(str(name), 50): None if value is None else cut(str(value), 100) for name, value in first
        }
        row["more_headers"] = max(0, len(fault["headers"]) - _HEADERS)
    return {**row, "used_up": used_up(fault)}
