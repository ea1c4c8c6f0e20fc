"""Send a draft once a person has approved it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowOptionalProviderFeatureException,
    AirflowSkipException,
    BaseOperator,
)

from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.guards import DEFAULT_MAX_AGE, SendGuards, start_of_run
from airflow_provider_bm.operators.send import ActivatingOperator

HAS_HITL = True
try:
    from airflow.providers.standard.operators.hitl import HITLOperator
except (ImportError, AirflowOptionalProviderFeatureException):
    HAS_HITL = False
    if not TYPE_CHECKING:
        HITLOperator = BaseOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.campaigns import SendWindow

log = logging.getLogger(__name__)

APPROVE: Final = "Approve"
REJECT: Final = "Reject"
#: XCom key: hash of the content that the reviewer sees.
REVIEWED_KEY: Final = "reviewed"
#: Key in ``task_state_store``: hash of the content that was shown first.
REVIEW_STATE_KEY: Final = "bm_review"
#: How much the server's ``updated_dt`` and Airflow's times may differ.
_CLOCK_TOLERANCE: Final = timedelta(seconds=2)


class BMApproveCampaignOperator(ActivatingOperator, HITLOperator):
    """Shows a draft to a person, and activates it if that person approves (Airflow 3.1 or newer).

    The reviewer sees a :func:`~airflow_provider_bm.campaigns.preview` of the draft under *Required Actions*
    in Airflow's UI. Approving activates the campaign once, with the same checks as
    :class:`~airflow_provider_bm.operators.BMCampaignStatusOperator`. What was reviewed is what goes out: a
    draft whose content was changed after the review began is refused. If it is rejected, the task is skipped;
    if nobody responds in time, the task fails. Nothing is sent in both cases.

    Returns the campaign's UUID. XCom ``campaign`` is the whole response, ``sent`` whether it is active or
    finished, ``reviewed`` a hash of the content that was reviewed.

    .. code-block:: python

        BMApproveCampaignOperator(
            task_id="approve",
            campaign_uuid="{{ ti.xcom_pull('prepare') }}",
            response_timeout=timedelta(hours=4),
        )

    :param campaign_uuid: the draft (templated)
    :param subject: headline of the review; None: ``Send campaign 'Storm warning'?`` (templated)
    :param tz: time zone of the executions in the preview. Default: ``UTC``
    :param response_timeout: how long to wait for a response; None: indefinitely
    :param on_reject: what happens to the draft if it is rejected or nobody responds in time: ``keep``
        (default) or ``delete``. A draft that was changed during the review is kept.
    :param assigned_users: the only users who may respond, as in ``HITLOperator``; None: all with permission
    :param notifiers: called when the review begins, as in ``HITLOperator``
    :param max_age: time after the approval within which the campaign must be activated: a timedelta or
        seconds; None: any. Default: ``[bm] max_age`` of Airflow's configuration, or a day. (templated)
    :param on_stale: what happens after that: ``fail`` (default) or ``skip``
    :param send_window: when messages may go out: a :class:`~airflow_provider_bm.campaigns.SendWindow`
    :param allow_immediate: accept a recurring rule that fires as soon as it is saved, and a time in the past.
        Default: False
    :param allow_second_execution: activate a campaign that has been executed already. Default: False
    :param allowed_variables: names of variables that BM fills, besides contact fields (templated)
    :param on_unknown_variable: what to do about a variable that is not filled: ``fail`` (default) or ``warn``
    :param on_draft_only: how the task ends if the connection is ``draft_only``, without a review: ``succeed``
        (default), ``fail`` or ``skip``
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: it is not a draft, was changed during the review, or a check or the server
        refused it; or nobody responded in time
    :raises AirflowSkipException: it was rejected; or ``on_stale``, ``on_draft_only`` or a send window is set
        to skip
    :raises AirflowException: it is not known whether it was activated; the next try polls it first
    :raises AirflowOptionalProviderFeatureException: when constructed on Airflow before 3.1
    """

    template_fields: Sequence[str] = (
        "campaign_uuid",
        "subject",
        "max_age",
        "allowed_variables",
        *CONNECTION_FIELDS,
    )
    _reviewed_at: datetime | None = None

    def __init__(
        self,
        *,
        campaign_uuid: str,
        subject: str | None = None,
        tz: str = "UTC",
        response_timeout: timedelta | None = None,
        on_reject: str = "keep",
        assigned_users: Any = None,
        notifiers: Any = None,
        max_age: timedelta | float | str | None = DEFAULT_MAX_AGE,
        on_stale: str = "fail",
        send_window: SendWindow | Mapping[str, Any] | str | None = None,
        allow_immediate: bool = False,
        allow_second_execution: bool = False,
        allowed_variables: str | Sequence[str] = (),
        on_unknown_variable: str = "fail",
        on_draft_only: str = "succeed",
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not HAS_HITL:
            raise AirflowOptionalProviderFeatureException(
                "BMApproveCampaignOperator needs Airflow 3.1 or newer, with the human-in-the-loop operators "
                "of apache-airflow-providers-standard."
            )
        self.campaign_uuid = campaign_uuid
        self.response_timeout = response_timeout
        self.tz = tz
        self.on_reject = on_reject
        self.max_age = max_age
        self.on_stale = on_stale
        self.send_window = send_window
        self.allow_immediate = allow_immediate
        self.allow_second_execution = allow_second_execution
        self.allowed_variables = allowed_variables
        self.on_unknown_variable = on_unknown_variable
        self.on_draft_only = on_draft_only
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        # Older releases of the standard provider do not know all of these.
        optional = {
            "response_timeout": response_timeout,
            "assigned_users": assigned_users,
            "notifiers": notifiers,
        }
        super().__init__(
            subject=subject,
            options=[APPROVE, REJECT],
            # Without a default, a time-out would be retried, and ask again.
            defaults=[REJECT],
            **{name: value for name, value in optional.items() if value is not None},
            **kwargs,
        )

    def guards(self, context: Context) -> SendGuards:
        """Return the checks of this task; ``max_age`` counts from the review."""
        guards = super().guards(context)
        guards.reviewed_at = self._reviewed_at
        return guards

    def call_api(self, context: Context) -> str:
        """Begin the review, unless an earlier try has activated the campaign already."""
        from airflow_provider_bm.campaigns import parse_uuid

        uuid = parse_uuid(self.campaign_uuid)
        draft, activated = self.activation(context, uuid).find_earlier()
        if activated:
            self.push_result(context, draft, adopted=True)
        elif self.hook.client.settings.draft_only:
            self.push_result(context, draft)
            self.end_draft_only(draft)
        else:
            self._begin_review(context, draft)
        return uuid

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Act on the response.

        :param event: as ``HITLOperator`` gets it
        """
        from airflow_provider_bm.campaigns import parse_uuid
        from airflow_provider_bm.triggers.deferral import failing_fast

        self.check_rendered(context)
        self.restore_link(context)
        response = HITLOperator.execute_complete(self, context, event)
        responder = response.get("responded_by_user")
        user = f"{responder['name']} (id {responder['id']})" if responder else "nobody"
        timed_out = bool(event.get("timedout")) or responder is None
        with failing_fast():
            uuid = parse_uuid(self.campaign_uuid)
            campaign = self.hook.client.get_campaign(uuid)
            if response["chosen_options"] != [APPROVE] or timed_out:
                self._end_rejected(context, campaign, None if timed_out else user)
            log.info("Campaign %s was approved by %s", uuid, user)
            result = self._send(context, campaign, response["responded_at"])
        self.finish(context)
        return result

    def _begin_review(self, context: Context, draft: dict[str, Any]) -> None:
        from airflow_provider_bm.campaigns import writable
        from airflow_provider_bm.campaigns.labels import campaign_label, name_without_key
        from airflow_provider_bm.exceptions import BMCampaignStateError

        uuid, guards = draft["uuid"], self.guards(context)
        if draft["status"] != "draft":
            raise BMCampaignStateError(
                f"Campaign {campaign_label(uuid, draft)} is {draft['status']}, and only a draft can be "
                "approved. Nothing was sent.",
                draft,
            )
        # Problems that a review cannot solve are reported before it.
        self.activation(context, uuid, self.allow_second_execution).refuse_second_execution(draft)
        content = writable(draft)
        guards.check_variables(content, None, sends=True)
        guards.check_lists(content)
        reviewed = content_hash(draft)
        self._check_displayed_review(context, draft, reviewed)
        context["ti"].xcom_push(key=REVIEWED_KEY, value=reviewed)
        self.push_link(context, uuid, draft)
        self.subject = self.subject or f"Send campaign {name_without_key(str(draft.get('name')))!r}?"
        self.body = review_text(draft, tz=self.tz, allowed_variables=guards.server_variables)
        log.info("Campaign %s is waiting for approval", campaign_label(uuid, draft))
        HITLOperator.execute(self, context)

    def _check_displayed_review(self, context: Context, draft: dict[str, Any], reviewed: str) -> None:
        """Refuse a review if Airflow may show the reviewer the text of an earlier one.

        Airflow keeps the text of a task instance's first review for its later tries.
        """
        from airflow_provider_bm.campaigns.labels import campaign_label

        store = context.get("task_state_store")
        if store is not None:
            shown = store.get(REVIEW_STATE_KEY)
            if shown is None:
                store.set(REVIEW_STATE_KEY, reviewed)
            is_current = shown in (None, reviewed)
        else:
            is_current = context["ti"].try_number == 1 or self._is_unchanged_since_start(context, draft)
        if not is_current:
            raise AirflowFailException(
                f"Campaign {campaign_label(draft['uuid'], draft)} was changed after its first review began, "
                "and Airflow would show the reviewer the text of that review again. Nothing was sent. Start "
                "a new DAG run."
            )

    def _is_unchanged_since_start(self, context: Context, draft: dict[str, Any]) -> bool:
        """Return whether a draft was last written before the DAG run started, and so before any review."""
        start = start_of_run(context)
        try:
            updated = datetime.fromisoformat(str(draft.get("updated_dt")))
        except ValueError:
            return False
        if start is None or updated.tzinfo is None:
            return False
        return updated - self.hook.client.clock_ahead < start - _CLOCK_TOLERANCE

    def _check_unchanged(self, context: Context, campaign: dict[str, Any]) -> None:
        """Refuse a campaign that is not what was reviewed."""
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.exceptions import BMCampaignStateError

        label = campaign_label(campaign["uuid"], campaign)
        if content_hash(campaign) != self._reviewed(context):
            raise BMCampaignStateError(
                f"Campaign {label} is not what was reviewed: it was changed after the review began. Nothing "
                "was sent. Start a new DAG run to review it again.",
                campaign,
            )
        if campaign["status"] == "stopped":
            raise BMCampaignStateError(
                f"Campaign {label} was stopped during the review. Nothing was sent.", campaign
            )

    def _reviewed(self, context: Context) -> Any:
        ti = context["ti"]
        return ti.xcom_pull(task_ids=ti.task_id, key=REVIEWED_KEY, map_indexes=ti.map_index)

    def _send(self, context: Context, campaign: dict[str, Any], approved_at: datetime) -> str:
        from airflow_provider_bm.campaigns import CampaignStatus

        self._check_unchanged(context, campaign)
        uuid: str = campaign["uuid"]
        if self.hook.client.settings.draft_only:
            self.push_result(context, campaign)
            self.end_draft_only(campaign)
            return uuid
        self._reviewed_at = approved_at
        return self.activate(
            context,
            uuid,
            CampaignStatus(status="active").to_payload(),
            allow_second_execution=self.allow_second_execution,
            check_current=lambda current: self._check_unchanged(context, current),
        )

    def _end_rejected(self, context: Context, campaign: dict[str, Any], user: str | None) -> None:
        """End a task whose campaign was rejected by a user, or not reviewed in time (None)."""
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.waiting.result import SENT_KEY

        label = campaign_label(campaign["uuid"], campaign)
        context["ti"].xcom_push(key=SENT_KEY, value=False)
        if self.on_reject == "delete":
            if campaign["status"] == "draft" and content_hash(campaign) == self._reviewed(context):
                self.hook.client.delete_campaign(campaign["uuid"], missing_ok=True)
                log.info("Draft %s was deleted", label)
            else:
                log.warning("Campaign %s was not deleted, since it was changed during the review", label)
        if user is None:
            raise AirflowFailException(
                f"Nobody approved campaign {label} within {self.response_timeout}. Nothing was sent."
            )
        raise AirflowSkipException(f"Campaign {label} was rejected by {user}. Nothing was sent.")


def content_hash(campaign: Mapping[str, Any]) -> str:
    """Return a hash of everything that a campaign would send: all writable fields except the status."""
    from airflow_provider_bm.campaigns import writable

    content = {**writable(campaign), "uuid": str(campaign["uuid"]).lower()}
    content.pop("status", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def review_text(draft: Mapping[str, Any], *, tz: str = "UTC", allowed_variables: Sequence[str] = ()) -> str:
    """Return what the reviewer reads, as Markdown: a preview of the draft as it would go out."""
    from airflow_provider_bm.campaigns import preview, writable

    text = str(preview({**writable(draft), "status": "active"}, tz=tz, allowed_variables=allowed_variables))
    # The campaign's own text must not end the block.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"**{APPROVE}** sends campaign `{draft['uuid']}`:\n\n{fence}text\n{text}\n{fence}\n"
