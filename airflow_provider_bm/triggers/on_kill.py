"""Stop a campaign if a person has killed its task, and only then.

A worker's SIGTERM and a trigger's cancellation have many causes, such as a person marking or clearing the
task, or a deployment. Only the task instance's state distinguishes them: it is ``failed`` if a person (or
Airflow, with no retries left) has ended it, and has another state if another try continues with the campaign.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.exceptions import BMCampaignStateError, BMError

if TYPE_CHECKING:
    from airflow_provider_bm._compat import TaskInstance
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Seconds until a killed worker process must be done: Airflow sends SIGKILL after five.
GRACE = 4.5
#: Number of campaigns of a batch to stop at a time.
_STOPPED_AT_ONCE = 8
ADVICE = "It was not stopped; look at it in the BM console"


def stop_if_failed(client: BMClient, campaign_uuid: str, state: str | None, *, label: str = "") -> None:
    """Stop a campaign if its task instance has failed. Log the outcome; raise no error of the API.

    :param state: current state of the task instance
    :param label: UUID and name, for the log; default: the UUID
    """
    label = label or campaign_uuid
    if state != "failed":
        log.info("Campaign %s continues: its task instance is %s, not failed", label, state)
        return
    try:
        log.warning("The task was killed; stopping its campaign %s", label)
        client.set_campaign_status(campaign_uuid, "stopped")
    except BMCampaignStateError as error:
        log.info("%s", error)
    except BMError as error:
        log.error("Campaign %s could not be stopped; look at it in the BM console. %s", label, error)


def stop_all_if_failed(client: BMClient, campaign_uuids: Sequence[str], state: str | None) -> None:
    """Stop the campaigns of a batch if its task instance has failed, several at a time."""
    if state != "failed":
        log.info("%d campaigns continue: the task instance is %s", len(campaign_uuids), state)
        return
    with ThreadPoolExecutor(_STOPPED_AT_ONCE, thread_name_prefix="bm-on-kill") as pool:
        for uuid in campaign_uuids:
            pool.submit(stop_if_failed, client, uuid, state)


async def finish_despite_cancel(awaitable: Coroutine[Any, Any, object]) -> None:
    """Await something to its end, even if the current task is cancelled meanwhile."""
    # Every second, Airflow cancels tasks again that have not ended yet.
    running = asyncio.ensure_future(awaitable)
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(running)


def stop_within_grace(
    ti: TaskInstance,
    campaign_uuids: str | Sequence[str],
    make_client: Callable[[], BMClient],
    *,
    label: str = "",
    grace: float = GRACE,
) -> bool:
    """Stop the campaign of a worker's task that was killed, or its campaigns, from the signal handler.

    Runs in a thread, so that a lock of the interrupted code cannot block it for longer than ``grace``. While
    the interrupted code is itself waiting for an answer from Airflow's supervisor, a second request gets
    none (Airflow 3.3), and the state of the task instance remains unknown.

    :param make_client: called in the thread
    :param label: UUID and name, for the log; default: the UUID
    :param grace: seconds to wait
    :return: False if it was still running after ``grace``
    """
    from airflow_provider_bm._compat import task_instance_state

    label = label or str(campaign_uuids)
    state_known = threading.Event()

    def stop() -> None:
        try:
            state = task_instance_state(ti)
        except Exception:
            log.exception(
                "Campaign %s: it is not known whether its task instance has failed. %s", label, ADVICE
            )
            return
        state_known.set()
        try:
            if isinstance(campaign_uuids, str):
                stop_if_failed(make_client(), campaign_uuids, state, label=label)
            else:
                stop_all_if_failed(make_client(), campaign_uuids, state)
        except Exception:
            log.exception("Campaign %s could not be stopped; look at it in the BM console", label)

    thread = threading.Thread(target=stop, daemon=True, name="bm-on-kill")
    thread.start()
    thread.join(grace)
    if not thread.is_alive():
        return True
    if state_known.is_set():
        log.error("There was no time to stop campaign %s; look at it in the BM console", label)
    else:
        log.error(
            "Campaign %s: it is not known whether its task instance has failed, since Airflow did not "
            "respond within %.1f seconds. %s",
            label,
            grace,
            ADVICE,
        )
    return False
