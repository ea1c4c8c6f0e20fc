"""The hook: an Airflow connection of type ``bm``, and the Campaign API through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_bm import metrics
from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.assumptions import PAGE_SIZE
from airflow_provider_bm.client.connection import hide_connection
from airflow_provider_bm.exceptions import BMError, BMForbiddenError, BMNotFoundError, BMTransportError
from airflow_provider_bm.hooks.settings import configured_settings
from airflow_provider_bm.provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR

if TYPE_CHECKING:
    import requests
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_bm.campaigns import CampaignClone, CampaignCreate, CampaignUpdate
    from airflow_provider_bm.client.query import Filters
    from airflow_provider_bm.client.responses import Campaign
    from airflow_provider_bm.client.settings import BMSettings


@hide_connection
def client_of(connection: Connection, service_uuid: str | None = None, **options: Any) -> BMClient:
    """Return a client for an Airflow connection, as hook and triggers use it.

    :param service_uuid: the BM account to use instead of the connection's
    :param options: see :func:`client_with`
    """
    return client_with(configured_settings(connection, service_uuid), **options)


def client_with(settings: BMSettings, **options: Any) -> BMClient:
    """Return a client that names Airflow in its ``User-Agent``, and counts requests in Airflow's metrics.

    :param options: ``retry``, ``sleep`` and ``check`` of :class:`.BMClient`
    """
    products = [f"apache-airflow/{airflow_version}"]
    return BMClient(settings, products=products, observe=metrics.observe_request, **options)


class BMHook(BaseHook):
    """Client of the Business Messenger Campaign API for an Airflow connection.

    Arguments are checked before the first request. Exceptions are those of
    :mod:`airflow_provider_bm.exceptions`; none of them contains a token or a secret.

    :param bm_conn_id: Airflow connection of type ``bm``
    :param service_uuid: BM account (service) to use; None: the connection's (field Service UUID)
    """

    conn_name_attr = "bm_conn_id"
    default_conn_name = "bm_default"
    conn_type = "bm"
    hook_name = "Business Messenger"

    def __init__(self, bm_conn_id: str = default_conn_name, service_uuid: str | None = None) -> None:
        super().__init__()
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid

    @cached_property
    def client(self) -> BMClient:
        """The API client, with one keep-alive session.

        :raises BMConfigError: the connection is wrong or incomplete
        """
        return client_of(self.get_connection(self.bm_conn_id), self.service_uuid)

    def get_conn(self) -> requests.Session:
        """Return the authorized session, for requests without a method here.

        It sends the token to the API only, renews it, and does not follow redirects. The connection's
        restrictions and time-outs apply. The base URL is ``hook.client.settings.api_url``.
        """
        return self.client.session

    def list_campaigns(
        self,
        *,
        sending_type: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = None,
        filters: Filters | None = None,
        fields: str | Sequence[str] = (),
        sort: str | Sequence[str] = (),
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Campaign]:
        """Yield the campaigns of the service, page by page as they are needed (API 3.2).

        :param sending_type: only these channels: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``,
            ``viber``, ``whatsapp``
        :param status: only these statuses: ``active``, ``stopped``, ``finished``, ``draft``
        :param filters: ``{"contains(name)": "Storm", "gte(created_dt)": some_time}``, or pairs, after the
            URL Filtering Guidelines; a list of values means ``in``
        :param fields: optional parts of each campaign: ``tasks``, ``messages``
        :param sort: columns, ``-created_dt`` for descending
        :param page_size: rows to request per page; the server may return fewer
        :raises BMPayloadError: a filter is invalid, or by a column that no campaign has
        :raises BMResponseError: the server returned a campaign that does not match
        """
        return self.client.list_campaigns(
            sending_type=sending_type,
            status=status,
            filters=filters,
            fields=fields,
            sort=sort,
            page_size=page_size,
        )

    def get_campaign(self, uuid: str, *, fields: str | Sequence[str] = ()) -> Campaign:
        """Return one campaign (API 3.3).

        :param fields: optional parts: ``tasks``, ``messages``
        :raises BMNotFoundError: it does not exist
        """
        return self.client.get_campaign(uuid, fields=fields)

    def create_campaign(self, mapping: CampaignCreate | Mapping[str, Any]) -> Campaign:
        """Create a campaign (API 3.1, 4.2): once, or not at all.

        :param mapping: the campaign's fields, as of :class:`~airflow_provider_bm.campaigns.CampaignCreate`
        :raises BMPayloadError: it is invalid; nothing was sent
        :raises BMOutcomeUnknownError: it was sent, and may exist
        """
        return self.client.create_campaign(mapping)

    def clone_campaign(
        self,
        clone_uuid: CampaignClone | str,
        *,
        template_vars: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> Campaign:
        """Clone a campaign, and activate the clone unless ``status="draft"`` (API 1.4, 3.1, 4.2).

        :param clone_uuid: the campaign to clone; or, without any other argument, a
            :class:`~airflow_provider_bm.campaigns.CampaignClone`
        :param template_vars: values of the variables in its content, by raw name: ``{"temp": "-22C"}``
        :param overrides: campaign fields that differ from the source, ``status="draft"`` among them
        :raises BMPayloadError: it is invalid; nothing was sent
        :raises BMOutcomeUnknownError: it was sent, and may exist
        """
        return self.client.clone_campaign(clone_uuid, template_vars=template_vars, **overrides)

    def update_campaign(
        self,
        uuid: str,
        changes: CampaignUpdate | Mapping[str, Any],
        *,
        replace: bool = False,
        allow_second_execution: bool = False,
    ) -> Campaign:
        """Change a campaign: read it, merge the changes, write it back (API 3.4, 4.3).

        :param changes: the fields to change
        :param replace: skip the read; ``changes`` is the whole campaign
        :param allow_second_execution: write it as active although that may send it again. Default: False
        :raises BMCampaignStateError: the change could send the campaign a second time
        :raises BMOutcomeUnknownError: it may have been activated
        """
        return self.client.update_campaign(
            uuid, changes, replace=replace, allow_second_execution=allow_second_execution
        )

    def set_campaign_status(
        self, uuid: str, status: str, *, allow_second_execution: bool = False
    ) -> Campaign:
        """Start, resume or stop a campaign; no request if it has that status already (API 3.5, 4.5).

        :param status: ``active`` or ``stopped``
        :param allow_second_execution: activate a draft that has executed before. Default: False
        :raises BMCampaignStateError: it has finished, or is a draft that has executed before
        :raises BMOutcomeUnknownError: it may have been activated
        """
        return self.client.set_campaign_status(uuid, status, allow_second_execution=allow_second_execution)

    def delete_campaign(self, uuid: str, *, missing_ok: bool = False) -> None:
        """Delete a campaign (API 3.6).

        :param missing_ok: do not fail if it does not exist. Default: False
        """
        self.client.delete_campaign(uuid, missing_ok=missing_ok)

    def test_connection(self) -> tuple[bool, str]:
        """Test token and service, each with one request; the message names the step that failed."""
        step = "Connection"
        try:
            # A person waits for the result, so requests are not retried for a minute.
            client = client_of(self.get_connection(self.bm_conn_id), self.service_uuid, retry=False)
            step = "Token"
            client.refresh_token()
            if client.settings.service_uuid is None:
                return True, "The token works. No Service UUID is set, so every task must set service_uuid."
            step = "Service"
            next(client.list_campaigns(page_size=1), None)
        except BMError as error:
            step = "Token" if error.of_token else step
            if isinstance(error, BMTransportError):
                return False, f"Not reachable ({step.lower()}): {error}"
            if isinstance(error, (BMForbiddenError, BMNotFoundError)):
                which = f" (service {client.settings.service_uuid})" if step == "Service" else ""
                return False, f"{step} not found or not allowed: {error}{which}"
            # Airflow tests a copy of the connection, under a random name.
            reason = str(error).removeprefix(f"Connection {self.bm_conn_id!r}, ")
            return False, f"{step} failed: {reason}"
        never = " It is draft_only: nothing can be sent." if client.settings.draft_only else ""
        return True, f"Token and service {client.settings.service_uuid} work.{never}"

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Fields of the connection form on Airflow before 3.2; later ones read the provider info."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import BooleanField, StringField

        widgets: dict[str, Any] = {}
        for name, field in CONN_FIELDS.items():
            label, description = lazy_gettext(field["label"]), field.get("description", "")
            if "boolean" in field["schema"]["type"]:
                widgets[name] = BooleanField(label, description=description)
            else:
                widgets[name] = StringField(label, widget=BS3TextFieldWidget(), description=description)
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels of the connection form on Airflow before 3.2."""
        return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}
