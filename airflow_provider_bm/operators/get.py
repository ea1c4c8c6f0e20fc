"""Read a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.links.bm import BMCampaignLink
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class BMGetCampaignOperator(BMOperator):
    """Reads a campaign and returns it (API 3.3, 4.4).

    :param campaign_uuid: the campaign (templated)
    :param fields: optional parts of the response: ``tasks``, ``messages`` (templated). XCom keeps what is
        returned: with ``messages``, phone numbers and texts. For a count, use the hook in a task of your own.
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: there is none, or it was refused
    """

    template_fields: Sequence[str] = ("campaign_uuid", "fields", *CONNECTION_FIELDS)
    operator_extra_links = (BMCampaignLink(),)

    def __init__(
        self,
        *,
        campaign_uuid: str,
        fields: str | Sequence[str] = (),
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid = campaign_uuid
        self.fields = fields
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> dict[str, Any]:
        """Read it."""
        campaign = self.hook.get_campaign(self.campaign_uuid, fields=self.fields)
        self.push_link(context, campaign["uuid"])
        return campaign
