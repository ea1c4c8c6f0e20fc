"""Counters in Airflow's metrics: ``bm.campaigns.created`` and others, see ``docs/operating.md``.

Values of tags are from small sets, such as the channel: never a name, an id or anything personal.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bm.exceptions import BMError, BMOutcomeUnknownError

if TYPE_CHECKING:
    from airflow_provider_bm.client.observer import Exchange

log = logging.getLogger(__name__)

#: All counters, each with its tags.
COUNTERS: Final[dict[str, tuple[str, ...]]] = {
    "bm.campaigns.created": ("sending_type",),
    "bm.campaigns.activated": ("sending_type",),
    "bm.campaigns.adopted": ("sending_type",),
    "bm.campaigns.refused": (),
    "bm.campaigns.unknown": (),
    "bm.requests.2xx": ("method",),
    "bm.requests.3xx": ("method",),
    "bm.requests.4xx": ("method",),
    "bm.requests.5xx": ("method",),
    "bm.requests.no_reply": ("method",),
    "bm.polls": (),
    "bm.waits.done": (),
    "bm.waits.failed": (),
    "bm.waits.timeout": (),
}
#: Duration of requests, in milliseconds.
TIMER: Final = "bm.requests.duration"
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _stats() -> Any:
    """Return Airflow's ``Stats``; None, with one warning, if this Airflow has none."""
    try:
        from airflow.providers.common.compat.sdk import Stats
    except ImportError:
        _warn_without_stats()
        return None
    return Stats


@functools.cache
def _warn_without_stats() -> None:
    log.warning("No metrics: this Airflow has no Stats. Update airflow-provider-bm.")


def count(name: str, **tags: str | None) -> None:
    """Add one to a counter. Never fails: metrics must not end a task.

    :param name: one of :data:`COUNTERS`
    :param tags: its tags; None: omitted
    """
    stats = _stats()
    if stats is None:
        return
    try:
        stats.incr(name, tags={key: value for key, value in tags.items() if value})
    except Exception:
        log.warning("The metric %s could not be sent", name, exc_info=True)


def observe_request(exchange: Exchange) -> None:
    """Count a request of the client; an :data:`~airflow_provider_bm.client.observer.Observer`."""
    method = exchange.method if exchange.method in _METHODS else "other"
    count(f"bm.requests.{exchange.status_class}", method=method)
    stats = _stats()
    if stats is not None:
        try:
            stats.timing(TIMER, exchange.seconds * 1000, tags={"method": method})
        except Exception:
            log.warning("The metric %s could not be sent", TIMER, exc_info=True)


def count_campaign(what: Literal["created", "activated", "adopted"], campaign: dict[str, Any]) -> None:
    """Count a campaign that a task has created, activated, or found."""
    from airflow_provider_bm.campaigns.constants import SENDING_TYPES

    channel = campaign.get("sending_type")
    count(f"bm.campaigns.{what}", sending_type=channel if channel in SENDING_TYPES else None)


def count_poll() -> None:
    """Count one poll for one waiting task or trigger."""
    count("bm.polls")


def count_wait(outcome: Literal["done", "failed", "timeout"]) -> None:
    """Count a wait that has ended."""
    count(f"bm.waits.{outcome}")


@contextmanager
def counting_refusals(unless: Callable[[], bool]) -> Iterator[None]:
    """Count the campaigns that a check or the server refuses in this context, and unknown outcomes.

    :param unless: errors are not counted once this is true
    """
    try:
        yield
    except (BMError, AirflowException) as error:
        causes = (error, error.__cause__ or error.__context__)
        if unless():
            pass
        elif any(isinstance(cause, BMOutcomeUnknownError) for cause in causes):
            count("bm.campaigns.unknown")
        elif isinstance(error, AirflowFailException) or (isinstance(error, BMError) and error.permanent):
            count("bm.campaigns.refused")
        raise
