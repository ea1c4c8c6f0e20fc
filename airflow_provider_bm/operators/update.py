"""Change a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS, REQUIRED_FIELDS, STATUSES
from airflow_provider_bm.exceptions import Problem
from airflow_provider_bm.operators.arguments import missing_parts, one_of, schedule_and_query_problems
from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.guards import DEFAULT_MAX_AGE
from airflow_provider_bm.operators.send import ActivatingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_bm.campaigns import SegmentationQuery, SendWindow


class BMUpdateCampaignOperator(ActivatingOperator):
    """Changes a campaign: reads it, merges the changes, writes it back (API 3.4, 4.3).

    Returns the campaign's UUID. XCom ``campaign`` is the whole response, ``sent`` whether it is active or
    finished. A PUT that activates the campaign is sent once, with the same checks as for creating one. A
    campaign that is being sent or was sent is not written as ``active``, since that could send it again.

    :param campaign_uuid: the campaign to change (templated)
    :param name: name of the campaign (templated)
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber``,
        ``whatsapp`` (templated)
    :param template: the message: plain text for sms and webpush, otherwise JSON, as a dict, a string, or
        the name of a ``.json`` file (templated)
    :param sender: sender ID, e-mail address, or phone number ID, by channel (templated)
    :param recipient_lists: UUIDs of the lists to message: a list, or a comma separated string (templated)
    :param status: ``draft``, ``active`` (sends a draft), ``stopped`` or ``finished`` (templated)
    :param schedule_type: ``now``, ``once`` or ``scheduled`` (templated)
    :param schedule_rrule: an aware datetime, a string with offset such as
        ``{{ data_interval_end.add(hours=1) }}``, ``Y-m-d H:i:s`` (UTC), or an iCal RRULE (templated)
    :param query_type: ``all`` or ``segmentation`` (templated)
    :param query: segmentation: a :class:`~airflow_provider_bm.campaigns.SegmentationQuery`, a dict, a JSON
        string, or the name of a ``.json`` file. Implies ``query_type='segmentation'``. (templated)
    :param webpush_title: title of a web push message (templated)
    :param webpush_body: body of a web push message (templated)
    :param webpush_target_url: URL that a web push message opens (templated)
    :param webpush_icon: URL of a web push message's icon (templated)
    :param webpush_image: URL of a web push message's image (templated)
    :param replace: the arguments are the whole campaign, instead of changes to merge. Default: False
    :param float_format: format of numbers that are not whole, such as ``.2f``. Without it a number with more
        than six decimal places is refused.
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
    :raises AirflowFailException: the result is invalid, could be sent a second time, or was refused
    :raises AirflowSkipException: ``on_stale``, ``on_draft_only`` or a send window is set to skip
    :raises AirflowException: it is not known whether it was activated; the next try polls it first
    """

    template_fields: Sequence[str] = (
        "campaign_uuid",
        *CAMPAIGN_FIELDS,
        "max_age",
        "allowed_variables",
        *CONNECTION_FIELDS,
    )
    template_fields_renderers = {"template": "json", "query": "json"}
    argument_checks = {"status": one_of(*STATUSES)}

    def __init__(
        self,
        *,
        campaign_uuid: str | XComArg,
        name: str | None = None,
        sending_type: str | None = None,
        template: str | dict[str, Any] | None = None,
        sender: str | None = None,
        recipient_lists: str | Sequence[str] | None = None,
        status: str | None = None,
        schedule_type: str | None = None,
        schedule_rrule: str | datetime | None = None,
        query_type: str | None = None,
        query: str | dict[str, Any] | SegmentationQuery | None = None,
        webpush_title: str | None = None,
        webpush_body: str | None = None,
        webpush_target_url: str | None = None,
        webpush_icon: str | None = None,
        webpush_image: str | None = None,
        replace: bool = False,
        float_format: str | None = None,
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
        self.name = name
        self.sending_type = sending_type
        self.template = template
        self.sender = sender
        self.recipient_lists = recipient_lists
        self.status = status
        self.schedule_type = schedule_type
        self.schedule_rrule = schedule_rrule
        self.query_type = query_type
        self.query = query
        self.webpush_title = webpush_title
        self.webpush_body = webpush_body
        self.webpush_target_url = webpush_target_url
        self.webpush_icon = webpush_icon
        self.webpush_image = webpush_image
        self.replace = replace
        self.float_format = float_format
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

    def argument_problems(self) -> Iterator[Problem]:
        """Yield problems that concern several arguments."""
        if not self.provided(CAMPAIGN_FIELDS):
            yield Problem("changes", None, "pass at least one field of the campaign")
        yield from schedule_and_query_problems(self)
        if self.replace:
            for name in REQUIRED_FIELDS:
                if getattr(self, name) is None and not name.startswith("schedule"):
                    yield Problem(name, None, "is required with replace=True")
            yield from missing_parts(self)

    def call_api(self, context: Context) -> str:
        """Update the campaign; if that activates it, once for all tries of the task instance."""
        from airflow_provider_bm.campaigns import CampaignUpdate, parse_uuid
        from airflow_provider_bm.idempotency.key import with_key_of

        uuid = parse_uuid(self.campaign_uuid)
        changes = CampaignUpdate.from_mapping(self.provided(CAMPAIGN_FIELDS)).to_payload()
        client = self.hook.client
        self.push_link(context, uuid)
        status = changes.get("status")
        if "name" in changes or (changes and status is None):
            current = client.get_campaign(uuid)
            # An active campaign may fire again when it is written.
            status = status or current["status"]
            if "name" in changes:
                # The task that created the campaign finds it by the key in its name.
                changes["name"] = with_key_of(changes["name"], current.get("name"))
        if changes and status == "active" and not client.settings.draft_only:
            return self.activate(
                context,
                uuid,
                changes,
                replace=self.replace,
                allow_second_execution=self.allow_second_execution,
            )
        campaign = client.update_campaign(uuid, changes, replace=self.replace)
        self.push_result(context, campaign)
        if changes.get("status") == "active":
            self.end_draft_only(campaign)
        return uuid
