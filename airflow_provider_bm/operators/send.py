"""Create and clone: put a campaign on its way, and wait for it if asked to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, conf

from airflow_provider_bm.links.bm import BMCampaignLink
from airflow_provider_bm.operators.base import BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

DEFAULT_DEFERRABLE: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
SEVEN_DAYS = timedelta(days=7)


class SubmitOperator(BMOperator):
    """Base of create and clone, which set these from their arguments.

    :ivar wait_for_completion: wait until the campaign has finished
    :ivar deferrable: wait in the triggerer, without a worker slot; default: Airflow's
        ``operators.default_deferrable``
    :ivar poke_interval: seconds (or a timedelta) between two looks
    :ivar timeout: seconds (or a timedelta) to wait at most; the campaign goes on by itself
    :ivar stop_on_kill: stop the campaign if the task is killed while it waits
    :ivar deduplicate: mark the campaign's name, and look for it where an earlier request may have made it
    :ivar staged: make a draft first, and activate it once it is known to be the only one
    """

    operator_extra_links = (BMCampaignLink(),)
    name: str | None
    status: str | None
    wait_for_completion: bool
    deferrable: bool
    poke_interval: float | timedelta
    timeout: float | timedelta
    stop_on_kill: bool
    deduplicate: bool
    staged: bool
    #: The task instance and the campaign, as long as ``on_kill`` has something to stop.
    _waiting: tuple[Any, dict[str, Any]] | None = None

    def post(self, **marks: str) -> tuple[dict[str, Any], Callable[[], dict[str, Any]]]:
        """Return the checked payload, and what sends it.

        :param marks: campaign fields that come before the task's own
        """
        raise NotImplementedError

    def submit(self, context: Context) -> dict[str, Any]:
        """Make the campaign; with ``deduplicate``, one for all tries of the task instance."""
        from airflow_provider_bm.exceptions import BMOutcomeUnknownError
        from airflow_provider_bm.idempotency.draft_first import StagedCampaign
        from airflow_provider_bm.idempotency.find_or_create import OneCampaign, marked, task_key

        self._check()
        payload, send = self.post()
        ti = context["ti"]
        if not self.deduplicate:
            if ti.try_number > 1:
                self.log.warning("deduplicate=False: an earlier try may have sent this campaign already")
            return _sent(payload, send)
        key = task_key(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        marks = {"name": marked(payload.get("name") or f"{ti.dag_id}.{ti.task_id}", key)}
        payload, send = self.post(**marks)
        client, store = self.hook.client, context.get("task_state_store")
        one: OneCampaign | StagedCampaign
        # A draft needs no staging, and draft_only makes one of every campaign.
        if self.staged and payload.get("status") == "active" and not client.settings.draft_only:
            send = self.post(**marks, status="draft")[1]
            one = StagedCampaign(client=client, name=payload["name"], store=store)
        else:
            one = OneCampaign(
                client=client,
                name=payload["name"],
                tried_before=ti.try_number > 1,
                # `airflow tasks test`, which counts no tries before Airflow 3.
                run_before=getattr(ti, "test_mode", False) is True,
                store=store,
            )
        try:
            return one.submit(lambda: _sent(payload, send), payload)
        except BMOutcomeUnknownError as error:
            # The next try looks before it sends, so Airflow may go on with it.
            raise AirflowException(
                f"{error.what}. Leave it to the retries, or clear the task: it looks again before it sends."
            ) from error

    def _check(self) -> None:
        """Check what is not the campaign's, before anything is sent."""
        from airflow_provider_bm.exceptions import BMPayloadError, Problem
        from airflow_provider_bm.triggers.deferral import seconds

        problems = []
        if self.staged and not self.deduplicate:
            problems.append(Problem("staged", True, "needs deduplicate=True"))
        if self.status is None:
            # It would be sent, though nobody has said so.
            problems.append(Problem("status", None, "must be active or draft"))
        for name in ("poke_interval", "timeout"):
            value = getattr(self, name)
            number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
            if not number or seconds(value) <= 0:
                problems.append(Problem(name, value, "must be a number of seconds above 0, or a timedelta"))
        if problems:
            raise BMPayloadError(problems)

    def call_api(self, context: Context) -> str:
        """Make the campaign, leave it in XCom, wait if asked to, and return its UUID."""
        campaign = self.submit(context)
        uuid: str = campaign["uuid"]
        if self.wait_for_completion:
            self._waiting = context["ti"], campaign
        self.log.info("Campaign %s %r is %s", uuid, campaign.get("name"), campaign["status"])
        # Before the wait: whatever happens then, people and tasks can find the campaign.
        self.push_campaign(context, campaign)
        never_sent = campaign["status"] == "draft" and self.hook.client.settings.draft_only
        if self.wait_for_completion and never_sent:
            self.log.warning("The connection is draft_only: nothing will be sent, so nothing is waited for")
        elif self.wait_for_completion:
            from airflow_provider_bm.campaigns.payload_warnings import wait_warnings
            from airflow_provider_bm.triggers.deferral import seconds

            timeout = timedelta(seconds=seconds(self.timeout))
            _tell(wait_warnings(campaign, timeout, datetime.now(UTC)))
            self._wait(context, campaign)
        self._waiting = None
        return uuid

    def _wait(self, context: Context, campaign: dict[str, Any]) -> None:
        from airflow_provider_bm.triggers.deferral import defer_arguments, fail_wait, seconds, timeout_message
        from airflow_provider_bm.waiting.wait import CampaignWait

        deadline = datetime.now(UTC) + timedelta(seconds=seconds(self.timeout))
        wait = CampaignWait.validated(campaign["uuid"])
        verdict = wait.observe(campaign)
        if verdict.state == "waiting" and self.deferrable:
            self.defer(
                **defer_arguments(
                    wait,
                    bm_conn_id=self.bm_conn_id,
                    service_uuid=self.hook.client.settings.service_uuid,
                    poke_interval=seconds(self.poke_interval),
                    deadline=deadline,
                    stop_on_kill=self.stop_on_kill,
                )
            )
        try:
            while verdict.state == "waiting":
                remaining = (deadline - datetime.now(UTC)).total_seconds()
                if remaining <= 0:
                    fail_wait(timeout_message(wait.last_seen()))
                time.sleep(min(seconds(self.poke_interval), remaining))
                verdict = wait.poll(self.hook.client)
        finally:
            # Whatever ended the wait: on_kill has nothing to stop any more.
            self._waiting = None
        if verdict.state == "failed":
            fail_wait(verdict.reason)
        self.push_campaign(context, wait.campaign or campaign)

    def execute_complete(self, context: Context, event: Any) -> str:
        """Return the UUID of the campaign that the trigger waited for, or fail with what it says."""
        from airflow_provider_bm.triggers.deferral import campaign_from_event

        campaign = campaign_from_event(event)
        self.push_campaign(context, campaign)
        uuid: str = campaign["uuid"]
        return uuid

    def on_kill(self) -> None:
        """Stop the campaign that this task waits for, if a person has ended the task."""
        # Reset meanwhile: a second signal must not stop it a second time.
        waiting, self._waiting = self._waiting, None
        if waiting is None or not self.stop_on_kill:
            return
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.hooks.bm import BMHook
        from airflow_provider_bm.triggers.on_kill import stop_within_grace

        ti, campaign = waiting
        # A new hook: the process was interrupted in the middle of something.
        hook = BMHook(self.bm_conn_id, self.service_uuid)
        uuid = campaign["uuid"]
        label = campaign_label(uuid, campaign)
        if stop_within_grace(ti, uuid, lambda: hook.client, label=label):
            # Airflow 3 continues after a signal, for example of a worker that shuts down.
            self._waiting = waiting


def _sent(payload: dict[str, Any], send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Send, and say what is doubtful; of a clone's template, which only the reply tells, afterwards."""
    from airflow_provider_bm.campaigns.payload_warnings import content_warnings, schedule_warnings

    is_active, template_vars = payload.get("status") == "active", payload.get("template_vars")
    _tell(schedule_warnings(payload, datetime.now(UTC)))
    if is_active:
        _tell(content_warnings(payload, template_vars))
    campaign = send()
    if is_active and "template" not in payload:
        _tell(content_warnings(campaign, template_vars))
    return campaign


def _tell(doubts: Iterable[str]) -> None:
    for doubt in doubts:
        log.warning("%s", doubt)
