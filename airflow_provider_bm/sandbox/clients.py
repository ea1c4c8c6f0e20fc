"""API clients, their secrets, and the access tokens issued to them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from airflow_provider_bm.sandbox.clock import Clock
from airflow_provider_bm.sandbox.http_messages import in_utf8


class _Client(NamedTuple):
    secret: str
    services: frozenset[str]


class _Token(NamedTuple):
    client_id: str
    expires: datetime


class Clients:
    """API clients and their tokens.

    :param clock: determines when a token expires
    """

    def __init__(self, clock: Clock) -> None:
        """Start without clients."""
        self._clock = clock
        self._clients: dict[str, _Client] = {}
        self._tokens: dict[str, _Token] = {}

    @property
    def secrets(self) -> list[str]:
        """All client secrets."""
        return [client.secret for client in self._clients.values()]

    def services_of(self, client_id: str) -> frozenset[str]:
        """Return the services that a client may use; none if there is no such client."""
        return self._clients[client_id].services if client_id in self._clients else frozenset()

    def authenticate(self, client_id: str, client_secret: str) -> bool:
        """Return whether these are the credentials of a client."""
        client = self._clients.get(client_id)
        return client is not None and secrets.compare_digest(client.secret.encode(), client_secret.encode())

    def add(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add a client, or change it; with a new secret, its tokens become invalid.

        :raises ValueError: see :func:`check_credentials`
        """
        check_credentials(client_id, client_secret)
        if not self.authenticate(client_id, client_secret):
            self._tokens = {
                text: token for text, token in self._tokens.items() if token.client_id != client_id
            }
        self._clients[client_id] = _Client(client_secret, frozenset(service_uuids))

    def issue_token(self, client_id: str, client_secret: str, lifetime: float) -> str | None:
        """Issue a token; return None if the credentials are wrong.

        :param lifetime: seconds until it expires
        """
        if not self.authenticate(client_id, client_secret):
            return None
        now = self._clock.now()
        self._tokens = {text: token for text, token in self._tokens.items() if token.expires > now}
        text = secrets.token_urlsafe(32)
        self._tokens[text] = _Token(client_id, now + timedelta(seconds=lifetime))
        return text

    def revoke_tokens(self) -> None:
        """Invalidate all tokens."""
        self._tokens.clear()

    def client_of(self, token: str) -> str | None:
        """Return the client that a token was issued to; None if the token is invalid."""
        found = self._tokens.get(token)
        return found.client_id if found is not None and found.expires > self._clock.now() else None


def check_credentials(client_id: object, client_secret: object) -> None:
    """Validate a client id and a client secret.

    :raises ValueError: one is not a string, is empty, or cannot be sent
    """
    for name, value in (("client_id", client_id), ("client_secret", client_secret)):
        if not isinstance(value, str):
            # Not the value: it is a secret all the same.
            raise ValueError(f"{name} must be a string, not {type(value).__name__}")
        if not value:
            # From a variable that is not set, for example.
            raise ValueError(f"{name} must not be empty")
        if not in_utf8(value):
            raise ValueError(f"{name} is not valid Unicode")
