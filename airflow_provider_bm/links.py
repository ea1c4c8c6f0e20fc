"""The button in the Airflow UI that opens a campaign in the BM console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_bm.hooks import BMHook

XCOM_KEY = "campaign_link"


class BMCampaignLink(BaseOperatorLink):
    """Opens the task's campaign in the BM console, if the connection has a ``console_url``."""

    name = "BM campaign"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link that the task has left, or nothing."""
        return XCom.get_value(key=XCOM_KEY, ti_key=ti_key) or ""


def push_link(context: Context, hook: BMHook, campaign_uuid: str) -> None:
    """Leave the link to a campaign for the UI, if there is one."""
    template = hook.client.settings.console_url
    if template:
        context["ti"].xcom_push(key=XCOM_KEY, value=template.replace("{campaign_uuid}", campaign_uuid))
