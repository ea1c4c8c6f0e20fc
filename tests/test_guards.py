"""The guards of the test suite work: they catch each probe of tests/support/guard_probes.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.support import guard_probes, network
from tests.support.leaks import LeakGuard


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    """The outcome of each probe, in a separate pytest session."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rfEp", "--tb=no", guard_probes.__file__],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"COLUMNS": "500"},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, str] = {}
    for word, name, reason in re.findall(
        r"^(PASSED|FAILED|ERROR) \S+::(\w+)(?: - (.*))?$", done.stdout, re.M
    ):
        found[name] = found.get(name, "") + f"{word} {reason};"
    return found


@pytest.mark.parametrize("name", [name for name in vars(guard_probes) if name.startswith("test_")])
def test_probe_is_caught(outcome, name):
    if name == "test_deprecated_by_us":
        assert outcome[name] == "FAILED DeprecationWarning: old;"
    elif name.startswith("test_network"):
        assert "ERROR Failed: tried to reach another machine" in outcome[name]
    else:
        assert "ERROR Failed: secrets were shown" in outcome[name]


def test_deprecation_warnings_of_other_packages_are_ignored():
    with warnings.catch_warnings(record=True):
        warnings.warn_explicit("old", DeprecationWarning, "x.py", 1, module="airflow.models.dag")
        warnings.warn_explicit("old", DeprecationWarning, "x.py", 1, module="airflow_providers_other")


def test_secret_in_a_file_is_found(tmp_path: Path):
    guard = LeakGuard()
    guard.register("a-planted-secret")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.db").write_bytes(b"\x00\xff....a-planted-secret\x00")
    (tmp_path / "b.log").write_text("nothing")

    (leak,) = guard.search_files(tmp_path)
    assert leak.where.endswith("a.db")
    assert "a-planted-secret" not in str(leak)


def test_short_words_are_not_secrets():
    guard = LeakGuard()
    guard.register("token")
    assert not guard.search("a log", "a token was asked for")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "localhost", "127.9.9.9", None, "0.0.0.0", b"localhost"]
)
def test_loopback_addresses_are_local(host):
    assert network.is_local(host)


@pytest.mark.parametrize(
    "host", ["example.com", "192.0.2.1", "10.0.0.1", "2001:db8::1", "127.0.0.1.example.com"]
)
def test_other_addresses_are_not_local(host):
    assert not network.is_local(host)
