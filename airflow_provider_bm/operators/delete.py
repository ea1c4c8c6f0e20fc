"""Delete a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg


class BMDeleteCampaignOperator(BMOperator):
    """Deletes a campaign (API 3.6). Returns nothing.

    On later tries a missing campaign is not an error, since an earlier try may have deleted it.

    :param campaign_uuid: the campaign (templated)
    :param missing_ok: do not fail if the campaign does not exist. Default: False
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: the campaign does not exist, or the request was refused
    """

    template_fields: Sequence[str] = ("campaign_uuid", *CONNECTION_FIELDS)

    def __init__(
        self,
        *,
        campaign_uuid: str | XComArg,
        missing_ok: bool = False,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.campaign_uuid: Any = campaign_uuid
        self.missing_ok = missing_ok
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> None:
        """Delete the campaign."""
        tried_before = "ti" in context and context["ti"].try_number > 1
        self.hook.delete_campaign(self.campaign_uuid, missing_ok=self.missing_ok or tried_before)
        self.log.info("Campaign %s is deleted", self.campaign_uuid)
