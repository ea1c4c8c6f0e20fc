"""What all BM operators share: the connection, templating, and how errors end a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_bm.task import BMTask
from airflow_provider_bm.templating import BMTemplating

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


#: XCom key of the whole campaign.
CAMPAIGN_KEY = "campaign"
CONNECTION_FIELDS = ("bm_conn_id", "service_uuid")


class BMOperator(BMTemplating, BMTask, BaseOperator):
    """Base of the operators: they say what to call in ``call_api``.

    Each takes all of its arguments itself, those that others have too: an ``__init__`` of a class between
    it and Airflow's would be wrapped by Airflow once more, at a tenth of the time that it takes to make a
    task. It sets them before it calls Airflow's, see :meth:`BMTask.__setattr__`.
    """

    template_fields: Sequence[str] = CONNECTION_FIELDS

    def execute(self, context: Context) -> Any:
        """Do it; an error that no retry can mend fails the task without retries."""
        from airflow_provider_bm.deferral import failing_fast

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
