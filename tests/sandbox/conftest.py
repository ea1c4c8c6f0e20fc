from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox


class Api:
    """A bare HTTP client of one service, with a token."""

    def __init__(self, sandbox: Sandbox, service: str | None = None) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.url = f"{sandbox.api_url}/services/{service or sandbox.service_uuid}/campaigns"

    def token(self, **changes: Any) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.client_id,
            "client_secret": self.sandbox.client_secret,
        } | changes
        return self.session.post(
            self.sandbox.token_url, data={k: v for k, v in form.items() if v is not None}
        )

    def login(self, **changes: Any) -> Api:
        self.session.headers["Authorization"] = f"Bearer {self.token(**changes).json()['access_token']}"
        return self

    def call(self, method: str, path: str = "", **kwargs: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=60, **kwargs)

    def payload(self, **changes: Any) -> dict[str, Any]:
        fields = {
            "name": "Storm warning",
            "status": "active",
            "sending_type": "sms",
            "schedule_type": "now",
            "template": "Hello {first_name}",
            "sender": "+41587000000",
            "recipient_lists": self.sandbox.recipient_lists["staff"],
        } | changes
        return {name: value for name, value in fields.items() if value is not None}

    def post(self, **changes: Any) -> requests.Response:
        return self.call("POST", json=self.payload(**changes))

    def get(self, uuid: str, **params: str) -> dict[str, Any]:
        reply = self.call("GET", f"/{uuid}", params=params)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def names(self, query: str = "") -> list[str]:
        reply = self.call("GET", query)
        assert reply.status_code == 200, reply.text
        return [campaign["name"] for campaign in reply.json()["data"]]

    def problems(self, reply: requests.Response) -> dict[str, str]:
        """Items of a 400, by name."""
        assert reply.status_code == 400, reply.text
        body = reply.json()
        assert body["code"]
        assert body["message"]
        return {item["name"]: item["message"] for item in body["items"]}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose clock is frozen at noon."""
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    with Sandbox(start=start, execution_seconds=10, token_lifetime=10**9) as running:
        running.clock.freeze()
        running.clock.set(start)
        yield running


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    return Api(sandbox).login()
