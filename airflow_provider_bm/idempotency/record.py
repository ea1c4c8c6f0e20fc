"""A task instance's record of its request, in ``task_state_store`` (Airflow 3.3+; before, there is none)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from airflow_provider_bm.exceptions import BMTransportError
from airflow_provider_bm.idempotency.timing import Stopwatch, Timing

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

#: The key in ``task_state_store``.
STATE_KEY: Final = "bm_campaign"
#: How often to record an intent if Airflow takes too long.
_MAX_INTENTS: Final = 3


class StateStore(Protocol):
    """The part of Airflow's ``task_state_store`` that is used."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""


@dataclass(kw_only=True)
class Record:
    """The record of one task instance.

    An intent is recorded before each request that can send, in the server's time: workers' clocks differ.

    :param client: the API, which knows the server's time
    :param store: Airflow's ``task_state_store``; None before 3.3: then nothing is recorded
    """

    client: BMClient
    store: StateStore | None
    timing: Timing

    def read(self) -> dict[str, Any]:
        """Return the record; empty if there is none."""
        found = self.store.get(STATE_KEY) if self.store is not None else None
        if found is None or isinstance(found, dict):
            return dict(found or {})
        # Not a record of this package: assume an intent at an unknown time.
        return {"intent_dt": None}

    def write(self, **record: Any) -> None:
        """Replace the record."""
        if self.store is not None:
            self.store.set(STATE_KEY, record)

    def intend(self, *, lease: float = 0.0, **record: Any) -> Stopwatch:
        """Record that a request is about to leave. It must leave at once, or within the lease.

        :param lease: seconds within which requests may leave; the recorded time is their end
        :return: a stopwatch that was started just before
        :raises BMTransportError: Airflow took too long to record it; nothing was sent
        """
        for _ in range(_MAX_INTENTS):
            self.client.ensure_token()
            server_now = self.client.server_now()
            watch = Stopwatch(self.timing)
            moment = (server_now or self.timing.now()) + timedelta(seconds=lease)
            self.write(
                intent_dt=moment.isoformat(), intent_clock="server" if server_now else "local", **record
            )
            if watch.elapsed <= self.client.settings.latest_replay:
                return watch
        raise BMTransportError(
            "Airflow took too long to record in its state store that a request is about to be sent; nothing "
            "was sent."
        )

    def remaining(self, record: dict[str, Any]) -> timedelta:
        """Return how much longer the request of an intent may be in flight: at most one whole window.

        The whole window, unless both times are by the server's clock.
        """
        window = self.timing.in_flight_window(self.client)
        intended, server_now = intent_time(record), self.client.server_now()
        if intended is None or server_now is None or record.get("intent_clock") != "server":
            return window
        return min(window, max(timedelta(0), intended + window - server_now))


def intent_time(record: dict[str, Any]) -> datetime | None:
    """Return the time of a recorded intent, or None if it is missing or invalid."""
    try:
        moment = datetime.fromisoformat(str(record["intent_dt"]))
    except (KeyError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
