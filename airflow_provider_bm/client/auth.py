"""One access token per process and set of credentials, shared by all threads."""

from __future__ import annotations

import copy
import hashlib
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMError

#: A token is renewed when this share of its lifetime is left, at most five minutes before it expires.
_MARGIN_SHARE = 0.1
_MAX_MARGIN = 300.0


class Token(NamedTuple):
    """An access token and the time it may be used for, in seconds from now."""

    value: str
    lifetime: float


class TokenCache:
    """Caches one token; fetches it when there is none, or when it is about to expire.

    Fetching a token locks the cache: other threads wait for the same request, and share its error if it
    fails.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._value: str | None = None
        self._previous: str | None = None
        self._failure: BMError | None = None
        self._failed_at = 0.0
        self._renew_at = 0.0

    def get(self, fetch: Callable[[], Token], *, rejected: str | None = None) -> str:
        """Return a token that should work.

        :param fetch: gets a new token
        :param rejected: a token that the server has just refused; it is renewed unless another thread
            has already done so
        """
        called_at = self._clock()
        with self._lock:
            if self._value is None or self._value == rejected or self._clock() >= self._renew_at:
                # Threads that waited share the failure instead of retrying one after another.
                if self._failure is not None and self._failed_at > called_at:
                    raise copy.copy(self._failure)
                # The clock is read first: a slow reply must not make the token look younger.
                requested_at = self._clock()
                try:
                    token = fetch()
                except BMError as error:
                    self._failure, self._failed_at = copy.copy(error), self._clock()
                    raise
                margin = min(_MAX_MARGIN, token.lifetime * _MARGIN_SHARE)
                self._value, self._previous = token.value, self._value
                self._renew_at = requested_at + token.lifetime - margin
            return self._value

    @property
    def value(self) -> str | None:
        """The current token; does not fetch one."""
        return self._value

    def known(self) -> list[str]:
        """The last two tokens, to remove them from texts."""
        return [value for value in (self._value, self._previous) if value]


_caches: dict[tuple[str, str, str], TokenCache] = {}
_caches_lock = threading.Lock()


def token_cache(settings: BMSettings) -> TokenCache:
    """The cache of this process for these credentials."""
    digest = hashlib.sha256(settings.client_secret.encode()).hexdigest()
    key = (settings.token_url, settings.client_id, digest)
    with _caches_lock:
        return _caches.setdefault(key, TokenCache())


def forget_tokens() -> None:
    """Drop all tokens of this process, and any lock that another thread held when it was forked."""
    global _caches_lock
    _caches_lock = threading.Lock()
    _caches.clear()


# A task process forked while another thread was fetching a token would wait for that thread indefinitely.
os.register_at_fork(after_in_child=forget_tokens)
