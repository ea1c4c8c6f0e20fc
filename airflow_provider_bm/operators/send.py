"""Base of create and clone: send a campaign once, with all guards, and wait for it if asked to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    conf,
)

from airflow_provider_bm.campaigns.constants import CREATE_STATUSES
from airflow_provider_bm.exceptions import Problem
from airflow_provider_bm.links import BMCampaignLink
from airflow_provider_bm.operators.arguments import one_of, schedule_and_query_problems
from airflow_provider_bm.operators.base import BMOperator
from airflow_provider_bm.operators.guards import SendGuards, start_of_run

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.campaigns import SendWindow
    from airflow_provider_bm.exceptions import BMOutcomeUnknownError
    from airflow_provider_bm.idempotency.activate import Activation
    from airflow_provider_bm.idempotency.draft_first import DraftThenActivate
    from airflow_provider_bm.idempotency.find_or_create import FindOrCreate

log = logging.getLogger(__name__)

DEFAULT_DEFERRABLE: bool = conf.getboolean("operators", "default_deferrable", fallback=False)
SEVEN_DAYS = timedelta(days=7)
#: XCom keys.
ADOPTED_KEY, SCHEDULED_FOR_KEY = "adopted", "scheduled_for"


class ActivatingOperator(BMOperator):
    """Base of all operators that can make messages go out.

    :ivar max_age: age of a scheduled run up to which it sends
    :ivar on_stale: what to do with an older run: ``fail`` or ``skip``
    :ivar send_window: when messages may go out, see :class:`~airflow_provider_bm.campaigns.SendWindow`
    :ivar allow_immediate: accept a rule that fires as soon as it is saved, and a time in the past
    :ivar allowed_variables: variables that the server fills, besides contact fields
    :ivar on_unknown_variable: what to do about other variables: ``fail`` or ``warn``
    :ivar on_draft_only: how the task ends if the connection is ``draft_only``: ``succeed``, ``fail``,
        ``skip``
    """

    operator_extra_links = (BMCampaignLink(),)
    max_age: Any
    on_stale: str
    send_window: SendWindow | Mapping[str, Any] | str | None
    allow_immediate: bool
    allowed_variables: str | Iterable[str]
    on_unknown_variable: str
    on_draft_only: str
    #: The campaign as last read; None: not known yet. An error of the wait for it is not a refusal.
    _campaign: dict[str, Any] | None = None

    def execute(self, context: Context) -> Any:
        """Execute the task, and count a refused campaign in Airflow's metrics."""
        from airflow_provider_bm.metrics import counting_refusals

        with counting_refusals(unless=lambda: self._campaign is not None):
            result = super().execute(context)
        self.finish(context)
        return result

    def finish(self, context: Context) -> None:
        """Put the campaign into the events of the outlets of a task that succeeds."""
        if self._campaign is not None:
            from airflow_provider_bm.operators.outlets import update_outlets

            update_outlets(self, context, self._campaign, self.hook.client.settings.service_uuid)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the lineage for OpenLineage, which calls this if it is installed."""
        if self._campaign is None:
            return None
        from airflow_provider_bm.lineage import campaign_lineage

        return campaign_lineage(self._campaign, self.hook.client.settings.service_uuid)

    def guards(self, context: Context) -> SendGuards:
        """Return the checks of this task."""
        return SendGuards(
            settings=self.hook.client.settings,
            context=context,
            max_age=self.max_age,
            on_stale=self.on_stale,
            send_window=self.send_window,
            allow_immediate=self.allow_immediate,
            allowed_variables=self.allowed_variables,
            on_unknown_variable=self.on_unknown_variable,
        )

    def activation(
        self, context: Context, campaign_uuid: str, allow_second_execution: bool = False
    ) -> Activation:
        """Return an object that activates a campaign once for all tries of the task instance."""
        from airflow_provider_bm.idempotency.activate import Activation

        return Activation(
            client=self.hook.client,
            campaign_uuid=campaign_uuid,
            tried_before=context["ti"].try_number > 1,
            since=start_of_run(context),
            store=context.get("task_state_store"),
            allow_second_execution=allow_second_execution,
        )

    def activate(
        self,
        context: Context,
        campaign_uuid: str,
        changes: dict[str, Any],
        *,
        replace: bool = False,
        allow_second_execution: bool = False,
        check_current: Callable[[dict[str, Any]], object] = lambda current: None,
    ) -> str:
        """Write an existing campaign as active, once for all tries of the task instance.

        :param changes: the fields to change, validated; with ``status``
        :param replace: ``changes`` is the whole campaign
        :param allow_second_execution: also activate a campaign that was executed already
        :param check_current: called with the campaign as it was just read, before it is written; may raise
        :return: the campaign's UUID
        """
        from airflow_provider_bm.exceptions import BMOutcomeUnknownError
        from airflow_provider_bm.idempotency.compare import differences
        from airflow_provider_bm.metrics import count_campaign

        self.push_link(context, campaign_uuid)
        client, guards = self.hook.client, self.guards(context)
        scheduled: dict[str, Any] = {}
        fields = tuple(name for name in changes if name != "status")

        def merged(current: dict[str, Any]) -> dict[str, Any]:
            return client.merge_update(
                current,
                {**changes, **scheduled},
                replace=replace,
                allow_second_execution=allow_second_execution,
            )

        def resumes(current: dict[str, Any]) -> bool:
            return current["status"] == "stopped" and not fields

        def check(current: dict[str, Any]) -> None:
            check_current(current)
            content = current if resumes(current) else merged(current)
            guards.check_variables(content, None, sends=True)
            scheduled.update(guards.check(content, client.server_now()))
            if scheduled and resumes(current):
                raise AirflowFailException(
                    "The send window is closed, and a stopped campaign can only be resumed at once. Nothing "
                    "was sent."
                )

        def write(current: dict[str, Any]) -> dict[str, Any]:
            if resumes(current):
                return client.activate(current)
            return client.put_campaign(campaign_uuid, merged(current))

        activation = self.activation(context, campaign_uuid, allow_second_execution)
        try:
            campaign = activation.submit(
                write,
                is_written=lambda campaign: not differences(changes, campaign, fields),
                before_write=check,
            )
        except BMOutcomeUnknownError as error:
            raise_for_retry(error)
        count_campaign("adopted" if activation.adopted else "activated", campaign)
        self.push_result(context, campaign, adopted=activation.adopted, scheduled_for=guards.scheduled_for)
        return campaign_uuid

    def push_result(
        self,
        context: Context,
        campaign: dict[str, Any],
        *,
        adopted: bool = False,
        scheduled_for: datetime | None = None,
    ) -> None:
        """Push the campaign, the link, and whether it was sent."""
        from airflow_provider_bm.operators.outlets import is_sent
        from airflow_provider_bm.waiting.result import SENT_KEY

        if scheduled_for is not None:
            log.info("The send window is closed: the campaign is scheduled for %s", scheduled_for.isoformat())
        if self.do_xcom_push:
            ti = context["ti"]
            ti.xcom_push(key=SENT_KEY, value=is_sent(campaign))
            if adopted:
                ti.xcom_push(key=ADOPTED_KEY, value=True)
            if scheduled_for is not None:
                ti.xcom_push(key=SCHEDULED_FOR_KEY, value=scheduled_for.isoformat())
        self.push_campaign(context, campaign)
        if not getattr(self, "wait_for_completion", False):  # A wait logs it, too.
            self.log_state(campaign)

    def push_campaign(self, context: Context, campaign: dict[str, Any]) -> None:
        """Push the campaign, and the link to it."""
        self._campaign = campaign
        super().push_campaign(context, campaign)

    def log_state(self, campaign: Mapping[str, Any]) -> None:
        """Log the campaign's status, schedule and executions."""
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.campaigns.wait_condition import describe

        log.info("Campaign %s: %s", campaign_label(campaign["uuid"], campaign), describe(campaign))

    def end_draft_only(self, campaign: Mapping[str, Any]) -> None:
        """End a run through a draft_only connection: see :meth:`end_unsent`."""
        from airflow_provider_bm.waiting.result import nothing_sent_message

        self.end_unsent(nothing_sent_message(campaign, self.hook.client.settings.conn_id))

    def end_unsent(self, message: str) -> None:
        """End a run through a draft_only connection: nothing was sent, and no asset is updated.

        :param message: the reason
        """
        # Airflow emits an event for each of a successful task's outlets.
        self.outlets = []
        if self.on_draft_only == "fail":
            raise AirflowFailException(message)
        if self.on_draft_only == "skip":
            raise AirflowSkipException(message)
        log.warning("%s", message)


class SendOperator(ActivatingOperator):
    """Base of create and clone, which set these from their arguments.

    :ivar wait_for_completion: wait until the campaign has finished
    :ivar deferrable: wait in the triggerer, without a worker slot; default: Airflow's
        ``operators.default_deferrable``
    :ivar poke_interval: seconds (or a timedelta) between two polls
    :ivar timeout: seconds (or a timedelta) to wait at most; the campaign continues
    :ivar stop_on_kill: stop the campaign if the task is killed while it waits
    :ivar end_from_trigger: if deferred, end in the triggerer
    :ivar deduplicate: put a key of the task instance in front of the name, and search for it before sending
    :ivar staged: create a draft first, and activate it once it is known to be the only one
    """

    name: str | None
    status: str | None
    wait_for_completion: bool
    deferrable: bool
    poke_interval: float | timedelta
    timeout: float | timedelta
    stop_on_kill: bool
    end_from_trigger: bool
    deduplicate: bool
    staged: bool
    _waiting: tuple[Any, dict[str, Any]] | None = None

    argument_checks = {"status": one_of(*CREATE_STATUSES)}

    def argument_problems(self) -> Iterator[Problem]:
        """Yield problems that concern several arguments."""
        if self.staged and not self.deduplicate:
            yield Problem("staged", True, "needs deduplicate=True")
        yield from schedule_and_query_problems(self)

    def payload(self, **overrides: Any) -> dict[str, Any]:
        """Return the validated payload.

        :param overrides: campaign fields that replace the task's own
        """
        raise NotImplementedError

    def source(self) -> dict[str, Any]:
        """Return the campaign that the payload changes; empty if it is complete by itself."""
        return {}

    def submit(self, context: Context) -> dict[str, Any]:
        """Send the campaign; with ``deduplicate``, once for all tries of the task instance."""
        from airflow_provider_bm.campaigns.values import is_missing
        from airflow_provider_bm.exceptions import BMOutcomeUnknownError
        from airflow_provider_bm.idempotency.compare import expected_content
        from airflow_provider_bm.idempotency.key import name_with_key
        from airflow_provider_bm.idempotency.verify import check_active, check_same
        from airflow_provider_bm.metrics import count_campaign

        client, guards = self.hook.client, self.guards(context)
        overrides: dict[str, Any] = {}
        if client.settings.draft_only:
            overrides["status"] = "draft"
        key = self._key(context) if self.deduplicate else ""
        name = f"{context['ti'].dag_id}.{context['ti'].task_id}" if self.name is None else self.name
        # The validation would not see that a name with a key is empty otherwise.
        if key and isinstance(name, (str, int)) and str(name).strip() and not is_missing(name):
            overrides["name"] = name_with_key(str(name), key)
        payload = self.payload(**overrides)
        sends = payload.get("status") == "active"
        template_vars = payload.get("template_vars")

        def content() -> dict[str, Any]:
            return {**self.source(), **payload}

        def check() -> None:
            guards.check_variables(content(), template_vars, sends=sends)
            if sends:
                payload.update(guards.check_post(content(), client.server_now()))
            _log_intent(content())

        submission = self._submission(context, key, staged=self.staged and sends) if key else None
        if submission is None:
            if context["ti"].try_number > 1:
                log.warning("deduplicate=False: an earlier try may have sent this campaign already")
            check()
            campaign = client.post_campaign(payload)
            check_same(campaign, payload, lambda: expected_content(content(), template_vars))
            if sends:
                check_active(campaign)
        else:
            body = {"status": "draft"} if self.staged and sends else {}
            try:
                campaign = submission.submit(
                    lambda: client.post_campaign({**payload, **body}),
                    payload,
                    expected=lambda: expected_content(content(), template_vars),
                    before_post=check,
                )
            except BMOutcomeUnknownError as error:
                raise_for_retry(error)
        adopted = submission is not None and submission.adopted
        count_campaign("adopted" if adopted else "created", campaign)
        self.push_result(context, campaign, adopted=adopted, scheduled_for=guards.scheduled_for)
        return campaign

    def _submission(self, context: Context, key: str, *, staged: bool) -> FindOrCreate | DraftThenActivate:
        from airflow_provider_bm.idempotency.draft_first import DraftThenActivate
        from airflow_provider_bm.idempotency.find_or_create import FindOrCreate

        return (DraftThenActivate if staged else FindOrCreate)(
            client=self.hook.client,
            key=key,
            tried_before=context["ti"].try_number > 1,
            since=start_of_run(context),
            store=context.get("task_state_store"),
        )

    def _key(self, context: Context) -> str:
        from airflow_provider_bm.idempotency.key import task_key

        ti, namespace = context["ti"], self.hook.client.settings.key_namespace
        return task_key(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, namespace)

    def call_api(self, context: Context) -> str:
        """Send the campaign, push it, wait if asked to, and return its UUID."""
        campaign = self.submit(context)
        uuid: str = campaign["uuid"]
        if self.wait_for_completion:
            self._waiting = context["ti"], campaign
        if campaign["status"] == "draft" and self.status == "active":
            self._waiting = None
            self.end_draft_only(campaign)
            return uuid
        if self.wait_for_completion:
            from airflow_provider_bm.campaigns.payload_warnings import wait_warnings
            from airflow_provider_bm.triggers.deferral import seconds

            timeout = timedelta(seconds=seconds(self.timeout))
            for warning in wait_warnings(campaign, timeout, datetime.now(UTC)):
                log.warning("%s", warning)
            self._wait(context, campaign)
        self._waiting = None
        return uuid

    def _wait(self, context: Context, campaign: dict[str, Any]) -> None:
        from airflow_provider_bm.metrics import count_poll, count_wait
        from airflow_provider_bm.triggers.campaign import timeout_message
        from airflow_provider_bm.triggers.deferral import (
            defer_arguments,
            end_arguments,
            fail_wait,
            failing_fast,
            seconds,
        )
        from airflow_provider_bm.waiting.wait import CampaignWait

        timeout = seconds(self.timeout)
        # Monotonic, since the system clock may be changed.
        ends_at = time.monotonic() + timeout
        wait = CampaignWait.validated(campaign["uuid"])
        verdict = wait.observe(campaign)
        wait.on_poll = count_poll
        if verdict.state == "waiting" and self.deferrable:
            self.defer(
                **defer_arguments(
                    wait,
                    bm_conn_id=self.bm_conn_id,
                    service_uuid=self.hook.client.settings.service_uuid,
                    poke_interval=seconds(self.poke_interval),
                    deadline=datetime.now(UTC) + timedelta(seconds=timeout),
                    stop_on_kill=self.stop_on_kill,
                    **end_arguments(self, end_from_trigger=self.end_from_trigger, return_value="uuid"),
                )
            )
        try:
            while verdict.state == "waiting":
                remaining = ends_at - time.monotonic()
                if remaining <= 0:
                    count_wait("timeout")
                    fail_wait(timeout_message(wait.last_seen()))
                time.sleep(min(seconds(self.poke_interval), remaining))
                with failing_fast(f"Campaign {wait.label} could not be polled"):
                    verdict = wait.poll(self.hook.client)
        finally:
            # After the wait, on_kill has nothing to stop.
            self._waiting = None
        count_wait("failed" if verdict.state == "failed" else "done")
        if verdict.state == "failed":
            fail_wait(verdict.reason)
        self.push_campaign(context, wait.campaign or campaign)

    def execute_complete(self, context: Context, event: Any) -> str:
        """Return the UUID of the campaign that the trigger waited for, or fail with its reason."""
        from airflow_provider_bm.triggers.deferral import campaign_from_event

        self.restore_link(context)
        campaign = campaign_from_event(event)
        self.push_campaign(context, campaign)
        self.finish(context)
        uuid: str = campaign["uuid"]
        return uuid

    def on_kill(self) -> None:
        """Stop the campaign that this task waits for, if a person has ended the task."""
        # Reset first: a second signal must not stop it a second time.
        waiting, self._waiting = self._waiting, None
        if waiting is None or not self.stop_on_kill:
            return
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.hooks.bm import BMHook
        from airflow_provider_bm.triggers.on_kill import stop_within_grace

        ti, campaign = waiting
        # A new hook: the signal may have interrupted a request of the other one.
        hook = BMHook(self.bm_conn_id, self.service_uuid)
        uuid = campaign["uuid"]
        label = campaign_label(uuid, campaign)
        if stop_within_grace(ti, uuid, lambda: hook.client, label=label):
            # Airflow 3 continues after a signal, for example of a worker that shuts down.
            self._waiting = waiting


def raise_for_retry(error: BMOutcomeUnknownError) -> NoReturn:
    """Raise an error that Airflow retries: the next try searches before it sends."""
    raise AirflowException(
        f"{error.what}. Leave it to the retries, or clear the task: it searches again before it sends."
    ) from error


def _log_intent(content: Mapping[str, Any]) -> None:
    """Log what is about to be created."""
    from airflow_provider_bm.campaigns.labels import name_without_key
    from airflow_provider_bm.campaigns.schedule_words import schedule_in_words

    log.info(
        "%s campaign %r: %s, %s, recipient lists %s",
        "Sending" if content.get("status") == "active" else "Creating the draft of",
        name_without_key(str(content.get("name"))),
        content.get("sending_type"),
        schedule_in_words(content),
        content.get("recipient_lists"),
    )
