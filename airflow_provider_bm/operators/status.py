"""Start, resume or stop a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.links.bm import BMCampaignLink
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class BMCampaignStatusOperator(BMOperator):
    """Starts, resumes or stops a campaign (API 3.5, 4.5).

    It reads first: a campaign that is so already is left alone, and one that has finished is an error. A
    draft is activated by PUT, since PATCH is for active and stopped. Returns the campaign's UUID; the whole
    response is under the XCom key ``campaign``.

    :param campaign_uuid: the campaign (templated)
    :param status: ``active`` (start, resume: sends messages) or ``stopped`` (templated)
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: it has finished, was refused, or it is not known whether it was started
    """

    template_fields: Sequence[str] = ("campaign_uuid", "status", *CONNECTION_FIELDS)
    operator_extra_links = (BMCampaignLink(),)

    def __init__(
        self,
        *,
        campaign_uuid: str,
        status: str,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid = campaign_uuid
        self.status = status
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> str:
        """Change it."""
        campaign = self.hook.set_campaign_status(self.campaign_uuid, self.status)
        self.push_campaign(context, campaign)
        uuid: str = campaign["uuid"]
        return uuid
