from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_bm.client import retry
from airflow_provider_bm.polling import poller, watcher
from airflow_provider_bm.polling.watcher import Watcher
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.triggers.subscription import subscribe as watching
from tests.polling.helpers import INTERVAL, Sent, Wire, eventually, poller_threads, pollers


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "MOST_TRIES", 2)
    monkeypatch.setattr(poller, "_LAST_LOOKS", 0.1)
    monkeypatch.setattr(watcher, "SHORTEST_INTERVAL", INTERVAL)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """After each test there is no poller, and soon no thread of one."""
    before = pollers(), poller_threads()
    yield
    assert [one for one in pollers() if one not in before[0]] == []
    assert eventually(lambda: {*poller_threads()} <= {*before[1]}), poller_threads()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What is sent, below all of this package's code."""
    sent, send = Wire(), requests.Session.send

    def note(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        sent.append(Sent(str(request.method), str(request.url), threading.current_thread(), time.monotonic()))
        return send(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", note)
    return sent


@pytest.fixture
def frozen(sandbox: Sandbox) -> Sandbox:
    """A sandbox in which campaigns stay active until its clock is advanced."""
    sandbox.clock.freeze()
    return sandbox


@pytest.fixture
def alter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Sent, requests.Response], None]], None]:
    """Change replies on their way: what a server would say that no sandbox says."""

    def alter(change: Callable[[Sent, requests.Response], None]) -> None:
        send = requests.Session.send

        def changed(
            self: requests.Session, request: requests.PreparedRequest, **kwargs: Any
        ) -> requests.Response:
            reply = send(self, request, **kwargs)
            sent = Sent(str(request.method), str(request.url), threading.current_thread(), time.monotonic())
            change(sent, reply)
            return reply

        monkeypatch.setattr(requests.Session, "send", changed)

    return alter


@pytest.fixture
def observe() -> Callable[[Watcher], contextlib.AbstractContextManager[None]]:
    """Let a watcher of one's own take part."""
    return lambda watcher: watching(watcher, "bm_default", None)
