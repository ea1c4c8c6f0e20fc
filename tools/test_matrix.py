"""Run the tests that depend on versions on the supported Airflows and Pythons, and print one table.

`make test-matrix`. CI runs `make test` on the newest Airflow and on 2.11; this covers the versions between,
the next Airflow, other Pythons, and the lowest versions of the package's dependencies. A Python that is not
installed here is marked in the table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
#: Tests of features that differ most between Airflow versions.
VERSION_TESTS = [
    "tests/assets",
    "tests/hooks",
    "tests/operators/test_construction.py",
    "tests/polling",
    "tests/test_imports.py",
    "tests/test_no_private_api.py",
    "tests/test_provider_info.py",
    "tests/test_public_names.py",
    "tests/testing/test_runs.py",
    "tests/triggers",
]
#: Tests of code that uses requests, tenacity and pendulum.
DEPENDENCY_TESTS = ["tests/campaigns", "tests/client"]
SECONDS = 600.0


@dataclass
class Row:
    """One environment, and the results of its tests."""

    airflow: str
    python: str
    what: str
    tests: list[str]
    result: str = "not run"
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


def rows() -> list[Row]:
    """The environments: "this" is the Python that runs this program."""
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return [
        Row("2.11.0", this, "lowest dependencies", [*VERSION_TESTS, *DEPENDENCY_TESTS]),
        Row("3.0.6", this, "", VERSION_TESTS),
        Row("3.1.8", this, "", VERSION_TESTS),
        Row("3.2.2", this, "", VERSION_TESTS),
        *(Row("3.3.2", python, "", VERSION_TESTS) for python in ("3.12", "3.13") if python != this),
        Row("3.4.0b2", this, "pre-release", VERSION_TESTS),
    ]


def find_python(version: str) -> str | None:
    """Path of a Python of that version: this one, one on the PATH, or one of pyenv's."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in candidates:
        # pyenv also has shims for versions that are not active.
        if (
            candidate
            and not subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode
        ):
            return str(candidate)
    return None


def run(row: Row) -> None:
    """Set up the environment of a row and run its tests in it."""
    python = find_python(row.python)
    if python is None:
        row.result = f"not run: no Python {row.python} here"
        return
    print(f"== Airflow {row.airflow}, Python {row.python}", flush=True)
    command = [python, "tools/setup_venv.py", "--airflow", row.airflow]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        row.result = "FAILED: set-up"
        return
    venv = ROOT / ".venv" / f"airflow-{row.airflow}-py{row.python}"
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-m", "not slow", "--numprocesses", "2", "--dist", "loadgroup", "-q", "--tb=short"]
        options += ["--show-capture=no", f"--junitxml={report}"]
        command = [str(venv / "bin" / "python"), "-m", "pytest", *options, *row.tests]
        try:
            status = subprocess.run(command, cwd=ROOT, timeout=SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            row.result = f"FAILED: not finished after {SECONDS:g} s"
            return
        row.seconds = time.monotonic() - began
        if report.exists():
            read_report(row, report)
    row.result = "ok" if status == 0 else "FAILED"


def read_report(row: Row, report: Path) -> None:
    """Count the tests in pytest's JUnit report."""
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in ET.parse(report).getroot().iter("testsuite"):
        for name in counts:
            counts[name] += int(suite.get(name, 0))
    row.failed, row.skipped = counts["failures"] + counts["errors"], counts["skipped"]
    row.passed = counts["tests"] - row.failed - row.skipped


def table(done: list[Row]) -> str:
    """Format the results."""
    lines: list[tuple[str, ...]] = [("Airflow", "Python", "Passed", "Failed", "Skipped", "Seconds", "Result")]
    for row in done:
        counts = (row.passed, row.failed, row.skipped, round(row.seconds))
        result = f"{row.result} ({row.what})" if row.what else row.result
        lines.append((row.airflow, row.python, *map(str, counts), result))
    return "\n".join("{:<9} {:<7} {:>7} {:>7} {:>8} {:>8}  {}".format(*line) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", help="only these Airflow versions")
    arguments = parser.parse_args()
    chosen = [row for row in rows() if not arguments.versions or row.airflow in arguments.versions]
    for row in chosen:
        run(row)
    print(table(chosen))
    if any(row.result.startswith("FAILED") for row in chosen):
        sys.exit(1)


if __name__ == "__main__":
    main()
