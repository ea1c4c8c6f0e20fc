"""What sensor and waiting operators share: deferring, the deadline, and how a wait ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_bm.exceptions import BMError, truncated_repr

if TYPE_CHECKING:
    from airflow_provider_bm.waiting.wait import CampaignWait

log = logging.getLogger(__name__)

#: How much later than the trigger's own deadline ``defer(timeout=…)`` is: it only ends waits whose trigger
#: died. A last poll may take as long as the client retries it.
DEFER_MARGIN = timedelta(minutes=5)


@contextmanager
def failing_fast() -> Iterator[None]:
    """Turn permanent errors into AirflowFailException, which Airflow does not retry."""
    try:
        yield
    except BMError as error:
        if not error.permanent:
            raise
        raise AirflowFailException(str(error)) from error


def seconds(value: float | timedelta) -> float:
    """Convert seconds or a timedelta to seconds: Airflow accepts both."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def defer_arguments(
    wait: CampaignWait,
    *,
    bm_conn_id: str,
    service_uuid: str | None,
    poke_interval: float,
    deadline: datetime,
    stop_on_kill: bool = False,
) -> dict[str, Any]:
    """Return the arguments of ``defer`` for a wait that lasts until the deadline."""
    from airflow_provider_bm.triggers.campaign import BMCampaignTrigger

    condition = wait.condition

    trigger = BMCampaignTrigger(
        campaign_uuid=wait.campaign_uuid,
        bm_conn_id=bm_conn_id,
        service_uuid=service_uuid,
        target_status=condition.target_status,
        executed_after=condition.executed_after.isoformat() if condition.executed_after else None,
        failed_status=condition.failed_status,
        fields=wait.fields,
        poke_interval=poke_interval,
        deadline=deadline.isoformat(),
        stop_on_kill=stop_on_kill,
    )
    return {
        "trigger": trigger,
        "method_name": "execute_complete",
        "timeout": max(timedelta(0), deadline - datetime.now(UTC)) + DEFER_MARGIN,
    }


def campaign_from_event(event: Any) -> dict[str, Any]:
    """Return the campaign of the trigger's event, or raise the error that the event reports.

    :raises AirflowFailException: the wait failed, or a permanent error
    :raises AirflowSensorTimeout: the wait timed out
    """
    state = event.get("state") if isinstance(event, dict) else None
    if state == "done" and isinstance(event.get("campaign"), dict):
        log.info("%s", event.get("reason"))
        campaign: dict[str, Any] = event["campaign"]
        return campaign
    if state == "failed":
        fail_wait(event.get("reason"))
    if state == "timeout":
        raise AirflowSensorTimeout(timeout_message(event.get("reason")))
    if state == "error":
        raise (AirflowFailException if event.get("permanent") else AirflowException)(event.get("reason"))
    raise AirflowException(f"Unexpected event from the trigger: {truncated_repr(event)}")


def fail_wait(reason: Any) -> NoReturn:
    """Fail a wait without retries: the campaign cannot reach the awaited state any more."""
    # With soft_fail, Airflow replaces the reason by its own message.
    log.error("%s", reason)
    raise AirflowFailException(str(reason))


def timeout_message(last_seen: Any) -> str:
    """Log and return the message of a wait that timed out."""
    message = f"The wait timed out; the campaign continues. {last_seen}"
    log.error("%s", message)
    return message
