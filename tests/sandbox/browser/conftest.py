"""A real Chromium, one for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from airflow_provider_bm.sandbox import Sandbox
from tests.support.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


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
