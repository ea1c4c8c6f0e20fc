"""The marker ``bm_sandbox``: what the sandbox of a test is to be like."""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_bm.sandbox import Sandbox


def arguments_of(node: pytest.Item) -> dict[str, Any]:
    """Gather the arguments of all markers of a test, of its class and of its module; the nearest wins.

    :raises ValueError: one of them makes no sense
    """
    arguments: dict[str, Any] = {}
    for marker in node.iter_markers("bm_sandbox"):
        if marker.args:
            given = ", ".join(map(repr, marker.args))
            raise ValueError(f"takes arguments by name, such as execution_seconds=10, not {given}")
        arguments = {**marker.kwargs, **arguments}
    known = list(inspect.signature(Sandbox).parameters)
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise ValueError(f"has no argument {', '.join(unknown)}; there are {', '.join(known)}")
    start = arguments.get("start")
    if start is not None and not (isinstance(start, datetime) and start.tzinfo):
        right = "datetime(2026, 1, 31, 8, tzinfo=UTC)"
        raise ValueError(f"start must be a datetime with a time zone, such as {right}, not {start!r}")
    return arguments
