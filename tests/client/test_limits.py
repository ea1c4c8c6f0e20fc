"""The deadline of a request and the size limit of its response: servers that drip or send too much."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.limits import MAX_BODY
from airflow_provider_bm.client.retry import RetryPolicy, use_retry_policy
from airflow_provider_bm.exceptions import (
    BMOutcomeUnknownError,
    BMResponseError,
    BMTimeoutError,
)

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
ONE_TRY = RetryPolicy(max_tries=1)
CAMPAIGN = f'{{"uuid": "{UUID}", "status": "draft"}}'.encode()
TOKEN = b'{"access_token": "a-token-of-this-test"}'


class RawServer:
    """Answers API calls with whatever ``answer`` writes to the socket."""

    def __init__(self) -> None:
        self.answer: Callable[[socket.socket], None] = lambda _: None
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            request = connection.recv(65536)
            try:
                if b"/token" in request:
                    connection.sendall(ok(TOKEN))
                else:
                    self.answer(connection)
            except OSError:
                pass  # the client has closed the connection


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Connection: close", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.socket.close()


@pytest.fixture
def client(server) -> BMClient:
    settings = BMSettings(
        api_url=f"{server.url}/news/v1",
        token_url=f"{server.url}/token",
        client_id="client",
        client_secret="a-secret-of-this-test",
        service_uuid=UUID,
        timeout=0.25,
    )
    # There is no second try, since it would start too late.
    return BMClient(settings, sleep=lambda _: time.sleep(60))


def drip(head: bytes, filler: bytes) -> Callable[[socket.socket], None]:
    """Start a response, then send single bytes, each within the read timeout."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(filler)
            time.sleep(0.05)

    return answer


DRIPS = {
    "status line": drip(b"HTTP/1.1 2", b"0"),
    "headers": drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" "),
    "body until the end": drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("part", DRIPS)
def test_a_response_that_drips_times_out(server, client, part):
    server.answer = DRIPS[part]
    with (
        use_retry_policy(ONE_TRY),
        pytest.raises(BMTimeoutError, match=r"no complete response from .* within 0\.75 s"),
    ):
        client.get_campaign(UUID)


@pytest.mark.parametrize("part", DRIPS)
def test_a_write_that_exceeds_the_deadline_has_an_unknown_outcome(server, client, part):
    server.answer = DRIPS[part]
    payload = {
        "name": "Storm", "status": "draft", "sending_type": "sms", "template": "Hi", "sender": "BM",
        "recipient_lists": UUID, "schedule_type": "now",
    }  # fmt: skip
    with pytest.raises(BMOutcomeUnknownError, match=r"no complete response from .* within 0\.75 s") as caught:
        client.post_campaign(payload)
    assert isinstance(caught.value.__cause__, BMTimeoutError)


@pytest.mark.parametrize("part", DRIPS)
def test_the_deadline_applies_to_calls_with_the_session(server, client, part):
    server.answer = DRIPS[part]
    with pytest.raises(OSError, match=r".*"):
        client.session.get(client.list_url)


def test_a_slow_response_within_the_deadline_is_read(server, client):
    def answer(connection: socket.socket) -> None:
        response = ok(CAMPAIGN)
        for start in range(0, len(response), 40):
            connection.sendall(response[start : start + 40])
            time.sleep(0.05)

    server.answer = answer
    assert client.get_campaign(UUID)["uuid"] == UUID


@pytest.mark.parametrize(
    "compress", [gzip.compress, lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])]
)
def test_compressed_responses_are_read(server, client, compress):
    server.answer = lambda connection: connection.sendall(ok(compress(CAMPAIGN), "Content-Encoding: gzip"))
    assert client.get_campaign(UUID)["uuid"] == UUID
    assert client.session.get(client.list_url, stream=True).raw.read() == CAMPAIGN


def compressed_zeros(size: int) -> bytes:
    squeeze = zlib.compressobj(9, wbits=31)
    return b"".join(squeeze.compress(bytes(2**20)) for _ in range(size // 2**20)) + squeeze.flush()


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (ok(compressed_zeros(MAX_BODY + 2**20), "Content-Encoding: gzip"), "larger than 32 MiB"),
        (ok(bytes(MAX_BODY + 1)), "larger than 32 MiB"),
        (ok(b"x" * 99, "Content-Encoding: gzip"), "not the gzip"),
        (ok(gzip.compress(CAMPAIGN)[:-4], "Content-Encoding: gzip"), "cut off"),
        (ok(b"x" * 99, "Content-Encoding: br"), "encoding 'br'"),
        (ok(gzip.compress(gzip.compress(CAMPAIGN)), "Content-Encoding: gzip, gzip"), "encoding 'gzip, gzip'"),
    ],
    ids=["bomb", "large", "not gzip", "cut off", "brotli", "twice"],
)
def test_a_response_that_is_too_large_or_not_as_compressed_as_it_claims(
    server, client, response, message, monkeypatch
):
    monkeypatch.setattr(client.settings.__class__, "exchange_deadline", 60.0)
    server.answer = lambda connection: connection.sendall(response)
    with pytest.raises(BMResponseError, match=message):
        client.session.get(client.list_url, timeout=30)
    with use_retry_policy(ONE_TRY), pytest.raises(BMResponseError, match=message):
        client.get_campaign(UUID)
