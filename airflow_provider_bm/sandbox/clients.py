"""Who may call the API: clients, their secrets, and the tokens that they have got."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from .clock import Clock
from .messages import in_utf8
from .saving import Saving
from .state import StateFile


class Clients:
    """API clients and their tokens. Neither a secret nor a token is kept, only what they are known by.

    :param clock: says when a token expires.
    :param saving: is told what changes.
    """

    def __init__(self, clock: Clock, saving: Saving) -> None:
        """Start without any."""
        self._clock, self._saving = clock, saving
        self._clients: dict[str, tuple[str, frozenset[str]]] = {}
        #: By their hash: whose, and until when.
        self._tokens: dict[str, tuple[str, datetime]] = {}

    def load(self, state: StateFile) -> None:
        """Take over what a state file holds."""
        for name, row in state.rows("client"):
            self._clients[name] = (row["secret"], frozenset(row["services"]))
        for name, row in state.rows("token"):
            self._tokens[name] = (row["client_id"], datetime.fromisoformat(row["expires"]))

    def services_of(self, client_id: str) -> frozenset[str]:
        """Services that a client may use; none, if there is no such client."""
        return self._clients[client_id][1] if client_id in self._clients else frozenset()

    def has(self, client_id: str, client_secret: str) -> bool:
        """Tell whether these are the credentials of a client."""
        held = self._clients.get(client_id)
        return held is not None and _is_secret(client_secret, held[0])

    def add(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add a client, or change what it may use; with another secret, its tokens are worthless.

        :raises ValueError: if the credentials are none, see :func:`check_credentials`.
        """
        check_credentials(client_id, client_secret)
        if client_id in self._clients and not self.has(client_id, client_secret):
            self._drop_tokens_of(client_id)
        held = (_hashed(client_secret, secrets.token_hex(8)), frozenset(service_uuids))
        self._clients[client_id] = held
        self._saving.note("client", client_id, lambda: {"secret": held[0], "services": sorted(held[1])})

    def drop(self, client_secret: str) -> list[str]:
        """Drop all clients that have a secret, with their tokens, and tell which."""
        found = [name for name in self._clients if self.has(name, client_secret)]
        for name in found:
            del self._clients[name]
            self._saving.note("client", name, None)
            self._drop_tokens_of(name)
        return found

    def issue_token(self, client_id: str, client_secret: str, lifetime: float) -> str | None:
        """Give out a token for good credentials.

        :param lifetime: seconds that it is good for.
        """
        if not self.has(client_id, client_secret):
            return None
        now = self._clock.now()
        for name in [name for name, held in self._tokens.items() if held[1] <= now]:
            self._drop_token(name)
        token = secrets.token_urlsafe(32)
        name, held = _fingerprint(token), (client_id, now + timedelta(seconds=lifetime))
        self._tokens[name] = held
        self._saving.note("token", name, lambda: {"client_id": held[0], "expires": held[1].isoformat()})
        return token

    def revoke_tokens(self) -> None:
        """Make all tokens worthless."""
        for name in list(self._tokens):
            self._drop_token(name)

    def client_of(self, token: str) -> str | None:
        """Find whose token this is; None if it is not good any more."""
        held = self._tokens.get(_fingerprint(token))
        return held[0] if held is not None and held[1] > self._clock.now() else None

    def _drop_tokens_of(self, client_id: str) -> None:
        for name in [name for name, held in self._tokens.items() if held[0] == client_id]:
            self._drop_token(name)

    def _drop_token(self, name: str) -> None:
        del self._tokens[name]
        self._saving.note("token", name, None)


def check_credentials(client_id: object, client_secret: object) -> None:
    """Refuse what is no client id, or no secret.

    :raises ValueError: if one is no text, is empty, or cannot be sent.
    """
    for name, value in (("client_id", client_id), ("client_secret", client_secret)):
        if not isinstance(value, str):
            # Not the value: it is a secret all the same.
            raise ValueError(f"{name} must be a string, not {type(value).__name__}")
        if not value:
            # From a variable that is not set, for example.
            raise ValueError(f"{name} must not be empty")
        if not in_utf8(value):
            raise ValueError(f"{name} is no text that UTF-8 can hold")


def _fingerprint(token: str) -> str:
    # A token is long and random: its plain hash is as good as any, and quick.
    return hashlib.sha256(token.encode()).hexdigest()


def _hashed(secret: str, salt: str) -> str:
    """Make what is kept of a client secret: it is chosen by people, so the hash is a slow one."""
    digest = hashlib.scrypt(secret.encode(), salt=salt.encode(), n=2**10, r=8, p=1)
    return f"{salt}${digest.hex()}"


def _is_secret(secret: str, kept: str) -> bool:
    return secrets.compare_digest(_hashed(secret, kept.partition("$")[0]), kept)
