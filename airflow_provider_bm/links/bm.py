"""The button in the Airflow UI that opens a campaign in the BM console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

XCOM_KEY = "campaign_link"


class BMCampaignLink(BaseOperatorLink):
    """Opens the task's campaign in the BM console, if the connection has a ``console_url``."""

    name = "BM campaign"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link that the task has pushed, or an empty string."""
        from airflow.providers.common.compat.sdk import XCom

        # Airflow 3 asks in the task's own process, and logs an error where there is no such XCom.
        link: str | None = getattr(operator, "campaign_link", None)
        return XCom.get_value(key=XCOM_KEY, ti_key=ti_key) or "" if link is None else link
