"""A real Chromium for tests, and a reason to skip them where there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
#: Set to "required" where the tests must not be skipped: in CI.
REQUIRED = "BM_BROWSER_TESTS"


def _give_up(reason: str) -> None:
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{reason} {REQUIRED}=required forbids to skip.", pytrace=False)
    pytest.skip(f"{reason} Pages are not tested without one; all else is.")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium. As long as it runs, no other event loop can run in this thread."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        _give_up("There is no Chromium here (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            _give_up(f"{path} does not start: {str(error).splitlines()[0]}.")
        yield started
        started.close()
