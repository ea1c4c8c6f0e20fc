from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox
from tests.polling.helpers import PollingProcess, Recorded, Requests, eventually, poller_threads, pollers


@pytest.fixture(autouse=True)
def _no_poller_remains() -> Iterator[None]:
    """After each test there is no poller, and soon no thread of one."""
    before = pollers(), poller_threads()
    yield
    assert [poller for poller in pollers() if poller not in before[0]] == []
    assert eventually(lambda: {*poller_threads()} <= {*before[1]}), poller_threads()


@pytest.fixture
def frozen(sandbox: Sandbox) -> Sandbox:
    """A sandbox in which campaigns stay active until its clock is advanced."""
    sandbox.clock.freeze()
    return sandbox


@pytest.fixture
def process(frozen: Sandbox) -> PollingProcess:
    """A process that polls the sandbox."""
    return PollingProcess(frozen)


@pytest.fixture
def recorded(process: PollingProcess, monkeypatch: pytest.MonkeyPatch) -> Requests:
    """All requests of the process, with the loop's time at which they were sent."""
    recorded, send = Requests(), requests.Session.send

    def record(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        recorded.append(Recorded(str(request.method), str(request.url), process.time()))
        return send(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", record)
    return recorded


@pytest.fixture
def alter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Recorded, requests.Response], None]], None]:
    """Change responses to what a server might return but the sandbox never does."""

    def alter(change: Callable[[Recorded, requests.Response], None]) -> None:
        send = requests.Session.send

        def changed(
            self: requests.Session, request: requests.PreparedRequest, **kwargs: Any
        ) -> requests.Response:
            response = send(self, request, **kwargs)
            change(Recorded(str(request.method), str(request.url), 0.0), response)
            return response

        monkeypatch.setattr(requests.Session, "send", changed)

    return alter


@pytest.fixture(autouse=True)
def _no_task_fails_unnoticed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    lost = [
        record.getMessage()
        for record in caplog.records
        if record.name == asyncio.__name__ and record.levelno >= 40
    ]
    assert not lost, lost
