"""Commands run in this process, against the sandbox of `bm_default`."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_bm.cli import main


@pytest.fixture
def run(capsys):
    """`run("list", "--limit", "3")` returns the exit code and what was printed."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as exit_:
            code = exit_.code
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, json=lambda: json.loads(out))

    return run
