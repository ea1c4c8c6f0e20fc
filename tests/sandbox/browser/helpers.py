"""Parts of the page, and other clients of the sandbox."""

from __future__ import annotations

import requests
from playwright.sync_api import Page

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.contacts import RECIPIENT_LISTS

STAFF = 40
CUSTOMERS = RECIPIENT_LISTS["customers"]
EVIL = "<script>window.broken = 1</script>"
WORSE = '"><img src=x onerror="window.broken = 2">'


def rows(page: Page):
    return page.locator("#rows tr")


def phone(page: Page):
    return page.get_by_role("article", name="The message as a phone shows it")


def client(sandbox: Sandbox) -> tuple[requests.Session, str]:
    """A client of the API, with a token."""
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
    session = requests.Session()
    token = session.post(sandbox.token_url, data=form, timeout=10).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session, f"{sandbox.api_url}/services/{sandbox.service_uuid}/campaigns"
