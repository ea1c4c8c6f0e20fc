"""A real Chromium, one for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from airflow_provider_bm.sandbox import Sandbox

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
    pytest.skip(f"{reason} The sandbox's page is not tested without one; all else is.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the session: as long as Playwright runs, no other event loop can run in this thread.
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


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose clock is frozen at noon."""
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    with Sandbox(start=start, execution_seconds=10, token_lifetime=10**9) as running:
        running.clock.freeze()
        running.clock.set(start)
        yield running


@pytest.fixture
def page(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    """A new tab. Requests to other hosts, errors and violations of the page's policy fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(5000)
    asked, wrong = [], []

    def note(error: str) -> None:
        if not error.startswith("Failed to load resource"):  # an error's status: the page says what it means
            wrong.append(error)

    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: note(message.text) if message.type == "error" else None)
    tab.add_init_script(
        "window.longTasks = [];"
        "new PerformanceObserver((list) => list.getEntries().forEach((one) => longTasks.push(one.duration)))"
        ".observe({type: 'longtask', buffered: true});"
    )
    yield tab
    context.close()
    assert {urlsplit(url).netloc for url in asked} <= {urlsplit(sandbox.url).netloc}
    assert not wrong
