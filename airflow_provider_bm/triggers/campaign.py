"""The trigger that waits for a campaign without a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bm.exceptions import BMError, BMPayloadError, Problem

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm._compat import TaskInstance
    from airflow_provider_bm.client.settings import BMSettings
    from airflow_provider_bm.waiting.result import WaitResult
    from airflow_provider_bm.waiting.wait import CampaignWait

log = logging.getLogger(__name__)

#: Stored in the metadata database of every deferred task: the public path, wherever the class moves.
CLASS_PATH = "airflow_provider_bm.triggers.BMCampaignTrigger"

#: How long to wait for the final poll after the deadline; shorter than Airflow's own timeout.
FINAL_POLL_TIME = timedelta(minutes=2)
#: How much later Airflow's timeout is than the trigger's deadline: it only ends waits whose trigger has
#: died. A final poll may take as long as the client retries it.
DEFER_MARGIN = timedelta(minutes=5)
#: Before Airflow 3.3 a trigger is cancelled without a reason.
_HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")


class BMCampaignTrigger(BaseTrigger):
    """Waits until a campaign is done, has failed, or the deadline has passed.

    The event is ``{"state": …, "reason": …, "campaign": …}``, with state ``done``, ``failed``, ``timeout``
    or ``error`` (then with ``permanent``, and with ``invalid`` if an argument is). All triggers of a process
    with the same connection and service share one poller, which makes all requests with the usual
    client in one thread; nothing blocks the event loop.

    :param campaign_uuid: the campaign to wait for
    :param campaign_name: its name, for messages
    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account; None: the connection's
    :param target_status: done at this status
    :param executed_after: done when it has executed at this time or later (RFC 3339), instead
    :param failed_status: failed at one of these statuses
    :param fields: optional parts of the campaign in the event: ``tasks``, ``messages``
    :param poke_interval: seconds between two polls, and up to a tenth more; other waits for the same service
        may shorten it
    :param max_poke_interval: the interval doubles after each poll, up to this many seconds; None: it is
        constant
    :param deadline: time (RFC 3339) after which it gives up; None: never. It is absolute, so that a restart
        of the triggerer does not extend it.
    :param timeout: seconds after the start of the task, instead of ``deadline``, for a task that starts in
        the triggerer
    :param stop_on_kill: stop the campaign if a person marks the deferred task as failed
    :param end_from_trigger: end the task in the triggerer if the wait is done (Airflow 3.3+)
    :param soft_fail: with ``end_from_trigger``: skip the task if the wait has failed or timed out
    :param on_empty: with ``messages`` in ``fields``, if there are none: ``warn``, ``fail`` or ``skip``
    :param return_value: with ``end_from_trigger``: what the task returns, ``campaign`` or ``uuid``; None:
        no XCom except the link
    """

    def __init__(
        self,
        *,
        campaign_uuid: str,
        campaign_name: str | None = None,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        target_status: str = "finished",
        executed_after: str | None = None,
        failed_status: str | Sequence[str] = ("stopped",),
        fields: str | Sequence[str] = (),
        poke_interval: float = 60.0,
        max_poke_interval: float | None = None,
        deadline: str | None = None,
        timeout: float | None = None,
        stop_on_kill: bool = False,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
        on_empty: str = "warn",
        return_value: str | None = "campaign",
    ) -> None:
        super().__init__()
        self.campaign_uuid = campaign_uuid
        self.campaign_name = campaign_name
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        self.target_status = target_status
        self.executed_after = executed_after
        self.failed_status = failed_status
        self.fields = fields
        self.poke_interval = poke_interval
        self.max_poke_interval = max_poke_interval
        self.deadline = deadline
        self.timeout = timeout
        self.stop_on_kill = stop_on_kill
        self.end_from_trigger = end_from_trigger
        self.soft_fail = soft_fail
        self.on_empty = on_empty
        self.return_value = return_value
        self._unrendered: list[Problem] = []

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments: ids, a name and times, no secret."""
        return (
            CLASS_PATH,
            {
                "campaign_uuid": self.campaign_uuid,
                "campaign_name": self.campaign_name,
                "bm_conn_id": self.bm_conn_id,
                "service_uuid": self.service_uuid,
                "target_status": self.target_status,
                "executed_after": self.executed_after,
                "failed_status": _as_list(self.failed_status),
                "fields": _as_list(self.fields),
                "poke_interval": self.poke_interval,
                "max_poke_interval": self.max_poke_interval,
                "deadline": self.deadline,
                "timeout": self.timeout,
                "stop_on_kill": self.stop_on_kill,
                "end_from_trigger": self.end_from_trigger,
                "soft_fail": self.soft_fail,
                "on_empty": self.on_empty,
                "return_value": self.return_value,
            },
        )

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the arguments of a task that starts in the triggerer (Airflow 3.3+).

        :meth:`run` reports arguments that render to nothing: an ``executed_after`` of None, for example,
        would make the wait end at another time.
        """
        from airflow_provider_bm.campaigns.values import is_missing

        arguments = {name: getattr(self, name) for name in self.template_fields}
        super().render_template_fields(context, jinja_env)
        self._unrendered = [
            Problem(name, argument, "rendered to nothing")
            for name, argument in arguments.items()
            if argument is not None and is_missing(getattr(self, name))
        ]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        wait = None
        try:
            try:
                if self._unrendered:
                    raise BMPayloadError(self._unrendered, "wait for a campaign")
                wait = self._campaign_wait()
            except BMError as error:
                yield _event("error", str(error), wait, permanent=True, invalid=True)
                return
            yield await self._wait(wait)
        except asyncio.CancelledError:
            if not _HAS_ON_KILL:
                await self._stop_if_killed()
            raise
        except BMError as error:
            # If raised, it would reach the task as text, without the information that retries are pointless.
            label = wait.label if wait else self.campaign_uuid
            reason = f"Campaign {label} could not be polled: {error}"
            yield self._failure("error", reason, wait, permanent=error.permanent)

    def _campaign_wait(self) -> CampaignWait:
        # Imported here: this module is also imported where DAGs are parsed, and these import requests.
        from airflow_provider_bm.campaigns.ids import parse_uuid
        from airflow_provider_bm.metrics import count_poll
        from airflow_provider_bm.waiting.wait import CampaignWait

        if self.service_uuid is not None:
            parse_uuid(self.service_uuid, "service_uuid")
        wait = CampaignWait.validated(
            self.campaign_uuid,
            target_status=self.target_status,
            executed_after=self.executed_after,
            failed_status=self.failed_status,
            fields=self.fields,
        )
        wait.name = self.campaign_name
        wait.on_poll = count_poll
        return wait

    async def _wait(self, wait: CampaignWait) -> TriggerEvent:
        from airflow_provider_bm.polling.waiter import CampaignWaiter
        from airflow_provider_bm.triggers.subscription import subscribe

        deadline = self._deadline()
        log.info(
            "Watching campaign %s until %s", wait.label, deadline.isoformat() if deadline else "it is done"
        )
        is_start = self.timeout is not None
        waiter = CampaignWaiter(
            wait,
            interval=self.poke_interval,
            max_interval=self.max_poke_interval,
            deadline=deadline,
            poll_at_once=is_start,
        )
        max_wait = None
        if deadline is not None:
            max_wait = (
                max(0.0, (deadline - datetime.now(UTC)).total_seconds()) + FINAL_POLL_TIME.total_seconds()
            )
        if is_start:
            await self._read_draft_only(wait)
        with subscribe(waiter, self.bm_conn_id, self.service_uuid) as subscription:
            verdict = await waiter.verdict(max_wait)
            settings = subscription.settings
        if verdict is None:
            return self._failure("timeout", f"It could not be polled in time. {wait.last_seen()}", wait)
        if verdict.state == "waiting":
            return self._failure("timeout", wait.last_seen(), wait)
        if verdict.state == "failed":
            return self._failure("failed", verdict.reason, wait)
        return await self._done(verdict.reason, wait, settings)

    def _deadline(self) -> datetime | None:
        if self.deadline is not None:
            return datetime.fromisoformat(self.deadline)
        if self.timeout is None:
            return None
        from airflow_provider_bm._compat import trigger_timeout

        ends_at = trigger_timeout(self)
        if ends_at is None:
            # Airflow's own timeout still bounds the wait, from the start of the task.
            log.warning("Airflow does not report the timeout of the task; it is counted from now")
            return datetime.now(UTC) + timedelta(seconds=self.timeout)
        return ends_at - DEFER_MARGIN

    async def _read_draft_only(self, wait: CampaignWait) -> None:
        """Let the wait end at a draft that nothing can activate."""
        from airflow.providers.common.compat.connection import get_async_connection

        from airflow_provider_bm.hooks.bm import client_of

        client = client_of(await get_async_connection(self.bm_conn_id), self.service_uuid)
        wait.draft_only = client.settings.draft_only
        client.close()

    @property
    def _ends_here(self) -> bool:
        """Whether the task ends in the triggerer. In ``dag.test()`` there is none, and no task instance."""
        return self.end_from_trigger and self.task_instance is not None

    async def _done(self, reason: str, wait: CampaignWait, settings: BMSettings | None) -> TriggerEvent:
        from airflow_provider_bm.metrics import count_wait
        from airflow_provider_bm.waiting.result import nothing_sent, wait_result

        count_wait("done")
        campaign = wait.campaign or {}
        if wait.is_unsent_draft(campaign):
            result = nothing_sent(campaign, self.bm_conn_id)
        else:
            result = wait_result(campaign, fields=wait.fields, on_empty=self.on_empty)
        more = {"result": {"state": result.state, "warning": result.warning, "xcoms": result.xcoms}}
        if not self._ends_here or result.state == "failed":
            return _event("done", reason, wait, **more)
        from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent

        try:
            # Not as part of the event: Airflow 3.3.2 would store each value as a text of JSON.
            await asyncio.to_thread(self._push_xcoms, self._xcoms(wait, settings, result))
        except Exception:
            log.warning("The XComs could not be pushed, so the task ends on a worker", exc_info=True)
            return _event("done", reason, wait, **more)
        log.info("%s", reason)
        if result.warning:
            log.warning("%s", result.warning)
        return TaskSkippedEvent() if result.state == "skipped" else TaskSuccessEvent()

    def _push_xcoms(self, xcoms: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import XCom

        ti: Any = self.task_instance
        for key, value in xcoms.items():
            XCom.set(
                key=key,
                value=value,
                dag_id=ti.dag_id,
                task_id=ti.task_id,
                run_id=ti.run_id,
                map_index=ti.map_index,
            )

    def _xcoms(self, wait: CampaignWait, settings: BMSettings | None, result: WaitResult) -> dict[str, Any]:
        """Return what the task would push on a worker."""
        from airflow_provider_bm.links import XCOM_KEY, BMCampaignLink

        xcoms: dict[str, Any] = {}
        if self.return_value is not None:
            xcoms |= result.xcoms
            if self.return_value == "uuid":
                xcoms |= {"campaign": wait.campaign, "return_value": wait.campaign_uuid}
            else:
                xcoms["return_value"] = wait.campaign
        if settings is not None and settings.console_url:
            link = settings.console_url.replace("{campaign_uuid}", wait.campaign_uuid)
            # On a worker, Airflow itself pushes what its UI shows as the link.
            xcoms |= {XCOM_KEY: link, BMCampaignLink().xcom_key: link}
        return xcoms

    def _failure(self, state: str, reason: str, wait: CampaignWait | None, **more: Any) -> TriggerEvent:
        """Return the event of a wait that has failed: to a worker, unless the task is to be skipped."""
        from airflow_provider_bm.metrics import count_wait

        count_wait("timeout" if state == "timeout" else "failed")
        if not (self._ends_here and self.soft_fail):
            return _event(state, reason, wait, **more)
        from airflow.triggers.base import TaskSkippedEvent

        if state == "timeout":
            timeout_message(reason)
        else:
            log.error("%s", reason)
        log.info("Skipping due to soft_fail is set to True.")
        return TaskSkippedEvent()

    async def on_kill(self) -> None:
        """Handle a person marking or clearing the deferred task (Airflow 3.3+)."""
        await self._stop_if_killed()

    async def _stop_if_killed(self) -> None:
        """Stop the campaign if its task instance has failed, even if this is cancelled meanwhile."""
        ti = self.task_instance
        if not self.stop_on_kill or ti is None:
            return
        from airflow_provider_bm.triggers.on_kill import finish_despite_cancel

        await finish_despite_cancel(self._stop(ti))

    async def _stop(self, ti: TaskInstance) -> None:
        from airflow.providers.common.compat.connection import get_async_connection
        from asgiref.sync import sync_to_async

        from airflow_provider_bm._compat import task_instance_state
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.hooks.bm import client_of
        from airflow_provider_bm.triggers.on_kill import ADVICE, stop_if_failed

        label = campaign_label(self.campaign_uuid, {"name": self.campaign_name})
        ended_late = self.deadline is not None and datetime.now(UTC) >= datetime.fromisoformat(self.deadline)
        if ended_late and not _HAS_ON_KILL:
            # Possibly by Airflow, as the trigger did not end in time; newer versions do not call this then.
            log.info("Campaign %s continues: the wait was over", label)
            return
        try:
            state = await sync_to_async(task_instance_state)(ti)
            client = client_of(await get_async_connection(self.bm_conn_id), self.service_uuid)
            try:
                stop = partial(stop_if_failed, client, self.campaign_uuid, state, label=label)
                await asyncio.to_thread(stop)
            finally:
                client.close()
        except Exception:
            # A warning only: this cannot be distinguished from a triggerer that is shutting down.
            log.warning(
                "Campaign %s: it is not known whether its task instance has failed. %s",
                label,
                ADVICE,
                exc_info=True,
            )


def _as_list(value: str | Sequence[str]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _event(state: str, reason: str, wait: CampaignWait | None, **more: Any) -> TriggerEvent:
    return TriggerEvent({"state": state, "reason": reason, "campaign": wait and wait.campaign, **more})


def timeout_message(last_seen: Any) -> str:
    """Log and return the message of a wait that timed out."""
    message = f"The wait timed out; the campaign continues. {last_seen}"
    log.error("%s", message)
    return message
