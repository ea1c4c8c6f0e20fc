"""The fixtures and hooks of the pytest plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .connections import BMConnections
    from .sandbox import BMTestSandbox

_MARKER = "bm_sandbox(**arguments): arguments of the test's sandbox, e.g. start, speed, execution_seconds"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def bm_sandbox(request: pytest.FixtureRequest) -> Iterator[BMTestSandbox]:
    """A BM of the test's own, empty, on a free port: see :class:`.BMTestSandbox`.

    Campaigns send all their messages at once (``execution_seconds=0``), so that no test waits for them. The
    marker ``bm_sandbox`` gives other arguments: ``@pytest.mark.bm_sandbox(execution_seconds=10)``.
    """
    from .sandbox import BMTestSandbox

    marker = request.node.get_closest_marker("bm_sandbox")
    with BMTestSandbox(**{"execution_seconds": 0, **(marker.kwargs if marker else {})}) as sandbox:
        yield sandbox


@pytest.fixture
def bm_connection(bm_sandbox: BMTestSandbox, monkeypatch: pytest.MonkeyPatch) -> BMConnections:
    """Let the Airflow connection ``bm_default`` lead to ``bm_sandbox``, as ``AIRFLOW_CONN_BM_DEFAULT``.

    Others are made by a call: ``bm_connection("bm_marketing", draft_only=True)``.
    """
    from .connections import BMConnections

    client = sys.modules.get("airflow_provider_bm.client.token")
    if client is not None:
        # Those of an earlier test's sandbox, which may have been at the same port.
        client.forget_tokens()
    connections = BMConnections(bm_sandbox, monkeypatch)
    connections()
    return connections


@pytest.fixture
def bm_run_dag(bm_connection: BMConnections) -> Callable[..., Any]:
    """Run a DAG whose connection ``bm_default`` leads to ``bm_sandbox``: see :func:`.run_dag`."""
    from .dags import run_dag

    return run_dag


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show, with a test that failed, what its sandbox was asked and what became of it."""
    outcome = yield
    report = outcome.get_result()
    sandbox = getattr(item, "funcargs", {}).get("bm_sandbox")
    if report.when == "call" and report.failed and sandbox is not None:
        report.sections.append(("BM sandbox", sandbox.story()))
