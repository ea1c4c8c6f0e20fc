"""Limits of one HTTP exchange: a deadline for the whole of it, and the size of its response.

A read time-out only limits the wait for the next bytes, so a server that sends one byte at a time could
delay a request indefinitely; and a few compressed bytes can expand to gigabytes.
"""

from __future__ import annotations

import http.client
import io
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

from airflow_provider_bm.client.outbound_guard import check_outbound
from airflow_provider_bm.exceptions import BMResponseError

#: Maximum size of a decompressed response, in bytes.
MAX_BODY = 32 * 1024 * 1024
#: What the session accepts, and :func:`read_body` decompresses.
ACCEPT_ENCODING = "gzip"
_CHUNK = 64 * 1024

_deadline: ContextVar[float] = ContextVar("exchange_deadline", default=float("inf"))


class ExchangeTimeoutError(TimeoutError):
    """The deadline of an exchange has passed."""


@contextmanager
def exchange_deadline(seconds: float) -> Iterator[None]:
    """Limit each exchange of this thread to this time; :class:`DeadlineAdapter` enforces it."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket; each read times out at the deadline at the latest."""

    def __init__(self, raw: Any, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._timeout = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = _deadline.get() - time.monotonic()
        if remaining <= 0:
            raise ExchangeTimeoutError("the response is incomplete")
        self._sock.settimeout(remaining if self._timeout is None else min(remaining, self._timeout))
        try:
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            if time.monotonic() >= _deadline.get():
                raise ExchangeTimeoutError("the response is incomplete") from None
            raise
        finally:
            self._sock.settimeout(self._timeout)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """Reads status line, headers and body within the deadline."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # Not yet read from, so nothing is buffered.
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock))


class _DeadlineConnection:
    """Mixin for urllib3's connections."""

    response_class = _DeadlineResponse

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        # Name resolution has no time-out, and each address of a host may take the whole time-out.
        if time.monotonic() >= _deadline.get():
            self.close()  # type: ignore[attr-defined]
            raise ConnectTimeoutError(self, "connecting took too long; nothing was sent")


class DeadlineAdapter(HTTPAdapter):
    """An adapter without retries, whose connections enforce :func:`exchange_deadline`.

    It connects only to servers that the pytest plugin allows. Mocks, which replace it, may be called.
    """

    def __init__(self, conn_id: str | None = None) -> None:
        # No retries: an adapter cannot know which call may be repeated.
        super().__init__(max_retries=0)
        self._conn_id = conn_id

    def get_connection_with_tls_context(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a connection for a request that is about to be sent."""
        check_outbound(request.method or "", request.url or "", self._conn_id)
        return super().get_connection_with_tls_context(request, *args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools for direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _enforce_deadline(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """Return the pools of a proxy."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            _enforce_deadline(manager)
        return manager


def _enforce_deadline(manager: Any) -> None:
    def with_deadline(pool: Any) -> Any:
        connection = type(pool.ConnectionCls.__name__, (_DeadlineConnection, pool.ConnectionCls), {})
        return type(pool.__name__, (pool,), {"ConnectionCls": connection})

    manager.pool_classes_by_scheme = {
        scheme: with_deadline(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def read_body(response: requests.Response, call: str) -> None:
    """Read the body of a streamed response, decompress it, and put it back as ``response.raw``.

    :param call: the request, for messages
    :raises BMResponseError: it is too large, or not compressed as its headers say
    """
    chunks: Iterable[bytes] = response.raw.stream(_CHUNK, decode_content=False)
    encoding = _encoding(response.headers)
    if encoding in ("gzip", "x-gzip"):
        chunks = _decompressed(chunks, call)
    elif encoding:
        raise BMResponseError(f"The response to {call} has the encoding {encoding!r}, not {ACCEPT_ENCODING}")
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            response.close()
            raise BMResponseError(f"The response to {call} is larger than {MAX_BODY // 1024**2} MiB")
    response.raw = io.BytesIO(body)


def _encoding(headers: Mapping[str, str]) -> str:
    encoding = headers.get("Content-Encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def _decompressed(chunks: Iterable[bytes], call: str) -> Iterator[bytes]:
    decoder = None
    try:
        for chunk in chunks:
            while chunk:
                if decoder is None or decoder.eof:  # the next member of a gzip
                    decoder = zlib.decompressobj(wbits=31)
                yield decoder.decompress(chunk, _CHUNK)
                chunk = decoder.unconsumed_tail or decoder.unused_data
    except zlib.error as error:
        raise BMResponseError(
            f"The response to {call} is not the gzip that it claims to be ({error})"
        ) from None
    if decoder is not None and not decoder.eof:
        raise BMResponseError(f"The response to {call} is cut off")
