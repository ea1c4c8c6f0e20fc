"""Airflow connections to the sandbox of a test, independent of the machine's other connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ._compat import configured_secrets_backends

if TYPE_CHECKING:
    import pytest

    from airflow_provider_bm.sandbox import Sandbox

DEFAULT: Final = "bm_default"
#: Airflow asks such a backend before it reads the environment.
_BACKENDS: Final = ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND")


class BMConnections:
    """Creates connections to a sandbox, until the test ends.

    :ivar conn_id: the connection that exists from the start, ``bm_default``
    """

    conn_id = DEFAULT

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        """Create no connection yet."""
        self._sandbox = sandbox
        self._monkeypatch = monkeypatch

    def __call__(self, conn_id: str = DEFAULT, **extra: Any) -> str:
        """Set ``AIRFLOW_CONN_*`` for a connection, and return its id.

        :param extra: extras of the connection, e.g. ``draft_only=True``
        """
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", self._sandbox.connection_json(**extra))
        return conn_id


@contextmanager
def only_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Airflow read connections from the environment first, and ignore secrets backends."""
    for name in _BACKENDS:
        monkeypatch.setenv(name, "")
    with configured_secrets_backends():
        yield
