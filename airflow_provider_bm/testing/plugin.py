"""The fixtures and hooks of the pytest plugin."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .connections import BMConnections
    from .dags import BMDagRuns
    from .sandbox import BMTestSandbox

_MARKER = "bm_sandbox(**arguments): arguments of the test's sandbox, e.g. start, speed, execution_seconds"

#: Of a test: its sandbox, however it has got it, and whether the test itself has passed.
_SANDBOX = pytest.StashKey["BMTestSandbox"]()
_PASSED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def bm_sandbox(request: pytest.FixtureRequest) -> Iterator[BMTestSandbox]:
    """A BM of the test's own, on a free port: see :class:`.BMTestSandbox`.

    Campaigns send all their messages at once (``execution_seconds=0``), so that no test waits for them. The
    marker ``bm_sandbox`` gives other arguments: ``@pytest.mark.bm_sandbox(execution_seconds=10)``.

    Meanwhile nothing else is called: requests of this package to other servers are refused, and the test
    fails that has made one.
    """
    from airflow_provider_bm.client.outbound_guard import VARIABLE, allow_only

    from .database import no_scheduler
    from .marker import arguments_of
    from .sandbox import BMTestSandbox, origins

    try:
        sandbox = BMTestSandbox(**{"execution_seconds": 0, **arguments_of(request.node)})
    except (TypeError, ValueError) as error:
        pytest.fail(f"marker bm_sandbox: {error}", pytrace=False)
    request.node.stash[_SANDBOX] = sandbox
    with allow_only(origins) as hold, no_scheduler(), sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, sandbox.url)
        yield sandbox
    if not request.node.stash.get(_PASSED, False):
        return
    if hold.refused:
        pytest.fail("The test has passed, but " + "\n".join(hold.refused), pytrace=False)
    if idle := sandbox.idle_faults():
        pytest.fail(
            f"The test has passed, but no call was hit by {' or '.join(idle)}. If that is right, end the "
            "fault with bm_sandbox.clear_faults().",
            pytrace=False,
        )


@pytest.fixture
def bm_connection(bm_sandbox: BMTestSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[BMConnections]:
    """Let the Airflow connection ``bm_default`` lead to ``bm_sandbox``, as ``AIRFLOW_CONN_BM_DEFAULT``.

    Others are made by a call: ``bm_connection("bm_marketing", draft_only=True)``. Secrets backends are off
    for as long as the test runs.
    """
    from .connections import BMConnections, only_the_environment

    client = sys.modules.get("airflow_provider_bm.client.auth")
    if client is not None:
        # Those of an earlier test's sandbox, which may have been at the same port.
        client.forget_tokens()
    with only_the_environment(monkeypatch):
        connections = BMConnections(bm_sandbox, monkeypatch)
        connections()
        yield connections


@pytest.fixture(scope="session")
def _bm_empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .database import make_database

    return make_database(tmp_path_factory.mktemp("bm-airflow"))


@pytest.fixture
def bm_run_dag(
    bm_sandbox: BMTestSandbox, bm_connection: BMConnections, _bm_empty_database: Path
) -> Iterator[BMDagRuns]:
    """Run a DAG whose connection ``bm_default`` leads to ``bm_sandbox``: see :class:`.BMDagRuns`.

    Airflow has a database of the test's own meanwhile.
    """
    from .dags import BMDagRuns
    from .database import own_database

    with own_database(_bm_empty_database):
        yield BMDagRuns(bm_sandbox)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show, with a test that failed, what its sandbox was asked and what became of it."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    sandbox = item.stash.get(_SANDBOX, None)
    if report.failed and sandbox is not None:
        report.sections.append(("BM sandbox", sandbox.story()))
