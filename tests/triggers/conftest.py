from __future__ import annotations

import pytest

from airflow_provider_bm.client import retry
from airflow_provider_bm.sandbox import Sandbox
from tools.airflow_env import is_airflow_2

# Airflow 2 has no event triggers.
collect_ignore_glob = ["test_event*.py"] if is_airflow_2() else []


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "MOST_TRIES", 2)


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.clock.freeze()
    return sandbox
