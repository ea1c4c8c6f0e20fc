"""The sensor that waits for a campaign: poking, rescheduling, or deferred."""

from __future__ import annotations

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
from airflow_provider_bm.operators.base import BMTaskMixin

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.waiting.wait import CampaignWait

_FAILURES_KEY = "bm_failed_looks"
_DEFAULT_DEFERRABLE: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
#: Airflow's base class would look it up again for each task: a quarter of what making one costs.
_DEFAULT_TIMEOUT: float = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0)


class BMCampaignSensor(BMTaskMixin, BaseSensorOperator):
    """Waits until a campaign has finished, or has executed, and returns it as it ended.

    Poking, rescheduling and deferred it decides the same. It fails, without retries, if the campaign can
    no longer get there: it was stopped or deleted, it finished without executing, or its status was never
    heard of. A draft is waited for, since a person may activate it. Five failed looks in a row are put up
    with if the error is a passing one (none in ``reschedule`` mode before Airflow 3.3, where nobody can
    count them).

    .. code-block:: python

        BMCampaignSensor(
            task_id="wait",
            campaign_uuid="{{ ti.xcom_pull('send') }}",
            deferrable=True,
        )

    :param campaign_uuid: the campaign to wait for (templated)
    :param target_status: wait for this status: ``active``, ``stopped``, ``finished`` or ``draft`` (templated)
    :param executed_after: wait until the campaign has executed at this time or later (its ``last_dt``),
        instead: an aware datetime or a text with offset, such as ``{{ data_interval_start }}``. For
        recurring campaigns, which do not finish. (templated)
    :param failed_status: statuses at which to fail (templated)
    :param fields: optional parts of the returned campaign: ``tasks``, ``messages`` (templated). XCom keeps
        what is returned: with ``messages``, phone numbers and texts.
    :param deferrable: wait in the triggerer, without a worker slot; default: Airflow's
        ``operators.default_deferrable``
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

    def __init__(
        self,
        *,
        campaign_uuid: str,
        target_status: str = "finished",
        executed_after: datetime | str | None = None,
        failed_status: str | Sequence[str] = ("stopped",),
        fields: str | Sequence[str] = (),
        deferrable: bool = _DEFAULT_DEFERRABLE,
        timeout: float | timedelta = _DEFAULT_TIMEOUT,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid = campaign_uuid
        self.target_status = target_status
        self.executed_after = executed_after
        self.failed_status = failed_status
        self.fields = fields
        self.deferrable = deferrable
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(timeout=timeout, **kwargs)

    @cached_property
    def wait(self) -> CampaignWait:
        """The wait, validated before the first request."""
        from airflow_provider_bm.waiting.wait import CampaignWait

        return CampaignWait.validated(
            self.campaign_uuid,
            target_status=self.target_status,
            executed_after=self.executed_after,
            failed_status=self.failed_status,
            fields=self.fields,
        )

    def execute(self, context: Context) -> Any:
        """Wait; deferred, look once before."""
        from airflow_provider_bm.triggers.deferral import defer_arguments, failing_fast

        self.check_rendered(context)
        with failing_fast():
            wait = self.wait
            self.push_link(context, wait.campaign_uuid)
        if not self.deferrable:
            try:
                return super().execute(context)
            except AirflowSensorTimeout as error:
                raise AirflowSensorTimeout(f"{error} {wait.last_seen()}") from error
        deadline = datetime.now(UTC) + timedelta(seconds=self.timeout)
        try:
            seen = self.poke(context)
        except AirflowFailException as error:
            # As Airflow does for the other modes, and for what the trigger says.
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
                deadline=deadline,
            )
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        from airflow_provider_bm.triggers.deferral import fail_wait, failing_fast
        from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES

        with failing_fast():
            wait = self.wait
            store: Any = context.get("task_state_store") if self.reschedule else None
            if store is not None:
                wait.failures = int(store.get(_FAILURES_KEY, 0))
            elif self.reschedule:
                # Nobody can count from one process to the next, so the first failure is one too many.
                wait.failures = TOLERATED_FAILURES
            before = wait.failures
            verdict = wait.poll(self.hook.client)
            if store is not None and wait.failures != before:
                store.set(_FAILURES_KEY, wait.failures)
        if verdict.state == "failed":
            fail_wait(verdict.reason)
        self.log.info("%s", verdict.reason)
        return PokeReturnValue(verdict.state == "done", wait.campaign)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Return the campaign that the trigger saw, or fail with what it says."""
        from airflow_provider_bm.triggers.deferral import campaign_from_event

        campaign = campaign_from_event(event)
        self.push_link(context, campaign["uuid"])
        return campaign
