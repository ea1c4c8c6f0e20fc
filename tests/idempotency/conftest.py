"""Fixtures that run each try of a task in a child process, which can be paused and killed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from airflow_provider_bm.idempotency.key import task_key
from tests.idempotency.killed_task import attempt


class Try:
    """One try of a task, in a child process."""

    def __init__(self, forks: Any, kind: str, arguments: dict[str, Any], **kwargs: Any) -> None:
        self.pipe, child_pipe = forks.Pipe()
        self.step = kwargs.get("step", False)
        self.labels: list[str] = []
        self.outcome: str | None = None
        self.result: Any = None
        self.process: BaseProcess = forks.Process(
            target=attempt, args=(kind, arguments, child_pipe), kwargs=kwargs
        )
        self.process.start()
        child_pipe.close()

    def run_until(self, boundary: int | None) -> None:
        """Let the try run until it reaches that boundary, or until it ends."""
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

    def resume(self) -> None:
        """Continue a paused try until it ends."""
        if self.outcome is None:
            self.pipe.send(None)
            self.run_until(None)


@pytest.fixture(scope="session")
def forks() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.idempotency.preload"])
    return context


@pytest.fixture
def task(sandbox: Any) -> dict[str, Any]:
    """Arguments of a task, by the kind of operator."""
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
    """Start one try: `start(kind, arguments, run_id=…, timeout=…)`."""
    tries: list[Try] = []

    def start(kind: str, arguments: dict[str, Any], *, timeout: float = 0.5, **kwargs: Any) -> Try:
        tries.append(
            Try(forks, kind, arguments, connection=sandbox.connection_json(timeout=timeout), **kwargs)
        )
        return tries[-1]

    yield start
    for started in tries:
        started.process.kill()
        started.process.join()


@pytest.fixture
def assert_sent_once(sandbox: Any) -> Callable[[str], None]:
    """`assert_sent_once(run_id)`: the run's task has one campaign, which was executed once."""

    def check(run_id: str) -> None:
        prefix = f"[{task_key('warn', run_id, 'send', -1)}]"
        created = [each for each in sandbox.campaigns() if each["name"].startswith(prefix)]
        # A draft whose reply was lost may remain; it sends nothing.
        created = [each for each in created if each["status"] != "draft"] or created
        assert len(created) == 1, [(each["uuid"], each["status"], each["created_dt"]) for each in created]
        executions = sandbox.executions(campaign_uuid=created[0]["uuid"])
        assert len(executions) == 1, executions
        # Messages outlive their campaign: campaigns that were deleted sent nothing either.
        messages = [each for each in sandbox.messages() if each["campaign_name"].startswith(prefix)]
        assert len({each["to"] for each in messages}) == len(messages)

    return check
