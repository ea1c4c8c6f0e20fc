"""The trigger that waits for the campaigns of a batch without a worker."""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.triggers.campaign import FINAL_POLL_TIME

if TYPE_CHECKING:
    from airflow_provider_bm._compat import TaskInstance

log = logging.getLogger(__name__)

#: Stored in the metadata database of every deferred task: the public path, wherever the class moves.
CLASS_PATH = "airflow_provider_bm.triggers.BMCampaignBatchTrigger"
#: Before Airflow 3.3 a trigger is cancelled without a reason.
_HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")


class BMCampaignBatchTrigger(BaseTrigger):
    """Waits until all campaigns of a batch have ended, or the deadline has passed.

    The event is ``{"state": …, "reason": …}``, with state ``done``, ``failed``, ``timeout`` or ``error``
    (then with ``permanent``). It shares the poller of :class:`.BMCampaignTrigger`.

    :param campaigns: the campaigns, see :func:`pack_uuids`
    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :param poke_interval: seconds between two polls, and up to a tenth more
    :param deadline: time (RFC 3339) after which it gives up; None: never
    :param stop_on_kill: stop the campaigns if a person marks the deferred task as failed
    """

    def __init__(
        self,
        *,
        campaigns: str,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        poke_interval: float = 60.0,
        deadline: str | None = None,
        stop_on_kill: bool = False,
    ) -> None:
        super().__init__()
        self.campaigns = campaigns
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.stop_on_kill = stop_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments: ids and times, no secret."""
        return (
            CLASS_PATH,
            {
                "campaigns": self.campaigns,
                "bm_conn_id": self.bm_conn_id,
                "service_uuid": self.service_uuid,
                "poke_interval": self.poke_interval,
                "deadline": self.deadline,
                "stop_on_kill": self.stop_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        try:
            yield await self._wait()
        except asyncio.CancelledError:
            if not _HAS_ON_KILL:
                await self._stop_if_killed()
            raise
        except BMError as error:
            # If raised, it would reach the task as text, without the information that retries are pointless.
            reason = f"The campaigns of the batch could not be polled: {error}"
            yield _event("error", reason, permanent=error.permanent)

    async def _wait(self) -> TriggerEvent:
        # Imported here: this module is also imported where DAGs are parsed, and these import requests.
        from airflow_provider_bm.polling.batch_waiter import BatchWaiter
        from airflow_provider_bm.triggers.subscription import subscribe
        from airflow_provider_bm.waiting.batch import BatchWait

        wait = BatchWait(unpack_uuids(self.campaigns))
        deadline = datetime.fromisoformat(self.deadline) if self.deadline else None
        log.info("Watching %d campaigns until %s", len(wait.open_campaigns), self.deadline or "they are done")
        waiter = BatchWaiter(wait, interval=self.poke_interval, deadline=deadline)
        max_wait = None
        if deadline is not None:
            max_wait = (
                max(0.0, (deadline - datetime.now(UTC)).total_seconds()) + FINAL_POLL_TIME.total_seconds()
            )
        with subscribe(waiter, self.bm_conn_id, self.service_uuid):
            verdict = await waiter.verdict(max_wait)
        if verdict is None or verdict.state == "waiting":
            return _event("timeout", wait.last_seen())
        return _event(verdict.state, verdict.reason)

    async def on_kill(self) -> None:
        """Handle a person marking or clearing the deferred task (Airflow 3.3+)."""
        await self._stop_if_killed()

    async def _stop_if_killed(self) -> None:
        from airflow_provider_bm.triggers.on_kill import finish_despite_cancel

        ti = self.task_instance
        if self.stop_on_kill and ti is not None:
            await finish_despite_cancel(self._stop(ti))

    async def _stop(self, ti: TaskInstance) -> None:
        from airflow.providers.common.compat.connection import get_async_connection
        from asgiref.sync import sync_to_async

        from airflow_provider_bm._compat import task_instance_state
        from airflow_provider_bm.hooks.bm import client_of
        from airflow_provider_bm.triggers.on_kill import stop_all_if_failed

        uuids = unpack_uuids(self.campaigns)
        try:
            state = await sync_to_async(task_instance_state)(ti)
            client = client_of(await get_async_connection(self.bm_conn_id), self.service_uuid)
            try:
                await asyncio.to_thread(stop_all_if_failed, client, uuids, state)
            finally:
                client.close()
        except Exception:
            # A warning only: this cannot be distinguished from a triggerer that is shutting down.
            log.warning(
                "It is not known whether the task instance has failed; %d campaigns were not stopped. Look "
                "at them in the BM console.",
                len(uuids),
                exc_info=True,
            )


def pack_uuids(uuids: Iterable[str]) -> str:
    """Return UUIDs as one short string: a database may limit the arguments of a trigger to 65,535 bytes."""
    return base64.b64encode(b"".join(uuid.UUID(each).bytes for each in uuids)).decode()


def unpack_uuids(text: str) -> list[str]:
    """Return the UUIDs of :func:`pack_uuids`."""
    data = base64.b64decode(text)
    return [str(uuid.UUID(bytes=data[start : start + 16])) for start in range(0, len(data), 16)]


def _event(state: str, reason: str, **more: Any) -> TriggerEvent:
    return TriggerEvent({"state": state, "reason": reason, **more})
