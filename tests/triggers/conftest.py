from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.triggers import subscription
from tools.airflow_env import is_airflow_2

# Airflow 2 has no event triggers.
collect_ignore_glob = ["test_event*.py"] if is_airflow_2() else []


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """A sandbox whose clock only advances on request."""
    sandbox.clock.freeze()
    return sandbox


@pytest.fixture(autouse=True)
def quick_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that retry without pauses."""
    connect = subscription.client_with

    def quick(settings: BMSettings, *, sleep: Callable[[float], None], check: Callable[[], None]) -> BMClient:
        return connect(settings, sleep=lambda _: check(), check=check)

    monkeypatch.setattr(subscription, "client_with", quick)
