"""Processes that run one try each, forked from one that has Airflow loaded."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from tests.once.victim import attempt

#: Small enough that a lost request is given up soon: in flight is twice connect and read time-out.
TIMEOUT = 0.5


@pytest.fixture(scope="session")
def forks() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.once.preload"])
    return context


@pytest.fixture
def task(sandbox: Any) -> dict[str, Any]:
    """Arguments of a task, for both operators."""
    draft = sandbox.create(status="draft", template="{temp} today, {first_name}", recipient_lists=sandbox.recipient_lists["staff"])
    return {
        "create": {
            "name": "Storm",
            "sending_type": "sms",
            "template": "Stay at home, {first_name}.",
            "sender": "+41587000000",
            "recipient_lists": sandbox.recipient_lists["staff"],
        },
        "clone": {"clone_uuid": draft["uuid"], "template_vars": {"temp": "-22C"}},
    }


@pytest.fixture
def start(forks: Any, sandbox: Any) -> Iterator[Callable[..., tuple[BaseProcess, Connection | None]]]:
    """Start one try; with ``gated=True`` it asks at each boundary."""
    processes: list[BaseProcess] = []

    def start(kind: str, arguments: dict[str, Any], *, gated: bool = False, **kwargs: Any) -> Any:
        ours, theirs = forks.Pipe()
        kwargs.setdefault("connection", sandbox.connection_json(timeout=TIMEOUT))
        process = forks.Process(
            target=attempt, args=(kind, arguments), kwargs={**kwargs, "gate": theirs if gated else None}
        )
        process.start()
        theirs.close()
        processes.append(process)
        return process, ours

    yield start
    for process in processes:
        process.kill()
        process.join()
