"""What operators and the sensor share: the hook, the link to their campaign, and that they are made fast."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import NoneType
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, XComArg

from airflow_provider_bm.links import XCOM_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.hooks import BMHook


_CONVERTER = "_convert_"
#: Attributes that Airflow 3 converts when they are set.
_CONVERTED = frozenset(
    name.removeprefix(_CONVERTER)
    for cls in BaseOperator.__mro__
    for name in vars(cls)
    if name.startswith(_CONVERTER)
)
_set = object.__setattr__


class BMTask:
    """Mixed in before Airflow's base class."""

    bm_conn_id: str
    service_uuid: str | None
    template_fields: Sequence[str]
    campaign_link = ""
    #: Airflow's own: the task is made, and what is set from now on may make dependencies.
    _BaseOperator__instantiated: bool

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute as Airflow does, without its detours while a task is being made.

        It sets some eighty, and looks at each for a converter, for an argument of that name that it has
        noted, and for an XComArg that comes later: half of the time that it takes to make a task, and so to
        read a DAG file.
        """
        noted = getattr(self, "_BaseOperator__init_kwargs", None)
        if noted is None or name in noted or name in _CONVERTED or self._BaseOperator__instantiated:
            super().__setattr__(name, value)
        else:
            _set(self, name, value)

    def _set_xcomargs_dependencies(self) -> None:
        """Look for XComArgs in the arguments, as Airflow 3 does, but in no text: there are none in it."""
        task: Any = self
        for name in self.template_fields:
            value = getattr(self, name, None)
            if not isinstance(value, (str, NoneType)):
                XComArg.apply_upstream_relationship(task, value)

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
