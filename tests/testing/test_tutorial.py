"""docs/testing.md is so: its DAG and its tests, in a project of their own, against a real Airflow.

pytest runs in pytest here: a process of its own would take ten seconds to import what is imported already.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import make_database

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def airflow_database(airflow_home: Path) -> None:
    if not (airflow_home / "airflow.db").exists():
        make_database()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project that is forgotten after the test."""
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --strict-markers\n")
    before = set(sys.modules)
    yield tmp_path
    for name in sys.modules.keys() - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)) or name == "dags":
            del sys.modules[name]


def test_the_tutorial(project, airflow_database, monkeypatch):
    dag, *tests = [code for language, code in BLOCKS if language == "python"]
    (said,) = [code for language, code in BLOCKS if language == "text"]
    (project / "dags").mkdir()
    (project / "dags" / "storm_warning.py").write_text(dag)
    (project / "test_storm_warning.py").write_text("".join(tests))
    failing = tests[0].replace('to="+41790000001"', 'to="+41790000002"')
    (project / "test_that_fails.py").write_text(failing)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "airflow_provider_bm.testing", "-p", "no:cacheprovider")

    with contextlib.redirect_stdout(io.StringIO()) as told:
        pytest.main([*plugins, "--color=no", "--show-capture=no", f"--rootdir={project}", str(project)])

    text = told.getvalue()
    assert re.search("1 failed, 5 passed", text), text
    shown = "\n".join(line.removeprefix("E").strip() for line in text.splitlines())
    for line in said.splitlines():
        pattern = ".+".join(map(re.escape, line.strip().split("…")))
        assert re.search(f"^{pattern}$", shown, re.MULTILINE), f"{line}\n\nis not in:\n{text}"
    assert "def assert_sent" not in text
