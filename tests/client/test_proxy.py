"""Failures of a proxy: whether the request may have been sent."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.transport import _never_left
from airflow_provider_bm.exceptions import BMConnectError

SERVICE = "0b2d6c1e-7f0a-4c57-9a55-3d3c54a1d0a1"


class Proxy(threading.Thread):
    """A proxy that sends a fixed response to CONNECT, and closes the connection."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(daemon=True)
        self.answer, self.socket = answer, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)


@pytest.fixture
def client():
    def make(proxy: str) -> BMClient:
        settings = BMSettings(
            api_url="https://api.example.com/news/v1",
            token_url="https://accounts.example.com/token",
            client_id="me",
            client_secret="proxied-secret",
            service_uuid=SERVICE,
            proxies={"https": proxy},
        )
        return BMClient(settings, sleep=lambda _: None)

    return make


@pytest.mark.bm_live  # the proxy is local, the server behind it is not
def test_a_proxy_that_refuses_or_is_not_there(client):
    refusing = Proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    refusing.start()
    for url in (refusing.url, "http://127.0.0.1:1"):
        with pytest.raises(BMConnectError):
            client(url).list_campaigns().__next__()
    refusing.socket.close()


def test_environments_proxy_is_not_used_for_this_machine(new_client, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert list(new_client().list_campaigns()) == []


def test_a_connection_that_broke_behind_the_proxy_may_have_been_used():
    """urllib3 reports a proxy error here as well, since http.client no longer knows that it was connected."""
    from http.client import RemoteDisconnected

    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

    def error(original: Exception) -> requests.exceptions.ProxyError:
        reason = ProxyError("Unable to connect to proxy", original)
        return requests.exceptions.ProxyError(MaxRetryError(None, "/", reason))  # type: ignore[arg-type]

    assert not _never_left(error(RemoteDisconnected("closed")))
    assert not _never_left(error(ConnectionResetError()))
    assert not _never_left(error(ssl.SSLError("record layer failure")))
    assert _never_left(error(OSError("Tunnel connection failed: 403 Forbidden")))
    assert _never_left(error(NewConnectionError(None, "refused")))  # type: ignore[arg-type]
