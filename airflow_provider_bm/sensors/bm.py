"""A sensor that waits for a campaign, in poke or reschedule mode, or deferred."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_bm.links.bm import BMCampaignLink
from airflow_provider_bm.operators.base import DEFAULT_END_FROM_TRIGGER, BMTaskMixin

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_bm.waiting.result import OnEmpty
    from airflow_provider_bm.waiting.wait import CampaignWait

log = logging.getLogger(__name__)

_FAILURES_KEY = "bm_failed_polls"
_DEFAULT_DEFERRABLE: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
_START_FROM_TRIGGER: bool = conf.getboolean("bm", "start_from_trigger", fallback=False)
#: Airflow's base class would look it up for each task: a quarter of the time to construct a task.
_DEFAULT_TIMEOUT: float = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0)
#: Longest interval of a deferred sensor with ``exponential_backoff`` and without ``max_wait``, in seconds.
_MAX_BACKOFF = 3600.0


class BMCampaignSensor(BMTaskMixin, BaseSensorOperator):
    """Waits until a campaign has finished, or has executed, and returns it.

    The decision is the same in every mode. The sensor fails, without retries, if the campaign can no longer
    reach the awaited state: it was stopped or deleted, it finished without executing, or its status is
    unknown. The sensor keeps waiting for a draft, since a person may activate it, unless the connection is
    ``draft_only``: it then ends at once. Up to five consecutive transient poll failures are tolerated (none
    in ``reschedule`` mode before Airflow 3.3, which cannot count them).

    .. code-block:: python

        BMCampaignSensor(
            task_id="wait",
            campaign_uuid="{{ ti.xcom_pull('send') }}",
            deferrable=True,
        )

    :param campaign_uuid: the campaign to wait for (templated)
    :param target_status: wait for this status: ``active``, ``stopped``, ``finished`` (default) or ``draft``
        (templated)
    :param executed_after: wait until the campaign has executed at this time or later (its ``last_dt``),
        instead: an aware datetime or a text with offset, such as ``{{ data_interval_start }}``. For
        recurring campaigns, which do not finish. (templated)
    :param failed_status: statuses at which to fail (templated). Default: ``stopped``
    :param fields: optional parts of the returned campaign: ``tasks``, ``messages`` (templated). XCom stores
        what is returned: with ``messages``, phone numbers and texts. With ``messages``, the XCom ``messages``
        is their number.
    :param on_empty: with ``messages`` in ``fields``, if the campaign sent none: ``warn``, ``fail`` or
        ``skip``. Default: ``warn``
    :param deferrable: wait in the triggerer, without a worker slot. Default: Airflow's
        ``operators.default_deferrable``; True with ``start_from_trigger=True``
    :param start_from_trigger: start in the triggerer, without a worker process (Airflow 3.3+; otherwise it
        defers from a worker). Default: ``[bm] start_from_trigger`` of Airflow's configuration, False
    :param end_from_trigger: if deferred, end in the triggerer when the campaign is done (Airflow 3.3+).
        Default: ``[bm] end_from_trigger`` of Airflow's configuration, False
    :param bm_conn_id: Airflow connection of type ``bm`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    """

    template_fields: Sequence[str] = (
        "campaign_uuid",
        "target_status",
        "executed_after",
        "failed_status",
        "fields",
        "bm_conn_id",
        "service_uuid",
    )
    operator_extra_links = (BMCampaignLink(),)
    _worker_start_reason = ""

    def __init__(
        self,
        *,
        campaign_uuid: str | XComArg,
        target_status: str = "finished",
        executed_after: datetime | str | None = None,
        failed_status: str | Sequence[str] = ("stopped",),
        fields: str | Sequence[str] = (),
        on_empty: OnEmpty = "warn",
        deferrable: bool | None = None,
        start_from_trigger: bool | None = None,
        end_from_trigger: bool | None = None,
        timeout: float | timedelta = _DEFAULT_TIMEOUT,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        if deferrable is None:
            deferrable = _DEFAULT_DEFERRABLE or start_from_trigger is True
        self.campaign_uuid: Any = campaign_uuid
        self.target_status = target_status
        self.executed_after = executed_after
        self.failed_status = failed_status
        self.fields = fields
        self.on_empty = on_empty
        self.deferrable = deferrable
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(timeout=timeout, **kwargs)
        if end_from_trigger is None:
            end_from_trigger = DEFAULT_END_FROM_TRIGGER
        # Only if it has an effect: Airflow refuses such tasks if a plugin has listeners.
        self.end_from_trigger = end_from_trigger and deferrable
        if deferrable and (_START_FROM_TRIGGER if start_from_trigger is None else start_from_trigger):
            self._start_in_triggerer()

    def _why_on_worker(self, context: Context) -> str:
        """Return why the task runs on a worker although it should start in the triggerer."""
        if self.start_from_trigger and context["ti"].map_index not in (None, -1):
            return "Airflow cannot start a mapped task in the triggerer"
        return self._worker_start_reason or ("this is not a scheduled run" if self.start_from_trigger else "")

    def _start_in_triggerer(self) -> None:
        from airflow_provider_bm.triggers.start import start_arguments

        self.start_trigger_args, self._worker_start_reason = start_arguments(self)
        # Read by Airflow's scheduler.
        self.start_from_trigger = self.start_trigger_args is not None

    @cached_property
    def wait(self) -> CampaignWait:
        """The wait, validated before the first request."""
        from airflow_provider_bm.metrics import count_poll
        from airflow_provider_bm.waiting.wait import CampaignWait

        wait = CampaignWait.validated(
            self.campaign_uuid,
            target_status=self.target_status,
            executed_after=self.executed_after,
            failed_status=self.failed_status,
            fields=self.fields,
        )
        wait.on_poll = count_poll
        return wait

    @property
    def max_poke_interval(self) -> float | None:
        """Longest interval of the deferred wait, in seconds; None: the interval does not grow."""
        if not self.exponential_backoff:
            return None
        return self.max_wait.total_seconds() if self.max_wait else _MAX_BACKOFF

    def execute(self, context: Context) -> Any:
        """Wait; if deferrable, poll once before deferring."""
        from airflow_provider_bm.metrics import count_wait
        from airflow_provider_bm.triggers.deferral import defer_arguments, end_arguments, failing_fast

        self.check_rendered(context)
        with failing_fast():
            wait = self.wait
            self.push_link(context, wait.campaign_uuid)
        if not self.deferrable:
            try:
                campaign = super().execute(context)
            except AirflowSensorTimeout as error:
                count_wait("timeout")
                raise AirflowSensorTimeout(f"{error} {wait.last_seen()}") from error
            return campaign
        deadline = datetime.now(UTC) + timedelta(seconds=self.timeout)
        if reason := self._why_on_worker(context):
            log.info("start_from_trigger: %s; deferring from a worker", reason)
        try:
            seen = self.poke(context)
        except AirflowFailException as error:
            # As Airflow does in the other modes, and for the trigger's events.
            if self.soft_fail or getattr(self, "never_fail", False):
                raise AirflowSkipException(str(error)) from error
            raise
        if seen:
            return seen.xcom_value
        self.defer(
            **defer_arguments(
                wait,
                bm_conn_id=self.bm_conn_id,
                service_uuid=self.hook.client.settings.service_uuid,
                poke_interval=self.poke_interval,
                max_poke_interval=self.max_poke_interval,
                deadline=deadline,
                on_empty=self.on_empty,
                **end_arguments(self, end_from_trigger=self.end_from_trigger, return_value="campaign"),
            )
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once."""
        from airflow_provider_bm.metrics import count_wait
        from airflow_provider_bm.triggers.deferral import apply_result, fail_wait, failing_fast
        from airflow_provider_bm.waiting.result import nothing_sent, wait_result
        from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

        with failing_fast():
            wait = self.wait
            settings = self.hook.client.settings
        wait.draft_only = settings.draft_only
        with failing_fast(f"Campaign {wait.label} could not be polled"):
            store: Any = context.get("task_state_store") if self.reschedule else None
            if store is not None:
                wait.failures = int(store.get(_FAILURES_KEY, 0))
            elif self.reschedule:
                # Failures cannot be counted across processes, so the first failure is final.
                wait.failures = TOLERATED_FAILURES
            before = wait.failures
            verdict = wait.poll(self.hook.client)
            if store is not None and wait.failures != before:
                store.set(_FAILURES_KEY, wait.failures)
        if wait.campaign is not None:
            self.push_link(context, wait.campaign_uuid, wait.campaign)
        if verdict.state != "waiting":
            count_wait(verdict.state)
        if verdict.state == "failed":
            fail_wait(verdict.reason)
        log.info("%s", verdict.reason)
        if verdict.state == "done" and wait.campaign is not None:
            if wait.is_unsent_draft(wait.campaign):
                result = nothing_sent(wait.campaign, settings.conn_id)
            else:
                result = wait_result(wait.campaign, fields=wait.fields, on_empty=self.on_empty)
            apply_result(result, context, push=self.do_xcom_push)
        return PokeReturnValue(verdict.state == "done", wait.campaign)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger's event; an invalid argument fails the task even with ``soft_fail``."""
        event = (next_kwargs or {}).get("event")
        if isinstance(event, dict) and event.get("invalid"):
            raise AirflowFailException(event.get("reason"))
        return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Return the campaign from the trigger's event, or fail with the reason in it."""
        from airflow_provider_bm.campaigns import parse_uuid
        from airflow_provider_bm.exceptions import BMError
        from airflow_provider_bm.triggers.deferral import apply_result, campaign_from_event, result_from_event

        with contextlib.suppress(BMError):  # The event has the reason of a failure.
            self.push_link(context, parse_uuid(self.campaign_uuid))
        campaign = campaign_from_event(event)
        self.push_link(context, campaign["uuid"], campaign)
        apply_result(result_from_event(event), context, push=self.do_xcom_push)
        return campaign
