from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import requests_mock

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.client.outbound_guard import allow_everything
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.hooks import bm as hooks
from tests.hooks.http_stub import SECRET, HttpStub, connection
from tests.support.leaks import LeakGuard


@pytest.fixture
def http_stub(leak_guard: LeakGuard) -> Iterator[HttpStub]:
    """A stub of the network: no request is sent, and each needs a response prepared by the test."""
    forget_tokens()
    leak_guard.register(SECRET)
    with allow_everything(), requests_mock.Mocker() as mock:
        yield HttpStub(mock)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between tries, in seconds, recorded instead of slept."""
    waited: list[float] = []
    monkeypatch.setattr(hooks, "BMClient", functools.partial(BMClient, sleep=waited.append))
    return waited


@pytest.fixture
def hook(http_stub: HttpStub, monkeypatch: pytest.MonkeyPatch) -> BMHook:
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection())
    return BMHook()


@pytest.fixture
def draft_hook(http_stub: HttpStub, monkeypatch: pytest.MonkeyPatch) -> BMHook:
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(draft_only=True))
    return BMHook()
