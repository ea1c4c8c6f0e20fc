"""Start, resume or stop a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import CHANGE_STATUSES
from airflow_provider_bm.operators.arguments import one_of
from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.guards import DEFAULT_MAX_AGE
from airflow_provider_bm.operators.send import ActivatingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_bm.campaigns import SendWindow


class BMCampaignStatusOperator(ActivatingOperator):
    """Starts, resumes or stops a campaign (API 3.5, 4.5).

    It reads the campaign first: it does not change a campaign that already has the status, and refuses to
    activate a campaign that was executed. A draft is activated by PUT, since PATCH is for active and stopped.
    The request that activates is sent once, with the same checks as for creating a campaign. Returns the
    campaign's UUID. XCom ``campaign`` is the whole response, ``sent`` whether it is active or finished.

    :param campaign_uuid: the campaign (templated)
    :param status: ``active`` (start, resume: sends messages) or ``stopped`` (templated)
    :param max_age: age up to which a scheduled or backfill run sends: a timedelta or seconds; None: any.
        Default: ``[bm] max_age`` of Airflow's configuration, or a day. (templated)
    :param on_stale: what an older run does: ``fail`` (default) or ``skip``
    :param send_window: when messages may go out: a :class:`~airflow_provider_bm.campaigns.SendWindow`
    :param allow_immediate: accept a recurring rule that fires as soon as it is saved, and a time in the past.
        Default: False
    :param allow_second_execution: activate a campaign that has been executed already. Default: False
    :param allowed_variables: names of variables that BM fills, besides contact fields (templated)
    :param on_unknown_variable: what to do about a variable that is not filled: ``fail`` (default) or ``warn``
    :param on_draft_only: how the task ends if the connection is ``draft_only``: ``succeed`` (default),
        ``fail`` or ``skip``
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: it was executed already, or a check or the server refused it
    :raises AirflowSkipException: ``on_stale``, ``on_draft_only`` or a send window is set to skip
    :raises AirflowException: it is not known whether it was started; the next try polls it first
    """

    template_fields: Sequence[str] = (
        "campaign_uuid",
        "status",
        "max_age",
        "allowed_variables",
        *CONNECTION_FIELDS,
    )

    argument_checks = {"status": one_of(*CHANGE_STATUSES)}

    def __init__(
        self,
        *,
        campaign_uuid: str | XComArg,
        status: str,
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
        self.campaign_uuid: Any = campaign_uuid
        self.status = status
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
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> str:
        """Change the status; activate the campaign once for all tries of the task instance."""
        from airflow_provider_bm.campaigns import CampaignStatus, parse_uuid

        uuid, client = parse_uuid(self.campaign_uuid), self.hook.client
        self.push_link(context, uuid)
        changes = CampaignStatus(status=self.status).to_payload()
        if changes["status"] == "stopped":
            self.push_result(context, client.set_campaign_status(uuid, "stopped"))
        elif client.settings.draft_only:
            campaign = client.get_campaign(uuid)
            self.push_result(context, campaign)
            if campaign["status"] not in ("active", "finished"):
                self.end_draft_only(campaign)
        else:
            self.activate(context, uuid, changes, allow_second_execution=self.allow_second_execution)
        return uuid
