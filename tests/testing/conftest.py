from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
#: Loaded by name, since the plugin may be newer than the entry points of this environment.
PLUGINS = ("-p", "airflow_provider_bm.testing", "-p", "no:cacheprovider")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A temporary project directory."""
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --strict-markers\n")
    before = set(sys.modules)
    yield tmp_path
    for name in sys.modules.keys() - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)) or name == "dags":
            del sys.modules[name]


@pytest.fixture
def run_pytest(project: Path) -> Run:
    """Run pytest in a new process and project, with the plugin but without this suite's conftest.py."""

    def run(*arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (project / f"{name}.py").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGINS, "-q", "--color=no", *arguments],
            cwd=project,
            env=dict(os.environ) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def run_pytest_here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run pytest in this process, which saves ten seconds for imports."""

    def run(*arguments: str) -> str:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        with contextlib.redirect_stdout(io.StringIO()) as output:
            pytest.main([*PLUGINS, "--color=no", *arguments, f"--rootdir={project}", str(project)])
        return output.getvalue()

    return run
