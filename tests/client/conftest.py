from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.sandbox import Sandbox

NewClient = Callable[..., BMClient]


def settings_for(sandbox: Sandbox, **changes: Any) -> BMSettings:
    return BMSettings(
        **{
            "api_url": sandbox.api_url,
            "token_url": sandbox.token_url,
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
            "service_uuid": sandbox.service_uuid,
        }
        | changes
    )


@pytest.fixture
def waits() -> list[float]:
    """Pauses between tries, in seconds, recorded instead of slept."""
    return []


@pytest.fixture
def new_client(sandbox: Sandbox, waits: list[float]) -> Iterator[NewClient]:
    """Create a client of the sandbox; keyword arguments are settings."""
    clients: list[BMClient] = []

    def new(**changes: Any) -> BMClient:
        clients.append(BMClient(settings_for(sandbox, **changes), sleep=waits.append))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture
def client(new_client: NewClient) -> BMClient:
    return new_client()


@pytest.fixture
def payload(sandbox: Sandbox) -> dict[str, Any]:
    """A campaign that would immediately message the 40 contacts of the list `staff`."""
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Hello {first_name}",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
    }
