"""Change a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.campaigns import SegmentationQuery


class BMUpdateCampaignOperator(BMOperator):
    """Changes a campaign: reads it, merges the changes, writes the whole (API 3.4, 4.3).

    Returns the campaign's UUID; the whole response is under the XCom key ``campaign``. A campaign that is
    being sent or was sent is not written as ``active``, since that could send it again.

    :param campaign_uuid: the campaign to change (templated)
    :param name: name of the campaign (templated)
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber``,
        ``whatsapp`` (templated)
    :param template: the message: plain text for sms and webpush, otherwise JSON, as a dict, a string, or
        the name of a ``.json`` file (templated)
    :param sender: who it comes from: sender ID, e-mail address, or phone number ID, by channel (templated)
    :param recipient_lists: UUIDs of the lists to message: a list, or a comma separated string (templated)
    :param status: ``draft``, ``active`` (sends a draft), ``stopped`` or ``finished`` (templated)
    :param schedule_type: ``now``, ``once`` or ``scheduled`` (templated)
    :param schedule_rrule: when: an aware datetime, a text with offset such as
        ``{{ data_interval_end.add(hours=1) }}``, ``Y-m-d H:i:s`` (UTC), or an iCal RRULE (templated)
    :param query_type: ``all`` or ``segmentation`` (templated)
    :param query: segmentation: a :class:`~airflow_provider_bm.campaigns.SegmentationQuery`, a dict, a JSON
        string, or the name of a ``.json`` file. Given, ``query_type`` is ``segmentation``. (templated)
    :param webpush_title: title of a web push message (templated)
    :param webpush_body: body of a web push message (templated)
    :param webpush_target_url: URL that a web push message opens (templated)
    :param webpush_icon: URL of a web push message's icon (templated)
    :param webpush_image: URL of a web push message's image (templated)
    :param replace: do not read: the arguments are the whole campaign; default: read and merge
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: the result is not valid, could be sent a second time, or was refused
    """

    template_fields: Sequence[str] = ("campaign_uuid", *CAMPAIGN_FIELDS, *CONNECTION_FIELDS)
    template_fields_renderers = {"template": "json", "query": "json"}

    def __init__(
        self,
        *,
        campaign_uuid: str,
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
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid = campaign_uuid
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
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> str:
        """Update it."""
        changes = self.provided(CAMPAIGN_FIELDS)
        if self.replace and self.status == "active" and context["ti"].try_number > 1:
            self._refuse_second_run()
        campaign = self.hook.update_campaign(self.campaign_uuid, changes, replace=self.replace)
        self.push_campaign(context, campaign)
        uuid: str = campaign["uuid"]
        return uuid

    def _refuse_second_run(self) -> None:
        """Look, where an earlier try may have started the campaign without anybody having read it."""
        from airflow_provider_bm.exceptions import BMCampaignStateError

        campaign = self.hook.get_campaign(self.campaign_uuid)
        if campaign["status"] != "draft":
            raise BMCampaignStateError(
                f"Campaign {campaign['uuid']} is {campaign['status']}, maybe by an earlier try of this task; "
                "writing it as active could send it again.",
                campaign,
            )
