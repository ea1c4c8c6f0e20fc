"""Tests may only connect to this machine.

Every other connection is refused, and the test that tried fails, even if the code under test handles the
refusal as a network error.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

_attempts: list[str] = []
_real_connect = socket.socket.connect
_real_connect_ex = socket.socket.connect_ex
_real_sendto = socket.socket.sendto
_real_getaddrinfo = socket.getaddrinfo
_real_gethostbyname = socket.gethostbyname


class NetworkRefusedError(OSError):
    """A test tried to reach another machine."""


def is_local(host: object) -> bool:
    """Whether a host is this machine, without a name lookup."""
    if host is None:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name.lower() in ("", "localhost", "localhost.localdomain", socket.gethostname().lower()):
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _check(what: str, host: object) -> None:
    if not is_local(host):
        attempt = f"{what} {host!r}"
        _attempts.append(attempt)
        raise NetworkRefusedError(f"tests may only use loopback, but one tried to {attempt}")


def _check_address(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        _check("connect to", address[0])


def _connect(self: socket.socket, address: Any) -> None:
    _check_address(self, address)
    _real_connect(self, address)


def _connect_ex(self: socket.socket, address: Any) -> int:
    _check_address(self, address)
    return _real_connect_ex(self, address)


def _sendto(self: socket.socket, data: Any, *args: Any) -> int:
    _check_address(self, args[-1])
    return _real_sendto(self, data, *args)


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    _check("look up", host)
    return _real_getaddrinfo(host, *args, **kwargs)


def _gethostbyname(host: str) -> str:
    _check("look up", host)
    return _real_gethostbyname(host)


def install() -> None:
    """Guard every socket of this process."""
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.socket.sendto = _sendto  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = _getaddrinfo
    socket.gethostbyname = _gethostbyname


def take_attempts() -> list[str]:
    """Return what was refused since the last call."""
    attempts = _attempts[:]
    _attempts.clear()
    return attempts


@contextlib.contextmanager
def expected_refusal() -> Iterator[None]:
    """Allow a test to try on purpose."""
    before = len(_attempts)
    yield
    if len(_attempts) == before:
        raise AssertionError("nothing tried to reach another machine")
    del _attempts[before:]
