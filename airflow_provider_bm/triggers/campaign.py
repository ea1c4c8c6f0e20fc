"""The triggers: what waits without a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bm.exceptions import BMError

if TYPE_CHECKING:
    from airflow_provider_bm._compat import TaskInstance
    from airflow_provider_bm.waiting.wait import CampaignWait

log = logging.getLogger(__name__)

#: Stored in the metadata database of every deferred task: the public path, wherever the class moves.
_CLASS_PATH = "airflow_provider_bm.triggers.BMCampaignTrigger"

#: How long after the deadline the answer to a last look is waited for; less than Airflow's own net.
GRACE = timedelta(minutes=2)
#: Before Airflow 3.3 a trigger is cancelled without being told why.
_HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")


class BMCampaignTrigger(BaseTrigger):
    """Waits until a campaign is done, has failed, or time is up, and says which.

    The event is ``{"state": …, "reason": …, "campaign": …}``, with state ``done``, ``failed``, ``timeout``
    or ``error`` (then with ``permanent``). All triggers of a process with the same connection and service
    share one poller, which does all HTTP with the same client as everywhere, in one thread; nothing blocks
    the event loop.

    :param campaign_uuid: the campaign to wait for
    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :param target_status: done at this status
    :param executed_after: done when it has executed at this time or later (RFC 3339), instead
    :param failed_status: failed at one of these
    :param fields: optional parts of the campaign in the event: ``tasks``, ``messages``
    :param poke_interval: seconds between two looks, and up to a tenth more; others that wait on the same
        service may make it less
    :param deadline: time (RFC 3339) after which it gives up; None: never. It is absolute, so that a
        restart of the triggerer does not begin anew.
    :param stop_on_kill: stop the campaign if a person marks the deferred task as failed
    """

    def __init__(
        self,
        *,
        campaign_uuid: str,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        target_status: str = "finished",
        executed_after: str | None = None,
        failed_status: Sequence[str] = ("stopped",),
        fields: Sequence[str] = (),
        poke_interval: float = 60.0,
        deadline: str | None = None,
        stop_on_kill: bool = False,
    ) -> None:
        super().__init__()
        self.campaign_uuid = campaign_uuid
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        self.target_status = target_status
        self.executed_after = executed_after
        self.failed_status = failed_status
        self.fields = fields
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.stop_on_kill = stop_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments: ids and times, no secret."""
        return (
            _CLASS_PATH,
            {
                "campaign_uuid": self.campaign_uuid,
                "bm_conn_id": self.bm_conn_id,
                "service_uuid": self.service_uuid,
                "target_status": self.target_status,
                "executed_after": self.executed_after,
                "failed_status": list(self.failed_status),
                "fields": list(self.fields),
                "poke_interval": self.poke_interval,
                "deadline": self.deadline,
                "stop_on_kill": self.stop_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, until there is something to say."""
        wait = None
        try:
            wait = self._campaign_wait()
            yield await self._wait(wait)
        except asyncio.CancelledError:
            if not _HAS_ON_KILL:
                await self._stop_if_killed()
            raise
        except BMError as error:
            # Raised, it would come back as text, and the task could not know that retries are pointless.
            yield _event("error", str(error), wait, permanent=error.permanent)

    def _campaign_wait(self) -> CampaignWait:
        # Imported here: this module is also imported where DAGs are parsed, and these import requests.
        from airflow_provider_bm.waiting.wait import CampaignWait

        return CampaignWait.validated(
            self.campaign_uuid,
            target_status=self.target_status,
            executed_after=self.executed_after,
            failed_status=self.failed_status,
            fields=self.fields,
        )

    async def _wait(self, wait: CampaignWait) -> TriggerEvent:
        from airflow_provider_bm.polling.waiter import CampaignWaiter
        from airflow_provider_bm.triggers.subscription import subscribe

        deadline = datetime.fromisoformat(self.deadline) if self.deadline else None
        log.info("Watching campaign %s until %s", wait.campaign_uuid, self.deadline or "it is done")
        waiter = CampaignWaiter(wait, interval=self.poke_interval, deadline=deadline)
        timeout = None
        if deadline is not None:
            timeout = max(0.0, (deadline - datetime.now(UTC)).total_seconds()) + GRACE.total_seconds()
        with subscribe(waiter, self.bm_conn_id, self.service_uuid):
            verdict = await waiter.verdict(timeout)
        if verdict is None:
            return _event("timeout", f"It could not be looked at in time. {wait.last_seen()}", wait)
        if verdict.state == "waiting":
            return _event("timeout", wait.last_seen(), wait)
        return _event(verdict.state, verdict.reason, wait)

    async def on_kill(self) -> None:
        """A person has marked or cleared the deferred task (Airflow 3.3+)."""
        await self._stop_if_killed()

    async def _stop_if_killed(self) -> None:
        """Stop the campaign if its task instance has failed, however often this is cancelled meanwhile."""
        ti = self.task_instance
        if not self.stop_on_kill or ti is None:
            return
        # Every second, Airflow cancels anew what it has cancelled and what has not ended yet.
        stopping = asyncio.ensure_future(self._stop(ti))
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)

    async def _stop(self, ti: TaskInstance) -> None:
        from airflow.providers.common.compat.connection import get_async_connection
        from asgiref.sync import sync_to_async

        from airflow_provider_bm._compat import task_instance_state
        from airflow_provider_bm.hooks.bm import client_of
        from airflow_provider_bm.triggers.on_kill import ADVICE, stop_if_failed

        ended_late = self.deadline is not None and datetime.now(UTC) >= datetime.fromisoformat(self.deadline)
        if ended_late and not _HAS_ON_KILL:
            # Perhaps by Airflow, as the trigger did not end in time; newer ones do not call this then.
            log.info("Campaign %s goes on: the wait was over", self.campaign_uuid)
            return
        try:
            state = await sync_to_async(task_instance_state)(ti)
            client = client_of(await get_async_connection(self.bm_conn_id), self.service_uuid)
            try:
                await asyncio.to_thread(stop_if_failed, client, self.campaign_uuid, state)
            finally:
                client.close()
        except Exception:
            # A warning only: this cannot be distinguished from a triggerer that is shutting down.
            log.warning(
                "Campaign %s: it is not known whether its task instance has failed. %s",
                self.campaign_uuid,
                ADVICE,
                exc_info=True,
            )


def _event(state: str, reason: str, wait: CampaignWait | None, **more: Any) -> TriggerEvent:
    return TriggerEvent({"state": state, "reason": reason, "campaign": wait and wait.campaign, **more})
