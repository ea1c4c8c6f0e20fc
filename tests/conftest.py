"""Fixtures of the whole suite: an isolated Airflow, and guards for the network, secrets and the contract.

Nothing here imports Airflow before the environment is set.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.sandbox import Sandbox
from tests.support import contract_watch, leaks, network
from tests.support.run_dag import airflow_db, empty_database, run_dag, run_dag_file  # noqa: F401 - fixtures
from tools.airflow_env import environment

AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-bm-tests-"))
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
_settings = environment(AIRFLOW_HOME) | {
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    # pytest handles warnings: see filterwarnings in pyproject.toml.
    "PYTHONWARNINGS": "",
}
(AIRFLOW_HOME / "dags").mkdir()
(AIRFLOW_HOME / "plugins").mkdir()
os.environ.clear()
os.environ.update(_settings)

network.install()
leaks.install()
contract_watch.install()
leaks.GUARD.register("sandbox-secret")

# Airflow inserts warning filters for modules whose name begins with "airflow", as ours does. Import it here,
# so that pytest's filters come first again in each test.
import airflow  # noqa: E402
import airflow.configuration  # noqa: E402
import airflow.settings  # noqa: E402

airflow.settings.initialize()
leaks.install_in_airflow()
for _name in ("airflow_provider_bm", "urllib3", "requests"):
    logging.getLogger(_name).setLevel(logging.DEBUG)


def pytest_configure(config: pytest.Config) -> None:
    # Discard what Airflow logged during its import. pytest-xdist's main process would show it at the end.
    config.pluginmanager.getplugin("capturemanager").read_global_capture()


#: All tests in these folders are slow: they start a complete Airflow, or a browser.
SLOW_FOLDERS = {"tests/system", "tests/system/browser", "tests/sandbox/browser"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of slow folders, and keep each file's tests in one process of pytest-xdist."""
    for item in items:
        if item.path.parent.relative_to(config.rootpath).as_posix() in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
        if hasattr(config, "workerinput"):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.name}"))


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """AIRFLOW_HOME of the suite. It has no database: see `airflow_db`."""
    return AIRFLOW_HOME


@pytest.fixture
def leak_guard() -> leaks.LeakGuard:
    """The guard itself: `leak_guard.register(secret)` adds a secret."""
    return leaks.GUARD


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """Fail a test that put a secret into a log, an exception or a serialized trigger."""
    leaks.GUARD.take()
    yield
    if found := leaks.GUARD.take():
        pytest.fail("secrets were shown:\n" + "\n".join(map(str, found)), pytrace=False)


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Restore the package's log level, which the command line raises."""
    yield
    logging.getLogger("airflow_provider_bm").setLevel(logging.DEBUG)


@pytest.fixture(autouse=True)
def _nothing_leaves() -> Iterator[None]:
    """Fail a test that tried to reach another machine, even if the code under test handled the error."""
    network.take_attempts()
    yield
    if attempts := network.take_attempts():
        pytest.fail(f"tried to reach another machine: {', '.join(attempts)}", pytrace=False)


@pytest.fixture(autouse=True)
def _contract_is_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose requests or responses do not match docs/campaign-api.openapi.yaml."""
    contract_watch.take()
    yield
    sent, answered = contract_watch.take()
    if request.node.get_closest_marker("off_contract"):
        if not sent and not answered:
            pytest.fail("marked off_contract, but everything matched the contract", pytrace=False)
    elif sent or answered:
        pytest.fail("off the contract:\n" + "\n".join([*sent, *answered]), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _no_secret_in_files() -> Iterator[None]:
    """At the end, search Airflow's logs and database."""
    yield
    if found := leaks.GUARD.search_files(AIRFLOW_HOME):
        pytest.fail("secrets were written:\n" + "\n".join(map(str, found)), pytrace=False)


def pytest_unconfigure() -> None:
    logging.disable()  # Airflow logs at exit, to a stream that pytest has closed


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox for this test, which the connection `bm_default` points to."""
    forget_tokens()
    with Sandbox(port=0, execution_seconds=1.0) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json())
        yield sandbox
