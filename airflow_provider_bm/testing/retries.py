"""Retries without delays, since tests need not wait as long as production must."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from airflow_provider_bm.client.settings import DEFAULT_TIMEOUT
from airflow_provider_bm.idempotency.timing import current_timing, use_timing

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

_DELAYS: Final = {"retry_delay": timedelta(0), "retry_exponential_backoff": False}
_SHORT: Final = timedelta(seconds=1)


@contextmanager
def fast_retries(dag: Any) -> Iterator[None]:
    """Retry the tasks of a DAG at once, and treat a request without a reply as over after a second.

    When a connection breaks, the sandbox has carried out the request or never will. To test a sandbox that
    replies too late, set the connection's ``timeout`` below the default: then the usual times apply.
    """

    def window(client: BMClient) -> timedelta:
        return client.settings.in_flight_window if client.settings.timeout < DEFAULT_TIMEOUT else _SHORT

    with pytest.MonkeyPatch.context() as patch, use_timing(replace(current_timing(), window=window)):
        for task in dag.tasks:
            partial: dict[str, Any] | None = getattr(task, "partial_kwargs", None)  # of a mapped task
            for name, value in _DELAYS.items():
                if partial is None:
                    patch.setattr(task, name, value)
                else:
                    patch.setitem(partial, name, value)
        yield
