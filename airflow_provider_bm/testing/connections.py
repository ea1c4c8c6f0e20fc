"""Airflow connections that lead to the sandbox of a test, whatever others the machine has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

    from airflow_provider_bm.sandbox import Sandbox

DEFAULT: Final = "bm_default"
#: Airflow asks such a backend before it looks at the environment.
_BACKENDS: Final = ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND")


class BMConnections:
    """Makes connections to a sandbox, for as long as the test runs.

    :ivar conn_id: the one that is there from the start, ``bm_default``
    """

    conn_id = DEFAULT

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make none yet."""
        self._sandbox = sandbox
        self._monkeypatch = monkeypatch

    def __call__(self, conn_id: str = DEFAULT, **extra: Any) -> str:
        """Set ``AIRFLOW_CONN_*`` for a connection, and give its id.

        :param extra: extras of the connection, e.g. ``draft_only=True``
        """
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", self._sandbox.connection_json(**extra))
        return conn_id


@contextmanager
def only_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Airflow's connections come from the environment, before all else."""
    for name in _BACKENDS:
        monkeypatch.setenv(name, "")
    configuration = sys.modules.get("airflow.configuration")
    if configuration is None:  # it finds none when it is imported
        yield
        return
    # What Airflow has made already. Others may hold the list itself.
    backends = configuration.secrets_backend_list
    before = list(backends)
    backends[:] = configuration.initialize_secrets_backends()
    _forget_backends()
    try:
        yield
    finally:
        backends[:] = before
        _forget_backends()


def _forget_backends() -> None:
    sdk = sys.modules.get("airflow.sdk.configuration")
    forget = getattr(sdk, "clear_secrets_backends_cache", None)  # from 3.3 on
    if forget is not None:
        forget()
