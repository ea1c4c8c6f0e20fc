"""The trigger that waits for a campaign, without a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bm.exceptions import BMError
from airflow_provider_bm.waiting import CampaignWatch

if TYPE_CHECKING:
    from airflow_provider_bm.campaigns import Verdict
    from airflow_provider_bm.client import BMClient
    from airflow_provider_bm.killing import TaskInstance

log = logging.getLogger(__name__)

#: How long after the deadline the answer to a last look is waited for; less than Airflow's own net.
GRACE = timedelta(minutes=2)
#: Seconds between two looks at the least.
SHORTEST_PAUSE = 0.1
#: Before Airflow 3.3 a trigger is cancelled without being told why.
_HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")


class BMCampaignTrigger(BaseTrigger):
    """Waits until a campaign is done, has failed, or time is up, and says which.

    The event is ``{"state": …, "reason": …, "campaign": …}``, with state ``done``, ``failed``, ``timeout``
    or ``error`` (then with ``permanent``). All HTTP is done by the same client as everywhere, in a thread;
    nothing blocks the event loop.

    :param campaign_uuid: the campaign to wait for
    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :param target_status: done at this status
    :param executed_after: done when it has executed at this time or later (RFC 3339), instead
    :param failed_status: failed at one of these
    :param fields: optional parts of the campaign in the event: ``tasks``, ``messages``
    :param poke_interval: seconds between two looks, give or take a tenth
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
            f"{type(self).__module__}.{type(self).__qualname__}",
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
        """Look, until there is something to say."""
        from airflow.providers.common.compat.connection import get_async_connection

        # requests comes in with these; the module is imported where DAGs are parsed, too.
        from airflow_provider_bm.hooks import client_of

        watch = CampaignWatch(
            campaign_uuid=self.campaign_uuid,
            target_status=self.target_status,
            executed_after=datetime.fromisoformat(self.executed_after) if self.executed_after else None,
            failed_status=self.failed_status,
            fields=self.fields,
        )
        deadline = datetime.fromisoformat(self.deadline) if self.deadline else None
        log.info("Watching campaign %s until %s", self.campaign_uuid, self.deadline or "it is done")
        client = None
        try:
            client = client_of(await get_async_connection(self.bm_conn_id), self.service_uuid)
            while True:
                # The worker has just looked, so the first thing is to wait.
                await asyncio.sleep(self._pause(deadline))
                verdict = await self._look(watch, client, deadline)
                if verdict is None:
                    yield self._event("timeout", f"The API does not answer. {watch.last_seen()}", watch)
                    return
                if verdict.state != "waiting":
                    yield self._event(verdict.state, verdict.reason, watch)
                    return
                if deadline is not None and datetime.now(UTC) >= deadline:
                    yield self._event("timeout", watch.last_seen(), watch)
                    return
        except asyncio.CancelledError:
            if not _HAS_ON_KILL:
                await self._stop_if_killed()
            raise
        except BMError as error:
            # Raised, it would come back as text, and the task could not know that retries are pointless.
            yield self._event("error", str(error), watch, permanent=error.permanent)
        finally:
            if client is not None:
                client.close()

    @staticmethod
    async def _look(watch: CampaignWatch, client: BMClient, deadline: datetime | None) -> Verdict | None:
        """Look, in a thread; None if there is no answer even some time after the deadline."""
        looking = asyncio.ensure_future(asyncio.to_thread(watch.look, client))
        patience = None
        if deadline is not None:
            patience = max(0.0, (deadline - datetime.now(UTC)).total_seconds()) + GRACE.total_seconds()
        try:
            done, _ = await asyncio.wait({looking}, timeout=patience)
            return looking.result() if done else None
        finally:
            looking.cancel()

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

        from airflow_provider_bm.hooks import client_of
        from airflow_provider_bm.killing import state_of, stop

        if self.deadline is not None and datetime.now(UTC) >= datetime.fromisoformat(self.deadline):
            # Airflow has ended the trigger, since it did not do so by itself in time.
            return
        try:
            state = await sync_to_async(state_of)(ti)
            client = client_of(await get_async_connection(self.bm_conn_id), self.service_uuid)
            try:
                await asyncio.to_thread(stop, client, self.campaign_uuid, state)
            finally:
                client.close()
        except Exception:
            # Not to be told from a triggerer that is being ended, where this is no news.
            log.warning("It is not known whether campaign %s must stop", self.campaign_uuid, exc_info=True)

    def _pause(self, deadline: datetime | None) -> float:
        # Jitter, so that a thousand sensors of one schedule do not ask in the same second.
        pause = max(SHORTEST_PAUSE, self.poke_interval * random.uniform(0.9, 1.1))
        if deadline is None:
            return pause
        return max(0.0, min(pause, (deadline - datetime.now(UTC)).total_seconds()))

    @staticmethod
    def _event(state: str, reason: str, watch: CampaignWatch, **more: Any) -> TriggerEvent:
        return TriggerEvent({"state": state, "reason": reason, "campaign": watch.campaign, **more})
