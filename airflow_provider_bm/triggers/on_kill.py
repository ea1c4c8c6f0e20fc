"""Stopping a campaign whose task was killed by a person, and never for any other reason.

A worker's SIGTERM and a trigger's cancellation have many causes: a mark in the UI, a clear, a deployment.
Only the task instance's state tells them apart: it is ``failed`` if a person (or Airflow, for good) has
ended it, and anything else if another try goes on with the campaign.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_bm.exceptions import BMCampaignStateError, BMError

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Seconds that a killed worker process has: Airflow kills it for good after five.
GRACE = 4.5


class TaskInstance(Protocol):
    """What identifies a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def task_instance_state(ti: TaskInstance) -> str | None:
    """The state of a task instance as Airflow has it now. Blocks: not for an event loop."""
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:
        return _state_in_database(ti)
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
    )
    # By run, then by task: "task_id", or "task_id_map_index" for a mapped one.
    found = list(states.get(ti.run_id, {}).values())
    return str(getattr(found[0], "value", found[0])) if len(found) == 1 and found[0] else None


def _state_in_database(ti: TaskInstance) -> str | None:
    """Airflow 2, where tasks and triggers may read the database."""
    from airflow.models.taskinstance import TaskInstance as Model
    from airflow.utils.session import create_session

    with create_session() as session:
        row = (
            session.query(Model.state)
            .filter_by(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
            .one_or_none()
        )
    return None if row is None or row.state is None else str(row.state)


def stop_if_failed(client: BMClient, campaign_uuid: str, state: str | None) -> None:
    """Stop a campaign, if its task instance has failed. Logs, and raises nothing of the API's.

    :param state: of the task instance, now
    """
    if state != "failed":
        log.info("Campaign %s goes on: its task instance is %s, not failed", campaign_uuid, state)
        return
    try:
        log.warning("The task was killed; stopping its campaign %s", campaign_uuid)
        client.set_campaign_status(campaign_uuid, "stopped")
    except BMCampaignStateError as error:
        log.info("%s", error)
    except BMError as error:
        log.error("Campaign %s could not be stopped; look at it in the BM console. %s", campaign_uuid, error)


def run_within_grace(call: Callable[[], Any], seconds: float = GRACE) -> None:
    """Make a call from a signal handler: in a thread, so that no lock of the interrupted one blocks it."""

    def guarded() -> None:
        try:
            call()
        except Exception:
            log.exception("The campaign may be going on; look at it in the BM console")

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        log.error("There was no time to stop the campaign; look at it in the BM console")
