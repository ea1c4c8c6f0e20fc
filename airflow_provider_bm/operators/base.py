"""What all BM operators share: the connection, templating, and how errors end a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_bm.deferral import failing_fast
from airflow_provider_bm.task import BMTask
from airflow_provider_bm.templating import BMTemplating

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


#: XCom key of the whole campaign.
CAMPAIGN_KEY = "campaign"
CONNECTION_FIELDS = ("bm_conn_id", "service_uuid")


class BMOperator(BMTemplating, BMTask, BaseOperator):
    """Base of the operators: they say what to call in ``call_api``.

    :param bm_conn_id: Airflow connection of type ``bm`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    """

    template_fields: Sequence[str] = CONNECTION_FIELDS

    def __init__(
        self, *, bm_conn_id: str = "bm_default", service_uuid: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid

    def execute(self, context: Context) -> Any:
        """Do it; an error that no retry can mend fails the task without retries."""
        with failing_fast():
            return self.call_api(context)

    def call_api(self, context: Context) -> Any:
        """Call the API; errors are :class:`~airflow_provider_bm.exceptions.BMError`."""
        raise NotImplementedError

    def given(self, names: Iterable[str]) -> dict[str, Any]:
        """The arguments of these names that are not None."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def leave(self, context: Context, campaign: dict[str, Any]) -> None:
        """Leave the campaign and the link to it for other tasks and for the UI."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key=CAMPAIGN_KEY, value=campaign)
        self.push_link(context, campaign["uuid"])
