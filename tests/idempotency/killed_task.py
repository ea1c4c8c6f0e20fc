"""Run one try of a task in its own process, which can be killed or paused at any boundary of its I/O.

The operator is the real one, on Airflow's base class. Its context is minimal: a task instance, and a
``task_state_store`` in a file. Boundaries are the points where data leaves or enters the process: before
each request, after it was sent (the server processes it, but nobody has read the response), and after its
response; before and after each write to the store and each XCom.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CLASSES = {
    "batch": "BMCampaignBatchOperator",
    "create": "BMCreateCampaignOperator",
    "clone": "BMCloneCampaignOperator",
    "status": "BMCampaignStatusOperator",
    "update": "BMUpdateCampaignOperator",
}


class FileStore:
    """Airflow's ``task_state_store``, in a file."""

    def __init__(self, path: Path, boundary: Callable[[str], None]) -> None:
        self.path, self.boundary = path, boundary

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.path.read_text()).get(key, default) if self.path.exists() else default

    def set(self, key: str, value: Any) -> None:
        self.boundary("state: before")
        stored = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.path.write_text(json.dumps({**stored, key: value}))
        self.boundary("state: after")


class TaskInstance:
    """The part of a task instance that the operators use."""

    dag_id, task_id, map_index = "warn", "send", -1

    def __init__(self, run_id: str, try_number: int, boundary: Callable[[str], None]) -> None:
        self.run_id, self.try_number, self.boundary = run_id, try_number, boundary

    def xcom_pull(self, *_: Any, **__: Any) -> None:
        """Return nothing: no test depends on what an earlier part of a deferred task pushed."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.boundary(f"xcom {key}: before")
        self.boundary(f"xcom {key}: after")


def attempt(
    kind: str,
    arguments: dict[str, Any],
    pipe: Any,
    *,
    connection: str,
    run_id: str,
    store: str | None = None,
    try_number: int = 1,
    kill_at: int | None = None,
    step: bool = False,
) -> None:
    """Run one try until it ends, or until the boundary at which it is killed.

    :param pipe: receives the label of each boundary, and finally ``("end", outcome, result)``
    :param kill_at: index of the boundary at which the process kills itself with SIGKILL
    :param step: wait at each boundary for a message from the pipe
    """
    from airflow_provider_bm.client import BMClient
    from airflow_provider_bm.idempotency import timing

    os.environ["AIRFLOW_CONN_BM_DEFAULT"] = connection
    # The sandbox's clock runs at twenty times the normal speed: a second of created_dt is 0.05 s here, and
    # its Date header cannot measure how long a request is in flight.
    timing.active = timing.Timing(created_dt_resolution=0.2, draft_pause=0.1)
    BMClient.server_now = lambda self: None  # type: ignore[method-assign]
    count = 0

    def boundary(label: str) -> None:
        nonlocal count
        if kill_at == count:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(label)
        if step:
            pipe.recv()
        count += 1

    instrument(boundary)
    try:
        file_store = FileStore(Path(store), boundary) if store else None
        result = run(kind, arguments, TaskInstance(run_id, try_number, boundary), file_store)
    except Exception as error:
        pipe.send(("end", type(error).__name__, str(error)))
    else:
        pipe.send(("end", "returned", result))


def run(kind: str, arguments: dict[str, Any], ti: TaskInstance, store: FileStore | None) -> Any:
    """Execute the operator; after a deferral, also its trigger and `execute_complete`."""
    import asyncio

    from airflow.providers.common.compat.sdk import TaskDeferred

    from airflow_provider_bm import operators

    operator = getattr(operators, CLASSES[kind])(task_id="send", **arguments)
    now = datetime.now(UTC) - timedelta(minutes=5)
    dag_run = SimpleNamespace(run_type="manual", logical_date=None, start_date=now, run_after=now)
    context: Any = {"ti": ti, "dag_run": dag_run, **({"task_state_store": store} if store else {})}
    try:
        return operator.execute(context)
    except TaskDeferred as deferred:
        ti.boundary("deferred")
        _, kwargs = deferred.trigger.serialize()
        trigger = type(deferred.trigger)(**kwargs)

        async def first_event() -> Any:
            async for event in trigger.run():
                return event.payload

        event = asyncio.run(first_event())
        ti.boundary("resumed")
        return operator.execute_complete(context, event)


def instrument(boundary: Callable[[str], None]) -> None:
    """Add boundaries around every request, except token requests, which cannot send messages."""
    import urllib3.connection
    from requests.adapters import HTTPAdapter

    real_send, real_response = HTTPAdapter.send, urllib3.connection.HTTPConnection.getresponse
    current: list[str] = []

    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if "/oauth2/" in request.url:
            return real_send(self, request, *args, **kwargs)
        label = f"{request.method} {'campaign' if request.url.count('-') > 5 else 'campaigns'}"
        boundary(f"{label}: before")
        current.append(label)
        response = real_send(self, request, *args, **kwargs)
        boundary(f"{label}: response")
        return response

    def getresponse(self: Any) -> Any:
        if current:
            boundary(f"{current.pop()}: sent")
        return real_response(self)

    HTTPAdapter.send = send  # type: ignore[method-assign]
    urllib3.connection.HTTPConnection.getresponse = getresponse  # type: ignore[method-assign]
