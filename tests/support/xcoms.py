"""XComs that a trigger pushes through the supervisor of the triggerer, which does not run in tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from airflow.providers.common.compat.sdk import XCom


@contextlib.contextmanager
def recorded(ti: Any, xcoms: dict[str, Any]) -> Iterator[None]:
    """Store the XComs that are pushed for a task instance in a dictionary."""

    def store(key: str, value: Any, *, dag_id: str, task_id: str, run_id: str, map_index: int) -> None:
        assert (dag_id, task_id, run_id, map_index) == (ti.dag_id, ti.task_id, ti.run_id, ti.map_index)
        xcoms[key] = value

    with mock.patch.object(XCom, "set", store):
        yield


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Let each push fail, as without an API server."""
    with mock.patch.object(XCom, "set", side_effect=OSError("the API server is down")):
        yield
