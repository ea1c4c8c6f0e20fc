"""One response that drips, a byte at a time, does not stall the waits for other campaigns."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.polling.helpers import active, end, finished, results, rows
from tests.support.virtual_time import run


@pytest.fixture
def dripping(frozen) -> Iterator[ThreadingHTTPServer]:
    """A server with the sandbox's campaigns. It refuses lists, and drips the response of ``server.slow``."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def reply(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(200, {"access_token": "not-a-real-token", "token_type": "Bearer", "expires_in": 3600})

        def do_GET(self) -> None:
            uuid = self.path.partition("?")[0].rpartition("/")[2]
            if uuid == "campaigns":
                self.reply(400, {})
            elif uuid != self.server.slow:
                self.reply(200, rows(frozen)[uuid])
            else:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                try:
                    while not stop.wait(0.02):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                except OSError:
                    pass  # the client has given up

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.slow, server.stop = "", stop
    # Real seconds, after which the test has failed.
    watchdog = threading.Timer(30, stop.set)
    watchdog.start()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    watchdog.cancel()
    stop.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_finished_campaigns_are_reported_although_one_response_drips(process, frozen, dripping):
    (slow,) = active(frozen, 1)
    uuids = finished(frozen, 20)
    dripping.slow = slow
    url = f"http://127.0.0.1:{dripping.server_port}"
    process.settings = replace(
        process.settings, api_url=f"{url}/news/v1", token_url=f"{url}/token", timeout=0.1
    )

    async def main():
        first = process.start(slow)
        tasks = process.start(*uuids)
        assert await results(*tasks) == ["done"] * 20
        await end(*first)

    run(main())
    assert not dripping.stop.is_set(), "the response never ended"
