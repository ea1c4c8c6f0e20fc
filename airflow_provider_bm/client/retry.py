"""How long to wait between tries, and when to give up."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import tenacity

from airflow_provider_bm.exceptions import BMAPIError, BMError, RetryClass

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long one call is tried, and the waits in between.

    :param max_tries: tries of one call. Usually time ends them.
    :param max_seconds: seconds after which no further try begins
    :param first_wait: seconds before the second try; doubled from try to try
    :param longest_wait: seconds between two tries at most, unless the server asks for more
    """

    max_tries: int = 20
    max_seconds: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 15.0


#: What this process uses; see :func:`use_retry_policy`.
active = RetryPolicy()


@contextmanager
def use_retry_policy(policy: RetryPolicy) -> Iterator[RetryPolicy]:
    """Use another policy until the end of the block. For tests."""
    global active
    before, active = active, policy
    try:
        yield policy
    finally:
        active = before


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for; it may be seconds or a date (RFC 9110, 10.2.3).

    :param now: the time of the response's own ``Date``, since the server's clock may differ from ours
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = (moment - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


def may_repeat(error: BMError) -> bool:
    """Whether a call that is safe to carry out twice may be repeated after an error."""
    if error.retry_class is RetryClass.UNKNOWN:
        return not error.permanent
    return error.retry_class is RetryClass.REPEAT


def repeat(
    call: Callable[[], T],
    sleep: Callable[[float], None],
    *,
    may_repeat: Callable[[BMError], bool],
    longest: float | None = None,
) -> T:
    """Make a call until it succeeds, fails permanently, or time is up.

    :param may_repeat: decides after which errors to repeat it
    :param longest: seconds after which no further try begins; default: the policy's ``max_seconds``
    :raises BMError: the last one. At once, if the server asks for a longer wait than there is time.
    """
    policy = active
    seconds = policy.max_seconds if longest is None else longest

    def time_is_up(state: tenacity.RetryCallState) -> bool:
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        return state.attempt_number >= policy.max_tries or spent + state.upcoming_sleep >= seconds

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, BMError) and may_repeat(error)),
        wait=_wait,
        stop=time_is_up,
        sleep=sleep,
        before_sleep=_log_retry,
        reraise=True,
    )(call)


def _wait(state: tenacity.RetryCallState) -> float:
    """Exponential with jitter, and never less than the server asked for."""
    longest = min(active.longest_wait, active.first_wait * 2.0 ** min(state.attempt_number - 1, 10))
    wait = longest * random.uniform(0.5, 1.0)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, BMAPIError) else None
    return wait if asked is None else max(wait, asked + wait * 0.2)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "BM call failed (try %d), next in %.1f s: %s", state.attempt_number, state.upcoming_sleep, error
    )
