"""Serving: requests per second of the sandbox on one core."""

from __future__ import annotations

import socket
import statistics
import time
from dataclasses import dataclass

from benchmarks.child import Child

CAMPAIGNS = 1000
PAGE = 20
SECONDS, QUICK_SECONDS = 2.0, 0.5
RUNS = 3


@dataclass
class Served:
    """Median of the requests per second over one connection.

    :ivar cpu: seconds of the sandbox's CPU for each request
    """

    name: str
    rate: float
    cpu: float


def run(seconds: float, sandbox: Child) -> list[Served]:
    where = sandbox.ask("where")
    staged = sandbox.ask("stage", count=CAMPAIGNS)
    campaigns = f"/news/v1/services/{where['service_uuid']}/campaigns"
    paths = {
        "GET one campaign": f"{campaigns}/{staged['uuids'][0]}",
        f"list of a page of {PAGE}, of {CAMPAIGNS}": f"{campaigns}?page_size={PAGE}",
    }
    found = []
    for name, path in paths.items():
        _ask(where["port"], path, staged["token"], 0.2)
        cpu, rates, total = sandbox.ask("cpu"), [], 0
        for _ in range(RUNS):
            count, took = _ask(where["port"], path, staged["token"], seconds)
            rates.append(count / took)
            total += count
        found.append(Served(name, statistics.median(rates), (sandbox.ask("cpu") - cpu) / total))
    return found


def _ask(port: int, path: str, token: str, seconds: float) -> tuple[int, float]:
    """Repeat a request as fast as possible, with minimal work in the client."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    count, began = 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as replies:
        while (took := time.monotonic() - began) < seconds:
            connection.sendall(request)
            status, length = replies.readline(), 0
            assert status.split()[1] == b"200", status
            while (line := replies.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            replies.read(length)
            count += 1
    return count, took
