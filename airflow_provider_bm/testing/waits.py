"""Waits that a test can do without."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bm.client.settings import DEFAULT_TIMEOUT
from airflow_provider_bm.idempotency import draft_first as staged
from airflow_provider_bm.idempotency import find_or_create as once

if TYPE_CHECKING:
    import pytest

    from airflow_provider_bm.client import BMClient

_AT_ONCE: Final = timedelta(seconds=1)


def shorten_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request without an answer count as over soon, and a failed task be tried again at once.

    The sandbox has either carried out a request when the connection breaks, or never will. That is so unless
    it answers too late: then the connection has a ``timeout`` of its own, and all is as it always is.
    """
    from airflow.models.taskinstance import TaskInstance

    usual = once.in_flight

    def in_flight(client: BMClient) -> timedelta:
        return usual(client) if client.settings.timeout < DEFAULT_TIMEOUT else _AT_ONCE

    def next_retry_datetime(ti: Any) -> Any:
        return ti.end_date

    for module in (once, staged):
        monkeypatch.setattr(module, "in_flight", in_flight)
    monkeypatch.setattr(TaskInstance, "next_retry_datetime", next_retry_datetime)
