"""Read a campaign."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.links.bm import BMCampaignLink
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

log = logging.getLogger(__name__)


class BMGetCampaignOperator(BMOperator):
    """Reads a campaign and returns it (API 3.3, 4.4).

    With ``messages`` in ``fields``, XCom ``messages`` is their number.

    :param campaign_uuid: the campaign (templated)
    :param fields: optional parts of the response: ``tasks``, ``messages`` (templated). XCom stores the
        result: with ``messages``, phone numbers and texts. To store them elsewhere, use
        :class:`~airflow_provider_bm.operators.BMCampaignReportOperator`.
    :param on_empty: with ``messages`` in ``fields``, if the campaign sent none: ``warn`` (default), ``fail``
        or ``skip``
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: the campaign does not exist, or the request was refused; or no message was
        sent and ``on_empty="fail"``
    :raises AirflowSkipException: no message was sent and ``on_empty="skip"``
    """

    template_fields: Sequence[str] = ("campaign_uuid", "fields", *CONNECTION_FIELDS)
    operator_extra_links = (BMCampaignLink(),)

    def __init__(
        self,
        *,
        campaign_uuid: str | XComArg,
        fields: str | Sequence[str] = (),
        on_empty: str = "warn",
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid: Any = campaign_uuid
        self.fields = fields
        self.on_empty = on_empty
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> dict[str, Any]:
        """Read the campaign, and report the number of its messages if they were requested."""
        from airflow_provider_bm.campaigns.labels import campaign_label
        from airflow_provider_bm.client.query import optional_fields
        from airflow_provider_bm.triggers.deferral import apply_result
        from airflow_provider_bm.waiting.result import MESSAGES_KEY, wait_result

        campaign = self.hook.get_campaign(self.campaign_uuid, fields=self.fields)
        uuid = campaign["uuid"]
        self.push_link(context, uuid, campaign)
        result = wait_result(campaign, fields=optional_fields(self.fields), on_empty=self.on_empty)
        if result.xcoms:
            log.info("Campaign %s: %d messages", campaign_label(uuid, campaign), result.xcoms[MESSAGES_KEY])
        apply_result(result, context, push=self.do_xcom_push)
        return campaign
