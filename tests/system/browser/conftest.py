"""Airflow's UI in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium
from tools.airflow_env import airflow_version, is_airflow_2

#: Milliseconds. Only failing tests take so long.
TIMEOUT = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not is_airflow_2() and tuple(map(int, airflow_version().split(".")[:2])) < (3, 3):
        pytest.skip("These tests know the UIs of Airflow 2.11 and 3.3.")
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(TIMEOUT)
    expect.set_options(timeout=TIMEOUT)
    yield tab
    context.close()
