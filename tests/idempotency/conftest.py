"""Processes that run one try each, forked from one that has Airflow loaded."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from airflow_provider_bm.idempotency.key import task_key
from tests.idempotency.killed_task import attempt


class Try:
    """One try of a task, in a process."""

    def __init__(self, forks: Any, kind: str, arguments: dict[str, Any], **kwargs: Any) -> None:
        self.pipe, theirs = forks.Pipe()
        self.step = kwargs.get("step", False)
        self.labels: list[str] = []
        self.outcome: str | None = None
        self.result: Any = None
        self.process: BaseProcess = forks.Process(
            target=attempt, args=(kind, arguments, theirs), kwargs=kwargs
        )
        self.process.start()
        theirs.close()

    def until(self, boundary: int | None) -> None:
        """Let it go to that boundary (not across it), or to its end."""
        while self.outcome is None and (boundary is None or len(self.labels) <= boundary):
            try:
                label = self.pipe.recv()
            except EOFError:
                self.outcome = "killed"
                break
            if isinstance(label, tuple):
                _, self.outcome, self.result = label
                break
            self.labels.append(label)
            if self.step and (boundary is None or len(self.labels) <= boundary):
                self.pipe.send(None)
        if self.outcome is not None:
            self.process.join()

    def go_on(self) -> None:
        """Release it from where it waits, to its end."""
        if self.outcome is None:
            self.pipe.send(None)
            self.until(None)


@pytest.fixture(scope="session")
def forks() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.idempotency.preload"])
    return context


@pytest.fixture
def task(sandbox: Any) -> dict[str, Any]:
    """Arguments of a task, for both operators."""
    sandbox.clock.speed = 20
    staff = sandbox.recipient_lists["staff"]
    draft = sandbox.create(status="draft", template="{temp} today, {first_name}", recipient_lists=staff)
    return {
        "create": {
            "name": "Storm",
            "sending_type": "sms",
            "template": "Stay at home, {first_name}.",
            "sender": "+41587000000",
            "recipient_lists": staff,
        },
        "clone": {"clone_uuid": draft["uuid"], "template_vars": {"temp": "-22C"}},
    }


@pytest.fixture
def start(forks: Any, sandbox: Any) -> Iterator[Callable[..., Try]]:
    """`start(kind, arguments, run_id=…, timeout=…)`: start one try."""
    tries: list[Try] = []

    def start(kind: str, arguments: dict[str, Any], *, timeout: float = 0.5, **kwargs: Any) -> Try:
        tries.append(
            Try(forks, kind, arguments, connection=sandbox.connection_json(timeout=timeout), **kwargs)
        )
        return tries[-1]

    yield start
    for each in tries:
        each.process.kill()
        each.process.join()


@pytest.fixture
def assert_sent_once(sandbox: Any) -> Callable[[str], None]:
    """`assert_sent_once(run_id)`: there is one campaign of the run's task, and it has executed once."""

    def check(run_id: str) -> None:
        mark = f"[{task_key('warn', run_id, 'send', -1)}]"
        made = [each for each in sandbox.campaigns() if each["name"].startswith(mark)]
        assert len(made) == 1, made
        executions = sandbox.executions(campaign_uuid=made[0]["uuid"])
        assert len(executions) == 1, executions
        # Deleted ones have executed nothing either.
        messages = [each for each in sandbox.messages() if each["campaign_name"].startswith(mark)]
        assert len({each["to"] for each in messages}) == len(messages)

    return check
