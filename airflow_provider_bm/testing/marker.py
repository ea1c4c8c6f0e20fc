"""The marker ``bm_sandbox``: arguments of a test's sandbox."""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_bm.sandbox import Sandbox


def arguments_of(node: pytest.Item) -> dict[str, Any]:
    """Merge the arguments of the markers of a test, its class and its module; the closest one wins.

    :raises ValueError: invalid arguments
    """
    arguments: dict[str, Any] = {}
    for marker in node.iter_markers("bm_sandbox"):
        if marker.args:
            values = ", ".join(map(repr, marker.args))
            raise ValueError(f"takes arguments by name, such as execution_seconds=10, not {values}")
        arguments = {**marker.kwargs, **arguments}
    known = list(inspect.signature(Sandbox).parameters)
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise ValueError(f"has no argument {', '.join(unknown)}; the arguments are {', '.join(known)}")
    start = arguments.get("start")
    if start is not None and not (isinstance(start, datetime) and start.tzinfo):
        right = "datetime(2026, 1, 31, 8, tzinfo=UTC)"
        raise ValueError(f"start must be a datetime with a time zone, such as {right}, not {start!r}")
    return arguments
