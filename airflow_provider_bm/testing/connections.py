"""Airflow connections that lead to the sandbox of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

    from airflow_provider_bm.sandbox import Sandbox

DEFAULT: Final = "bm_default"


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
