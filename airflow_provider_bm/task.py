"""What operators and the sensor share: the hook, and the link to their campaign."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_bm.links import XCOM_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.hooks import BMHook


class BMTask:
    """Mixed in before Airflow's base class."""

    bm_conn_id: str
    service_uuid: str | None
    campaign_link = ""

    @cached_property
    def hook(self) -> BMHook:
        """The hook, made when it is first needed."""
        from airflow_provider_bm.hooks import BMHook

        return BMHook(self.bm_conn_id, self.service_uuid)

    def push_link(self, context: Context, campaign_uuid: str) -> None:
        """Leave the link to a campaign for the UI, if the connection has a ``console_url``."""
        template = self.hook.client.settings.console_url
        if template:
            self.campaign_link = template.replace("{campaign_uuid}", campaign_uuid)
            context["ti"].xcom_push(key=XCOM_KEY, value=self.campaign_link)
