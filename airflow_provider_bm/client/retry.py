"""Which errors pass, how long to wait for it, and when to give up."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import tenacity

from airflow_provider_bm.client.assumptions import PASSING_STATUSES
from airflow_provider_bm.exceptions import BMAPIError, BMError

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Tries of one call, and seconds after which no further one is begun.
MOST_TRIES = 5
LONGEST_TIME = 60.0
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for; it may hold seconds or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


def _wait(state: tenacity.RetryCallState) -> float:
    """Exponential, with jitter, and never earlier than the server asked for."""
    wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (state.attempt_number - 1)) * random.uniform(0.5, 1.0)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, BMAPIError) else None
    return wait if asked is None else asked + wait * 0.2


def passes(error: BaseException) -> bool:
    """Whether an error may be gone a little later."""
    if isinstance(error, BMError) and error.of_token:
        return False  # the token was asked for again and again already
    if isinstance(error, BMAPIError):
        return error.status in PASSING_STATUSES
    return isinstance(error, BMError) and not error.permanent


def _tell(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "BM call failed (try %d of %d), next in %.1f s: %s",
        state.attempt_number,
        MOST_TRIES,
        state.upcoming_sleep,
        error,
    )


def repeat(
    call: Callable[[], T],
    sleep: Callable[[float], None],
    *,
    after: Callable[[BaseException], bool] = passes,
    longest: float | None = None,
) -> T:
    """Make a call, until it succeeds, fails for good, or time is up.

    :param after: the errors after which it is safe to repeat it
    :param longest: seconds after which no further try is begun
    :raises BMError: the last one. At once, if the server asks for a longer wait than there is time.
    """
    longest = LONGEST_TIME if longest is None else longest
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(after),
        wait=_wait,
        stop=tenacity.stop_after_attempt(MOST_TRIES) | tenacity.stop_before_delay(longest),
        sleep=sleep,
        before_sleep=_tell,
        reraise=True,
    )(call)
