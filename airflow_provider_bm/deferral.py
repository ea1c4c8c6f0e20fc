"""What sensor and waiting operators share: the watch, the deadline, and how a wait ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_bm.exceptions import BMError, shorten

if TYPE_CHECKING:
    from airflow_provider_bm.waiting import CampaignWatch

log = logging.getLogger(__name__)

#: How much later than the trigger's own deadline Airflow's ``defer(timeout=…)`` comes: a net, for a trigger
#: that died. A last look may take as long as the client repeats it.
NET = timedelta(minutes=5)


@contextmanager
def failing_fast() -> Iterator[None]:
    """Turn errors that no retry can mend into one that Airflow does not retry."""
    try:
        yield
    except BMError as error:
        if not error.permanent:
            raise
        raise AirflowFailException(str(error)) from error


def seconds(value: float | timedelta) -> float:
    """Seconds of a number or a timedelta, as Airflow takes both."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def defer_arguments(
    watch: CampaignWatch,
    *,
    bm_conn_id: str,
    service_uuid: str | None,
    poke_interval: float,
    deadline: datetime,
    stop_on_kill: bool = False,
) -> dict[str, Any]:
    """Arguments of ``defer`` that wait for a campaign until the deadline."""
    from airflow_provider_bm.triggers import BMCampaignTrigger

    trigger = BMCampaignTrigger(
        campaign_uuid=watch.campaign_uuid,
        bm_conn_id=bm_conn_id,
        service_uuid=service_uuid,
        target_status=watch.target_status,
        executed_after=watch.executed_after.isoformat() if watch.executed_after else None,
        failed_status=watch.failed_status,
        fields=watch.fields,
        poke_interval=poke_interval,
        deadline=deadline.isoformat(),
        stop_on_kill=stop_on_kill,
    )
    return {
        "trigger": trigger,
        "method_name": "execute_complete",
        "timeout": max(timedelta(0), deadline - datetime.now(UTC)) + NET,
    }


def outcome_of(event: Any) -> dict[str, Any]:
    """The campaign of the trigger's event, or the error that it stands for.

    :raises AirflowFailException: the campaign failed, or an error that no retry can mend
    :raises AirflowSensorTimeout: time is up
    """
    state = event.get("state") if isinstance(event, dict) else None
    if state == "done" and isinstance(event.get("campaign"), dict):
        log.info("%s", event.get("reason"))
        campaign: dict[str, Any] = event["campaign"]
        return campaign
    if state == "failed":
        failed(event.get("reason"))
    if state == "timeout":
        raise AirflowSensorTimeout(timed_out(event.get("reason")))
    if state == "error":
        raise (AirflowFailException if event.get("permanent") else AirflowException)(event.get("reason"))
    raise AirflowException(f"The trigger sent an event that is not one of its own: {shorten(event)}")


def failed(reason: Any) -> NoReturn:
    """End a wait for a campaign that did not end as it should; no retry would change it."""
    # With soft_fail, Airflow would replace the reason by its own.
    log.error("%s", reason)
    raise AirflowFailException(str(reason))


def timed_out(last_seen: Any) -> str:
    """The message of a wait whose time is up."""
    message = f"Time is up, and the campaign is not done; it goes on by itself. {last_seen}"
    log.error("%s", message)
    return message
