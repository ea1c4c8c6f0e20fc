"""Failures of a proxy: whether the request may have been sent."""

from __future__ import annotations

import socket
import ssl
import threading
from http.client import RemoteDisconnected

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.exceptions import BMConnectError, BMTransportError

TOKEN_URL = "https://accounts.example.com/token"
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
            token_url=TOKEN_URL,
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


@pytest.mark.parametrize(
    ("original", "error"),
    [
        (RemoteDisconnected("closed"), BMTransportError),
        (ConnectionResetError(), BMTransportError),
        (ssl.SSLError("record layer failure"), BMTransportError),
        (OSError("Tunnel connection failed: 403 Forbidden"), BMConnectError),
        (NewConnectionError(None, "refused"), BMConnectError),
    ],
    ids=repr,
)
def test_a_connection_that_broke_behind_the_proxy_may_have_been_used(client, requests_mock, original, error):
    """urllib3 reports a proxy error here as well, since http.client no longer knows that it was connected."""
    reason = MaxRetryError(None, "/", ProxyError("Unable to connect to proxy", original))
    requests_mock.post(TOKEN_URL, exc=requests.exceptions.ProxyError(reason))
    with pytest.raises(BMTransportError) as caught:
        client("http://127.0.0.1:1").refresh_token()
    assert type(caught.value) is error
