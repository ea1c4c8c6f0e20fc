"""Base classes of the operators and the sensor: the hook, templating, XComs, and how errors end a task."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
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
#: Airflow's column has 250 characters.
_LONGEST_MAP_INDEX = 200

log = logging.getLogger(__name__)


class BMTaskMixin(BMTemplating):
    """Mixed into operators and the sensor, before Airflow's base class."""

    bm_conn_id: str
    service_uuid: str | None
    campaign_link = ""

    @cached_property
    def hook(self) -> BMHook:
        """The hook, created on first use."""
        from airflow_provider_bm.hooks import BMHook

        return BMHook(self.bm_conn_id, self.service_uuid)

    def push_link(
        self, context: Context, campaign_uuid: str, campaign: Mapping[str, Any] | None = None
    ) -> None:
        """Push the link to a campaign for the UI, if the connection has a ``console_url``.

        :param campaign: the campaign, if it was read: its name becomes the index of a mapped task
        """
        from airflow_provider_bm.campaigns.labels import campaign_label

        if campaign is not None:
            _name_map_index(context, campaign)
        template = self.hook.client.settings.console_url
        if not template:
            return
        link = template.replace("{campaign_uuid}", campaign_uuid)
        if link != self.campaign_link:
            log.info("Campaign %s in the console: %s", campaign_label(campaign_uuid, campaign), link)
            self.campaign_link = link
            context["ti"].xcom_push(key=XCOM_KEY, value=link)

    def restore_link(self, context: Context) -> None:
        """Remember the link that the task pushed before it was deferred: Airflow asks for it at the end."""
        from airflow_provider_bm.exceptions import BMError

        try:
            has_link = bool(self.hook.client.settings.console_url)
        except BMError:
            return  # The connection is invalid now; the event has the reason of a failure.
        if has_link:  # Airflow logs an error where there is no such XCom.
            ti = context["ti"]
            link = ti.xcom_pull(task_ids=ti.task_id, key=XCOM_KEY, map_indexes=ti.map_index)
            self.campaign_link = link or self.campaign_link


def _name_map_index(context: Context, campaign: Mapping[str, Any]) -> None:
    """Show the campaign's name as the index of a mapped task, unless it has its own template."""
    from airflow_provider_bm.campaigns.labels import name_without_key

    name = campaign.get("name")
    mapped = context["ti"].map_index not in (None, -1)
    if mapped and isinstance(name, str) and context.get("map_index_template") is None:
        # Airflow renders the template of the context once the task has ended.
        names: Any = context
        names["bm_campaign_name"] = " ".join(name_without_key(name).split())[:_LONGEST_MAP_INDEX]
        names["map_index_template"] = "{{ bm_campaign_name }}"


class BMOperator(BMTaskMixin, BaseOperator):
    """Base of the operators, which implement ``call_api``.

    Subclasses set their attributes before they call ``super().__init__()``, see
    :class:`~airflow_provider_bm.operators.templating.BMTemplating`.
    """

    template_fields: Sequence[str] = CONNECTION_FIELDS

    def execute(self, context: Context) -> Any:
        """Check the rendered arguments, and call the API. Permanent errors fail the task without retries."""
        from airflow_provider_bm.exceptions import BMCampaignStateError
        from airflow_provider_bm.triggers.deferral import failing_fast

        self.check_rendered(context)
        with failing_fast():
            try:
                return self.call_api(context)
            except BMCampaignStateError as error:
                if error.campaign is not None:
                    # A person will want to see it.
                    self.push_link(context, error.campaign["uuid"], error.campaign)
                raise

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
        self.push_link(context, campaign["uuid"], campaign)
