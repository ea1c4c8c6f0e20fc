"""The sandbox of the benchmark, in a separate process. It counts requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.http_messages import Request
from airflow_provider_bm.sandbox.server import Server
from benchmarks.child import answer_all

#: Longer than any benchmark. Advancing the clock by it ends all campaigns at once.
EXECUTION_SECONDS = 24 * 3600.0
#: Backlog for thousands of simultaneous connection attempts.
Server.request_queue_size = 4096


class CountingSandbox(Sandbox):
    """Counts requests, connections, and polls: campaigns read one by one or in lists."""

    def __init__(self) -> None:
        super().__init__(execution_seconds=EXECUTION_SECONDS)
        self._counting = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.polls = self.total = 0
        self.connections: set[int] = set()
        self.connections_of_round: set[int] = set()

    def record(self, request: Request, connection: int) -> Callable[[int], None]:
        polls = 0
        if request.method == "GET" and request.path.rpartition("/")[2] != "campaigns":
            polls = 1
        elif request.method == "GET" and not self.ignore_filters:
            polls = sum(len(value.split(",")) for name, value in request.pairs if name == "in(uuid)")
        with self._counting:
            self.polls += polls
            self.total += 1
            self.connections.add(connection)
            self.connections_of_round.add(connection)
        return super().record(request, connection)

    # Commands

    def stage(self, count: int, ignore_filters: bool = False, hidden: bool = False) -> dict[str, Any]:
        """Create active campaigns, which :meth:`finish` ends, and one that has ended.

        :param hidden: answer 404 instead of a campaign until then, for those who wait for that
        """
        self.reset()
        self.ignore_filters = ignore_filters
        ended = self.create(status="finished")["uuid"]
        uuids = [self.create(status="active", name=f"Campaign {number}")["uuid"] for number in range(count)]
        if hidden:
            self.fault(method="GET", path=f"campaigns/(?!{ended})", status=404, times=None)
        with self.store.lock:
            token = self.store.clients.issue_token(self.client_id, self.client_secret, 4 * EXECUTION_SECONDS)
        return {"uuids": uuids, "ended": ended, "token": token}

    def draft(self) -> str:
        """Delete all campaigns, and create a draft to clone."""
        self.reset()
        uuid: str = self.create(status="draft", template="Hello {first_name}. {headline}")["uuid"]
        return uuid

    def tally(self, forget: bool = False, round_ended: bool = False) -> dict[str, Any]:
        """Return the counts."""
        with self._counting:
            found = {
                "polls": self.polls,
                "requests": self.total,
                "connections": len(self.connections),
                "connections_of_round": len(self.connections_of_round),
            }
            if forget:
                self._forget()
            if round_ended:
                self.connections_of_round.clear()
        return found

    def finish(self) -> float:
        """End all campaigns, and return the time by the clock that all processes share."""
        with self.store.lock:
            self.clock.advance(2 * EXECUTION_SECONDS)
            self.store.run_due()
            self.clear_faults()
            return time.monotonic()

    def where(self) -> dict[str, Any]:
        """Return the connection to the sandbox."""
        return {
            "url": self.url,
            "port": self.port,
            "api_url": self.api_url,
            "service_uuid": self.service_uuid,
            "connection": self.connection_json(),
        }


def main() -> None:
    with CountingSandbox() as sandbox:
        answer_all(
            {
                name: getattr(sandbox, name)
                for name in ("draft", "stage", "tally", "finish", "where", "requests")
            }
            | {"cpu": time.process_time}
        )


if __name__ == "__main__":
    main()
