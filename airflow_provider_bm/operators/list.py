"""Read a list of campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_bm.campaigns.constants import SENDING_TYPES, STATUSES
from airflow_provider_bm.operators.arguments import some_of
from airflow_provider_bm.operators.base import CONNECTION_FIELDS, BMOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.client.query import Filters


class BMListCampaignsOperator(BMOperator):
    """Reads campaigns and returns them as a list (API 3.2).

    .. code-block:: python

        BMListCampaignsOperator(
            task_id="drafts",
            status="draft",
            filters={"contains(name)": "Storm", "gte(created_dt)": "{{ data_interval_start }}"},
            sort="-created_dt",
        )

    :param sending_type: only these channels (templated)
    :param status: only these statuses: ``active``, ``stopped``, ``finished``, ``draft`` (templated)
    :param filters: ``{"operator(field)": value}``, ``{"field": value}``, or pairs of these, after the URL
        Filtering Guidelines; a list of values means ``in`` (templated)
    :param fields: optional parts of each campaign: ``tasks``, ``messages`` (templated). XCom stores the
        result: with ``messages``, phone numbers and texts.
    :param sort: columns, ``-created_dt`` for descending (templated)
    :param limit: maximum number of campaigns to return; None: all (templated). Airflow maps over at most
        1024 (``core.max_map_length``).
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: a filter is not valid, or was refused
    """

    template_fields: Sequence[str] = (
        "sending_type",
        "status",
        "filters",
        "fields",
        "sort",
        "limit",
        *CONNECTION_FIELDS,
    )

    argument_checks = {"sending_type": some_of(*SENDING_TYPES), "status": some_of(*STATUSES)}

    def __init__(
        self,
        *,
        sending_type: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = None,
        filters: Filters | None = None,
        fields: str | Sequence[str] = (),
        sort: str | Sequence[str] = (),
        limit: int | str | None = 1000,
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.sending_type = sending_type
        self.status = status
        self.filters = filters
        self.fields = fields
        self.sort = sort
        self.limit = limit
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)

    def call_api(self, context: Context) -> list[dict[str, Any]]:
        """Read the campaigns."""
        # A rendered value is a string.
        limit = int(self.limit) if isinstance(self.limit, str) and self.limit.isdecimal() else self.limit
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            from airflow_provider_bm.exceptions import BMPayloadError, Problem

            problem = Problem("limit", limit, "must be a whole number from 1, or None")
            raise BMPayloadError([problem], "list of campaigns")
        found = self.hook.list_campaigns(
            sending_type=self.sending_type,
            status=self.status,
            filters=self.filters,
            fields=self.fields,
            sort=self.sort,
        )
        campaigns = list(islice(found, limit))
        self.log.info("%d campaigns", len(campaigns))
        if limit is not None and next(found, None) is not None:
            self.log.warning("There are more than limit=%d campaigns; the rest is omitted", limit)
        return campaigns
