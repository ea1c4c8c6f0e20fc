"""Base classes of the operators and the sensor: the hook, templating, XComs, and how errors end a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_bm.links import XCOM_KEY
from airflow_provider_bm.operators.templating import BMTemplating

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.hooks import BMHook


#: Whether a deferred task ends in the triggerer; section ``[bm]`` of Airflow's configuration.
DEFAULT_END_FROM_TRIGGER: bool = conf.getboolean("bm", "end_from_trigger", fallback=False)
#: XCom key of the whole campaign.
CAMPAIGN_KEY = "campaign"
CONNECTION_FIELDS = ("bm_conn_id", "service_uuid")


class BMTaskMixin(BMTemplating):
    """Mixed into operators and the sensor, before Airflow's base class."""

    bm_conn_id: str
    service_uuid: str | None
    campaign_link = ""

    @cached_property
    def hook(self) -> BMHook:
        """The hook, made when it is first needed."""
        from airflow_provider_bm.hooks import BMHook

        return BMHook(self.bm_conn_id, self.service_uuid)

    def push_link(self, context: Context, campaign_uuid: str) -> None:
        """Push the link to a campaign for the UI, if the connection has a ``console_url``."""
        template = self.hook.client.settings.console_url
        if template:
            self.campaign_link = template.replace("{campaign_uuid}", campaign_uuid)
            context["ti"].xcom_push(key=XCOM_KEY, value=self.campaign_link)


class BMOperator(BMTaskMixin, BaseOperator):
    """Base of the operators, which implement ``call_api``.

    Subclasses set their attributes before they call ``super().__init__()``, see
    :class:`~airflow_provider_bm.operators.templating.BMTemplating`.
    """

    template_fields: Sequence[str] = CONNECTION_FIELDS

    def execute(self, context: Context) -> Any:
        """Check the rendered arguments, and call the API. Permanent errors fail the task without retries."""
        from airflow_provider_bm.triggers.deferral import failing_fast

        self.check_rendered(context)
        with failing_fast():
            return self.call_api(context)

    def call_api(self, context: Context) -> Any:
        """Call the API; errors are :class:`~airflow_provider_bm.exceptions.BMError`."""
        raise NotImplementedError

    def provided(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the arguments of these names that are not None."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def push_campaign(self, context: Context, campaign: dict[str, Any]) -> None:
        """Push the campaign, and the link to it, for other tasks and for the UI."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key=CAMPAIGN_KEY, value=campaign)
        self.push_link(context, campaign["uuid"])
