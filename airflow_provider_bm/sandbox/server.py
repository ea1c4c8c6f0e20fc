"""HTTP: sockets, connections, and faults at that level."""

from __future__ import annotations

import itertools
import json
import logging
import random
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from airflow_provider_bm.sandbox import page
from airflow_provider_bm.sandbox.access import sent_by_a_page
from airflow_provider_bm.sandbox.control import Control
from airflow_provider_bm.sandbox.errors import ApiError, error_body
from airflow_provider_bm.sandbox.faults import Fault
from airflow_provider_bm.sandbox.http_messages import Reply, Request, json_reply
from airflow_provider_bm.sandbox.operations import Operations

log = logging.getLogger("airflow_provider_bm.sandbox")

CONTROL_PATH: Final = "/_sandbox"
MAX_BODY: Final = 10_000_000
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}

Handle = Callable[[Request], Reply]
#: Records the reply to a request, or None if there is none.
Finish = Callable[[Reply | None], None]


class Server(ThreadingHTTPServer):
    """The HTTP server: one thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Operations) -> None:
        """Bind, but do not serve yet."""
        self.sandbox = sandbox
        self.control = Control(sandbox)
        self.numbers = itertools.count(1)
        self.stopping = threading.Event()
        self._ended = threading.Event()
        self._wake = socket.socketpair()
        #: No connection is accepted before this time (of the monotonic clock).
        self._down_until = 0.0
        self._noticed = threading.Event()
        #: Open connections, and the thread that serves each.
        self._open: dict[socket.socket, int] = {}
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse DNS lookup of ``HTTPServer``, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A client that disconnects before it is accepted must not block the others.
        self.socket.setblocking(False)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def track(self, connection: socket.socket) -> None:
        """Remember an open connection."""
        with self._lock:
            self._open[connection] = threading.get_ident()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def run(self) -> None:
        """Serve until :meth:`close`; unlike ``serve_forever``, which polls, this ends at once."""
        listening = True
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ)
                selector.register(self._wake[0], selectors.EVENT_READ)
                while not self.stopping.is_set():
                    down_for = self._down_until - time.monotonic()
                    if listening and down_for > 0:
                        selector.unregister(self.socket)
                        self._stop_listening()
                    elif not listening and down_for <= 0:
                        self.server_activate()
                        selector.register(self.socket, selectors.EVENT_READ)
                    listening = down_for <= 0
                    self._noticed.set()
                    for key, _ in selector.select(None if listening else down_for):
                        if key.fileobj is self.socket:
                            self._accept()
                        else:
                            self._wake[0].recv(64)
        finally:
            self._ended.set()
            self._noticed.set()

    def _stop_listening(self) -> None:
        # A socket that is bound but does not listen keeps the port, and connections are refused.
        self.socket.close()
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for a while, and close all open ones but the caller's.

        :param seconds: 0 to accept connections again
        """
        self._down_until = time.monotonic() + seconds
        self._noticed.clear()
        self._wake[1].send(b"x")
        self._noticed.wait()
        if seconds:
            self._hang_up(besides=threading.get_ident())

    def _accept(self) -> None:
        try:
            connection, address = self.get_request()
        except OSError:
            return  # the client has disconnected
        try:
            self.process_request(connection, address)
        except Exception:
            log.exception("a connection from %s could not be served", address)
            self.shutdown_request(connection)

    def close(self) -> None:
        """Stop serving, and close the connections that clients keep open."""
        self.stopping.set()
        self._wake[1].send(b"x")
        self._ended.wait()
        self.server_close()
        for end in self._wake:
            end.close()
        self._hang_up()

    def _hang_up(self, besides: int | None = None) -> None:
        with self._lock:
            for connection in [each for each, thread in self._open.items() if thread != besides]:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    log.debug("a connection was already closed")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of a connection at debug level: mostly clients that disconnect."""
        log.debug("connection from %s ended: %r", client_address, sys.exception())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.number = next(self.server.numbers)
        self.server.track(self.connection)

    def __getattr__(self, name: str) -> Any:
        # The base class looks for do_METHOD: the routes decide about methods, not it.
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        # Not self.path: the base class collapses slashes at the beginning.
        target = self.requestline.split()[1]
        try:
            body = self._read_body()
        except ApiError as error:
            self.close_connection = True  # the rest of the stream cannot be parsed
            reply = json_reply(error.status, error.body)
            self.server.sandbox.record(Request(self.command, target, self.headers), self.number)(reply)
            self._send(reply)
            return
        request = Request(self.command, target, self.headers, body)
        if (request.path + "/").startswith(CONTROL_PATH + "/") or page.serves(request.path):
            self._send(self._call(self.server.control.handle, request))
            return
        finish = self.server.sandbox.record(request, self.number)
        if sent_by_a_page(request):
            reply = json_reply(
                403, error_body(403, "The API is not for web pages: the request has an Origin header.")
            )
            finish(reply)
            self._send(reply)
            return
        fault = self.server.sandbox.scripted_faults.match(request.method, request.path)
        if fault is None:
            reply = self._call(self.server.sandbox.api.handle, request)
            finish(reply)
            log.info("%s %s %d", request.method, request.shown, reply.status)
            self._send(reply)
        else:
            self._serve_faulty(request, fault, finish)

    def _serve_faulty(self, request: Request, fault: Fault, finish: Finish) -> None:
        log.info("%s %s is hit by fault %d", request.method, request.shown, fault.id)
        self.server.stopping.wait(fault.delay)
        if fault.drop or (fault.refuse and not fault.lose_reply):
            self._hang_up(fault, finish)
            return
        if fault.revoke_token:
            self.server.sandbox.revoke_tokens()
        request.body = _merged(request.body, fault.change_request)
        reply = (
            self._call(self.server.sandbox.api.handle, request)
            if fault.applies
            else Reply(fault.status or 502)
        )
        reply = _changed(reply, fault)
        self.server.stopping.wait(fault.delay_after)
        if fault.lose_reply:
            self._hang_up(fault, finish)
            return
        finish(reply)
        if fault.truncate:
            self.close_connection = True
            self._send(reply, half=True)
        else:
            self._send(reply)

    def _hang_up(self, fault: Fault, finish: Finish) -> None:
        self.close_connection = True
        finish(None)
        if fault.refuse:
            # Before the client notices, so that its next connection is refused, too.
            self.server.refuse(fault.refuse)

    def _call(self, handle: Handle, request: Request) -> Reply:
        try:
            return handle(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.shown or request.path)
            return json_reply(500, error_body(500))

    def _read_body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise ApiError(411)
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            raise ApiError(400, "The Content-Length is not a number.")
        if int(length[:19]) > MAX_BODY:
            raise ApiError(413)
        body = self.rfile.read(int(length)) if int(length) else b""
        if len(body) < int(length):
            raise ApiError(400, "The body is shorter than its Content-Length.")
        return body

    def _send(self, reply: Reply, *, half: bool = False) -> None:
        status = reply.status
        phrase = _PHRASES.get(status, "Unknown")
        headers = {
            "Date": format_datetime(self.server.sandbox.clock.now(), usegmt=True),
            "Server": "bm-sandbox",
        } | reply.headers
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{n}: {v}" for n, v in headers.items() if v is not None)]
        # A 204 or 304 has no body by definition, and no Content-Length.
        bodiless = status in (204, 304)
        if not bodiless:
            lines.append(f"Content-Length: {len(reply.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        body = b"" if bodiless or self.command == "HEAD" else reply.body
        if half:
            # Without a body, cut the status line: clients accept any complete head.
            head, body = (head, body[: len(body) // 2]) if body else (head[:10], b"")
        # One write: two would wait for an acknowledgement on some systems.
        self.wfile.write(head + body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer invalid HTTP requests with the API's error body; called by the base class."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        self._send(json_reply(int(code), error_body(int(code), message)))

    def log_message(self, *_: Any) -> None:
        """Suppress the base class's log lines, which contain whole URLs."""


def _changed(reply: Reply, fault: Fault) -> Reply:
    if fault.html:
        page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
        reply = Reply(fault.status or 502, page, {"Content-Type": "text/html"})
    elif fault.garbage:
        noise = b"{" + random.Random(fault.id).randbytes(max(64, len(reply.body)))
        reply = Reply(fault.status or reply.status, noise, {"Content-Type": "application/json"})
    elif fault.status is not None:
        reply = json_reply(fault.status, error_body(fault.status))
    if isinstance(fault.body, str):
        reply.body = fault.body.encode()
    elif fault.body is not None:
        reply = json_reply(reply.status, fault.body, reply.headers)
    reply.body = _merged(reply.body, fault.change_reply)
    for name, value in fault.headers.items():
        for same in [same for same in reply.headers if same.lower() == name.lower()]:
            del reply.headers[same]
        # As the sandbox writes them, so that "server" replaces its own.
        reply.headers[name.title()] = None if value is None else str(value)
    return reply


def _merged(body: bytes, changes: Mapping[str, Any]) -> bytes:
    """Merge changes into a JSON object; None removes a property. Other bodies are not changed."""
    try:
        content = json.loads(body) if changes else None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return body
    merged = {name: value for name, value in {**content, **changes}.items() if value is not None}
    return json.dumps(merged, ensure_ascii=False).encode("utf-8", "replace")
