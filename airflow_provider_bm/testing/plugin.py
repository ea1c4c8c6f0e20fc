"""The fixtures and hooks of the pytest plugin."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_bm.client.outbound_guard import LOOPBACK, allow_everything, allow_only

if TYPE_CHECKING:
    from .connections import BMConnections
    from .dags import BMDagRuns
    from .sandbox import BMTestSandbox

_MARKERS = (
    "bm_sandbox(**arguments): arguments of the test's sandbox, e.g. start, speed, execution_seconds",
    "bm_live: this test may call servers other than this machine",
)

#: Of a test: its sandbox, and whether the test itself has passed.
_SANDBOX = pytest.StashKey["BMTestSandbox"]()
_PASSED = pytest.StashKey[bool]()
_SESSION_GUARD = pytest.StashKey[AbstractContextManager[Any]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse requests to other machines for the whole session."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[_SESSION_GUARD] = guard = allow_only(LOOPBACK)
    guard.__enter__()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Lift the restriction of the session."""
    if (guard := config.stash.get(_SESSION_GUARD, None)) is not None:
        guard.__exit__(None, None, None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, None]:
    """Let a test that is marked ``bm_live`` call every server."""
    with allow_everything() if item.get_closest_marker("bm_live") else nullcontext():
        yield


@pytest.fixture
def bm_sandbox(request: pytest.FixtureRequest) -> Iterator[BMTestSandbox]:
    """A BM for this test, on a free port: see :class:`.BMTestSandbox`.

    Campaigns send all their messages at once (``execution_seconds=0``), so that no test waits for them. The
    marker ``bm_sandbox`` sets other arguments: ``@pytest.mark.bm_sandbox(execution_seconds=10)``.

    Meanwhile requests of this package to all other servers are refused, and a test that made one fails, even
    if the code under test caught the error.
    """
    from .database import no_scheduler
    from .marker import arguments_of
    from .sandbox import BMTestSandbox, is_sandbox

    try:
        sandbox = BMTestSandbox(**{"execution_seconds": 0, **arguments_of(request.node)})
    except (TypeError, ValueError) as error:
        pytest.fail(f"marker bm_sandbox: {error}", pytrace=False)
    request.node.stash[_SANDBOX] = sandbox
    with no_scheduler(), sandbox, allow_only(sandbox.url, is_sandbox) as guard:
        yield sandbox
    if not request.node.stash.get(_PASSED, False):
        return
    if guard.refused:
        pytest.fail("The test has passed, but " + "\n".join(guard.refused), pytrace=False)
    if unused := sandbox.unused_faults():
        pytest.fail(
            f"The test has passed, but no call was hit by {' or '.join(unused)}. If that is right, end the "
            "fault with bm_sandbox.clear_faults().",
            pytrace=False,
        )


@pytest.fixture
def bm_connection(bm_sandbox: BMTestSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[BMConnections]:
    """Point the Airflow connection ``bm_default`` to ``bm_sandbox``, by ``AIRFLOW_CONN_BM_DEFAULT``.

    A call creates others: ``bm_connection("bm_marketing", draft_only=True)``. Secrets backends are off until
    the test ends.
    """
    from .connections import BMConnections, only_the_environment

    client = sys.modules.get("airflow_provider_bm.client.auth")
    if client is not None:
        # An earlier test's sandbox may have had the same port.
        client.forget_tokens()
    with only_the_environment(monkeypatch):
        connections = BMConnections(bm_sandbox, monkeypatch)
        connections()
        yield connections


@pytest.fixture(scope="session")
def _bm_empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .database import create_database

    return create_database(tmp_path_factory.mktemp("bm-airflow"))


@pytest.fixture
def bm_run_dag(
    bm_sandbox: BMTestSandbox, bm_connection: BMConnections, _bm_empty_database: Path
) -> Iterator[BMDagRuns]:
    """Run a DAG with a connection ``bm_default`` to ``bm_sandbox``: see :class:`.BMDagRuns`.

    Meanwhile Airflow uses a database for this test only.
    """
    from .dags import BMDagRuns
    from .database import own_database

    with own_database(_bm_empty_database):
        yield BMDagRuns(bm_sandbox)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Add a report of the sandbox to a test that failed: its requests, messages and campaigns."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    sandbox = item.stash.get(_SANDBOX, None)
    if report.failed and sandbox is not None:
        report.sections.append(("BM sandbox", sandbox.report()))
