"""Stop a campaign whose task was killed by a person, and for no other reason.

A worker's SIGTERM and a trigger's cancellation have many causes: a mark in the UI, a clear, a deployment.
Only the task instance's state distinguishes them: it is ``failed`` if a person (or Airflow, with no retries
left) has ended it, and anything else if another try continues with the campaign.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_bm.exceptions import BMCampaignStateError, BMError

if TYPE_CHECKING:
    from airflow_provider_bm._compat import TaskInstance
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Seconds that a killed worker process has: Airflow sends SIGKILL after five.
GRACE = 4.5
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


def stop_within_grace(
    ti: TaskInstance,
    campaign_uuid: str,
    make_client: Callable[[], BMClient],
    *,
    label: str = "",
    grace: float = GRACE,
) -> bool:
    """Stop the campaign of a worker's task that was killed, from the signal handler.

    Runs in a thread, so that a lock of the interrupted code cannot block it for longer than ``grace``. While
    the interrupted code is itself waiting for an answer from Airflow's supervisor, a second request gets
    none (Airflow 3.3), and the state of the task instance remains unknown.

    :param make_client: called in the thread
    :param label: UUID and name, for the log; default: the UUID
    :param grace: seconds to wait
    :return: False if it was still running after ``grace``
    """
    from airflow_provider_bm._compat import task_instance_state

    label = label or campaign_uuid
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
            stop_if_failed(make_client(), campaign_uuid, state, label=label)
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
            "answer in %.1f seconds. %s",
            label,
            grace,
            ADVICE,
        )
    return False
