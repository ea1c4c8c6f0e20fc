"""What the sensor and waiting operators share: deferring, ending in the triggerer, and how a wait ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS, has_execute_hook
from airflow_provider_bm.exceptions import BMError, truncated_repr

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.waiting.result import WaitResult
    from airflow_provider_bm.waiting.wait import CampaignWait

log = logging.getLogger(__name__)


@contextmanager
def failing_fast(subject: str = "") -> Iterator[None]:
    """Turn permanent errors into AirflowFailException, which Airflow does not retry.

    :param subject: what failed, for the message; default: only the error is reported
    """
    try:
        yield
    except BMError as error:
        message = f"{subject}: {error}" if subject else str(error)
        if subject:
            # With soft_fail, Airflow replaces the message by its own.
            log.error("%s", message)
        if error.permanent:
            # The message is all that a person needs; Airflow would log the frames of libraries below it.
            raise AirflowFailException(message) from None
        if subject:
            raise AirflowException(message) from error
        raise


def seconds(value: float | timedelta) -> float:
    """Convert seconds or a timedelta to seconds: Airflow accepts both."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def worker_reason(task: Any) -> str | None:
    """Return why a task must end on a worker; None: it can end in the triggerer.

    There, Airflow (3.3) only sets the state.
    """
    if not HAS_TRIGGERER_TASKS:
        return "Airflow is older than 3.3"
    for attribute in ("outlets", "on_success_callback", "on_skipped_callback"):
        if getattr(task, attribute, None):
            return f"the task has {attribute}"
    if has_execute_hook(task, "post_execute"):
        return "the task has post_execute"
    return None


def defer_arguments(
    wait: CampaignWait,
    *,
    bm_conn_id: str,
    service_uuid: str | None,
    poke_interval: float,
    deadline: datetime,
    stop_on_kill: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return the arguments of ``defer`` for a wait that lasts until the deadline.

    :param more: further arguments of :class:`.BMCampaignTrigger`, see :func:`end_arguments`
    """
    from airflow_provider_bm.triggers.campaign import DEFER_MARGIN, BMCampaignTrigger

    condition = wait.condition

    trigger = BMCampaignTrigger(
        campaign_uuid=wait.campaign_uuid,
        campaign_name=(wait.campaign or {}).get("name"),
        bm_conn_id=bm_conn_id,
        service_uuid=service_uuid,
        target_status=condition.target_status,
        executed_after=condition.executed_after.isoformat() if condition.executed_after else None,
        failed_status=condition.failed_status,
        fields=wait.fields,
        poke_interval=poke_interval,
        deadline=deadline.isoformat(),
        stop_on_kill=stop_on_kill,
        **more,
    )
    return {
        "trigger": trigger,
        "method_name": "execute_complete",
        "timeout": max(timedelta(0), deadline - datetime.now(UTC)) + DEFER_MARGIN,
    }


def end_arguments(task: Any, *, end_from_trigger: bool, return_value: str) -> dict[str, Any]:
    """Return the arguments of the trigger for a task that may end in the triggerer.

    :param task: the task
    :param end_from_trigger: whether it should
    :param return_value: what it returns: ``campaign`` or ``uuid``
    """
    ends = end_from_trigger and worker_reason(task) is None
    soft_fail = bool(getattr(task, "soft_fail", False) or getattr(task, "never_fail", False))
    return {
        "end_from_trigger": ends,
        "soft_fail": ends and soft_fail,
        "return_value": return_value if task.do_xcom_push else None,
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
        from airflow_provider_bm.triggers.campaign import timeout_message

        raise AirflowSensorTimeout(timeout_message(event.get("reason")))
    if state == "error":
        log.error("%s", event.get("reason"))
        raise (AirflowFailException if event.get("permanent") else AirflowException)(event.get("reason"))
    raise AirflowException(f"Unexpected event from the trigger: {truncated_repr(event)}")


def result_from_event(event: Any) -> WaitResult:
    """Return how the task ends, from the event of a completed wait."""
    from airflow_provider_bm.waiting.result import WaitResult

    return WaitResult(**event.get("result", {}))


def apply_result(result: WaitResult, context: Context, *, push: bool) -> None:
    """Push the XComs of a completed wait, and end the task according to the result.

    :param push: whether the task pushes XComs
    :raises AirflowFailException: no message was sent, and ``on_empty="fail"``
    :raises AirflowSkipException: no message was sent, and ``on_empty="skip"``
    """
    if push:
        for key, value in result.xcoms.items():
            context["ti"].xcom_push(key=key, value=value)
    if result.state == "failed":
        fail_wait(result.warning)
    if result.state == "skipped":
        raise AirflowSkipException(result.warning)
    if result.warning:
        log.warning("%s", result.warning)


def fail_wait(reason: Any) -> NoReturn:
    """Fail a wait without retries: the campaign can no longer reach the awaited state."""
    # With soft_fail, Airflow replaces the reason by its own message.
    log.error("%s", reason)
    raise AirflowFailException(str(reason))
