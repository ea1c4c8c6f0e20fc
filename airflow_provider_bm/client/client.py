"""The six calls of the Campaign API, and which of them may be repeated."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from airflow_provider_bm.campaigns import (
    CampaignClone,
    CampaignCreate,
    CampaignStatus,
    CampaignUpdate,
    check_complete,
    merge_changes,
    parse_uuid,
)
from airflow_provider_bm.client.assumptions import PAGE_SIZE, UNKNOWN_OUTCOME_STATUSES
from airflow_provider_bm.client.pagination import all_pages, campaigns_of, of_status
from airflow_provider_bm.client.query import Filters, fields_param, list_params
from airflow_provider_bm.client.responses import Campaign, Page, Reply, campaign_of, data_of, page_of
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.client.transport import Params, Transport
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMCampaignStateError,
    BMConfigError,
    BMConnectError,
    BMDraftOnlyError,
    BMError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMPayloadError,
    BMResponseError,
    BMTransportError,
    Problem,
)

log = logging.getLogger(__name__)


class BMClient:
    """The Campaign API of one BM account (service).

    All that is asked for is checked before the first request. Reading, deleting and stopping are repeated
    for a bounded time if they fail in passing; whatever can make messages go out is repeated only if it was
    certainly not carried out (429, no connection).
    Threads may share a client.

    :param settings: where the API is, and who calls it
    :param products: further parts of the ``User-Agent``, such as ``apache-airflow/3.3.2``
    :param sleep: waits between tries
    :param check: called before each request leaves; may raise, and nothing else is sent then
    """

    def __init__(
        self,
        settings: BMSettings,
        *,
        products: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._transport = Transport(settings, products=products, sleep=sleep, check=check)

    @property
    def session(self) -> requests.Session:
        """The authorized keep-alive session, for calls that this class does not have."""
        return self._transport.session

    @property
    def list_url(self) -> str:
        """The URL of the list, without its query."""
        return f"{self.settings.api_url}{self._path()}"

    @property
    def clock_ahead(self) -> timedelta:
        """How far the server's clock is ahead of this machine's; 0 if unknown, up to a second too little."""
        server_now = self.server_now()
        return timedelta(0) if server_now is None else server_now - datetime.now(UTC)

    def server_now(self) -> datetime | None:
        """Return the API's current time, by the ``Date`` header of its last response, in UTC.

        Advances with this machine's monotonic clock between responses.

        :return: None if there was no response yet, or none with a plausible ``Date``
        """
        return self._transport.server_now()

    def close(self) -> None:
        """Close the session's connections."""
        self._transport.session.close()

    def ensure_token(self) -> None:
        """Get an access token, unless there is one: the next call then leaves without delay.

        :raises BMAuthError: the credentials were refused
        """
        self._transport.token()

    def refresh_token(self) -> None:
        """Get an access token, even if there is one: what it proves is that the credentials are good now.

        :raises BMAuthError: the credentials were refused
        """
        self._transport.new_token()

    def list_campaigns(
        self,
        *,
        sending_type: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = None,
        filters: Filters | None = None,
        fields: str | Sequence[str] = (),
        sort: str | Sequence[str] = (),
        page_size: int = PAGE_SIZE,
        broken: Callable[[Any, BMResponseError], None] | None = None,
    ) -> Iterator[Campaign]:
        """Yield campaigns, page by page, each once (3.2).

        :param sending_type: only these channels
        :param status: only these statuses
        :param filters: ``{"startswith(name)": "Storm"}``, or pairs; see the URL Filtering Guidelines
        :param fields: optional parts: ``tasks``, ``messages``
        :param sort: columns, ``-created_dt`` for descending
        :param page_size: rows to ask for in a request; the server may give fewer
        :param broken: called with each row that is no campaign, and why; None: that is an error
        :raises BMPayloadError: a filter that no server would understand, or ``page_size`` is no whole number
            from 1; raised by the call itself, not by the first ``next``
        """
        query = list_params(
            sending_type=sending_type, status=status, filters=filters, fields=fields, sort=sort
        )
        pages = self.list_pages(query, page_size=page_size, broken=broken)
        return campaigns_of(pages if status is None or isinstance(status, str) else of_status(pages, status))

    def list_pages(
        self,
        query: Params,
        *,
        page_size: int = PAGE_SIZE,
        broken: Callable[[Any, BMResponseError], None] | None = None,
    ) -> Iterator[Page]:
        """Yield the pages of a list (3.2), each with what was on none before it.

        :param query: what to ask for, as :func:`.list_params` makes it
        :param page_size: rows to ask for in a request; the server may give fewer
        :param broken: called with each row that is no campaign, and why; None: that is an error
        :raises BMPayloadError: ``page_size`` is no whole number from 1; raised by the call itself
        """
        if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 1:
            raise BMPayloadError(
                [Problem("page_size", page_size, "must be a whole number from 1")], "request"
            )
        path = self._path()

        def fetch(number: int, size: int) -> Page:
            params = [*query, ("page_number", str(number)), ("page_size", str(size))]
            return self._transport.repeat(
                lambda: page_of(self._call("GET", path, params), self._transport.scrub, broken)
            )

        return all_pages(fetch, page_size, f"GET {path}")

    def get_campaign(self, uuid: str, *, fields: str | Sequence[str] = ()) -> Campaign:
        """Return a campaign (3.3).

        :param fields: optional parts: ``tasks``, ``messages``
        :raises BMNotFoundError: there is none
        """
        uuid = parse_uuid(uuid)
        path, params = self._path(uuid), fields_param(fields)
        return self._transport.repeat(
            lambda: campaign_of(self._call("GET", path, params), uuid, self._transport.scrub)
        )

    def create_campaign(self, mapping: CampaignCreate | Mapping[str, Any]) -> Campaign:
        """Create a campaign (3.1, 4.2): once, or not at all.

        :raises BMPayloadError: it is not valid; nothing was sent
        :raises BMOutcomeUnknownError: it was sent, and may exist
        """
        campaign = mapping if isinstance(mapping, CampaignCreate) else CampaignCreate.from_mapping(mapping)
        return self.post_campaign(campaign.to_payload())

    def clone_campaign(
        self,
        clone_uuid: CampaignClone | str,
        *,
        template_vars: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> Campaign:
        """Clone a campaign (1.4, 3.1, 4.2): once, or not at all.

        :param clone_uuid: the campaign to clone; or, with no other argument, a :class:`.CampaignClone`
        :param template_vars: values of the variables in its content, by raw name
        :param overrides: campaign fields that differ from the source
        :raises BMPayloadError: it is not valid; nothing was sent
        :raises BMOutcomeUnknownError: it was sent, and may exist
        """
        given = {**overrides} if template_vars is None else {"template_vars": template_vars, **overrides}
        if not isinstance(clone_uuid, CampaignClone):
            clone_uuid = CampaignClone.from_mapping({"clone_uuid": clone_uuid, **given})
        elif given:
            # A status="draft" that is lost would send the clone.
            raise BMPayloadError(
                [
                    Problem(name, value, "must be in the CampaignClone itself")
                    for name, value in given.items()
                ],
                "clone of a campaign",
            )
        return self.post_campaign(clone_uuid.to_payload())

    def post_campaign(self, payload: Mapping[str, Any]) -> Campaign:
        """POST a payload that :class:`.CampaignCreate` or :class:`.CampaignClone` has validated (3.1, 4.2).

        Sent once: it is repeated only after a refusal (429, no connection).

        :param payload: the JSON body; not validated again
        :raises BMOutcomeUnknownError: it was sent, and the campaign may exist
        """
        body = dict(payload)
        if self.settings.draft_only:
            body = self._as_draft(body, body.get("name") or "without a name")
        name = body.get("name")
        what = f"a campaign named {name!r}" if name else "a campaign without a name of its own"
        return self._once("POST", self._path(), body, f"{what} may exist", name=name)

    def update_campaign(
        self, uuid: str, changes: CampaignUpdate | Mapping[str, Any], *, replace: bool = False
    ) -> Campaign:
        """Change a campaign: read it, merge the changes, write the whole (3.4, 4.3).

        A campaign that is being sent, or was, is not written with status ``active``: a ``now`` campaign
        runs as soon as it is saved, so that would send it again.

        :param changes: the fields to change
        :param replace: do not read: ``changes`` is the whole campaign
        :raises BMPayloadError: the result is not a valid campaign; nothing was written
        :raises BMCampaignStateError: the change could send the campaign a second time
        :raises BMOutcomeUnknownError: it was activated, or not
        """
        uuid = parse_uuid(uuid)
        if not isinstance(changes, CampaignUpdate):
            changes = CampaignUpdate.from_mapping(changes)
        payload = changes.to_payload()
        if not payload:
            raise BMPayloadError([Problem("changes", changes, "must hold at least one field")], "update")
        if replace:
            return self.put_campaign(uuid, check_complete(payload))
        current = self.get_campaign(uuid)
        return self.put_campaign(uuid, self.merge_update(current, payload))

    def merge_update(
        self,
        current: Campaign,
        changes: Mapping[str, Any],
        *,
        replace: bool = False,
        allow_second_execution: bool = False,
    ) -> dict[str, Any]:
        """Return the whole campaign that an update writes (4.3).

        :param current: the campaign as it was just read
        :param changes: the fields to change, validated
        :param replace: ``changes`` is the whole campaign
        :param allow_second_execution: also write as active what was executed already
        :raises BMPayloadError: the result is not a valid campaign
        :raises BMCampaignStateError: writing it could send the campaign a second time
        """
        if self.settings.draft_only:
            changes = self._as_draft(dict(changes), current["uuid"])
        payload = check_complete(changes) if replace else merge_changes(current, changes)
        if not allow_second_execution:
            _refuse_second_run(current, payload)
        return payload

    def put_campaign(self, uuid: str, payload: Mapping[str, Any]) -> Campaign:
        """PUT a whole campaign that was validated (3.4); once, if it becomes active.

        :raises BMOutcomeUnknownError: it was activated, or not
        """
        body = dict(payload)
        if self.settings.draft_only:
            body = self._as_draft(body, uuid)
        return self._put(self._path(uuid), uuid, body)

    def set_campaign_status(self, uuid: str, status: str) -> Campaign:
        """Start, resume or stop a campaign, if it is not so already (3.5, 4.5).

        A draft is activated by PUT, since PATCH is for active and stopped.

        :param status: ``active`` or ``stopped``
        :raises BMCampaignStateError: it has finished
        :raises BMOutcomeUnknownError: it was started, or not
        """
        uuid = parse_uuid(uuid)
        body = CampaignStatus(status=status).to_payload()
        path = self._path(uuid)
        if self.settings.draft_only and status != "stopped":
            raise _stays_draft(uuid)
        current = self.get_campaign(uuid)
        if current["status"] == status:
            log.info("Campaign %s is %s already", uuid, status)
            return current
        if current["status"] == "finished":
            raise BMCampaignStateError(
                f"Campaign {uuid} has finished (last execution {current.get('last_dt') or 'unknown'}) and "
                f"cannot become {status}; clone it to send it again.",
                current,
            )
        if status == "stopped":
            return self._write_again("PATCH", path, body, uuid)
        return self.activate(current)

    def activate(self, current: Campaign) -> Campaign:
        """Start a campaign that is not active: resume a stopped one, write others back as active (3.4, 3.5).

        Sent once.

        :param current: the campaign as it was just read
        :raises BMOutcomeUnknownError: it was started, or not
        """
        if current["status"] != "stopped":
            return self.activate_draft(current)
        uuid = current["uuid"]
        if self.settings.draft_only:
            raise _stays_draft(uuid)
        body = CampaignStatus(status="active").to_payload()
        what = f"campaign {uuid} may be active"
        return self._once("PATCH", self._path(uuid), body, what, uuid, current.get("name"))

    def activate_draft(self, draft: Campaign) -> Campaign:
        """Start a draft by writing it back as active (3.4): once, or not at all.

        :param draft: as it was just read
        :raises BMOutcomeUnknownError: it was started, or not
        """
        if self.settings.draft_only:
            raise _stays_draft(draft["uuid"])
        payload = merge_changes(draft, {"status": "active"})
        return self._put(self._path(draft["uuid"]), draft["uuid"], payload)

    def delete_campaign(self, uuid: str, *, missing_ok: bool = False) -> None:
        """Delete a campaign (3.6).

        :param missing_ok: it is no error if there is none
        :raises BMNotFoundError: there is none, and it was not this call that deleted it
        """
        uuid = parse_uuid(uuid)
        path = self._path(uuid)
        maybe_deleted = missing_ok

        def delete() -> None:
            nonlocal maybe_deleted
            try:
                data_of(self._call("DELETE", path), self._transport.scrub)
            except BMNotFoundError:
                if not maybe_deleted:
                    raise
                log.info("Campaign %s is gone", uuid)
            except BMError as error:
                maybe_deleted = maybe_deleted or _outcome_unknown(error)
                raise

        self._transport.repeat(delete)

    def _path(self, *parts: str) -> str:
        service = self.settings.service_uuid
        if not service:
            raise BMConfigError(
                "No service: put the Service UUID into the connection (field Schema), or give service_uuid."
            )
        return "/".join(["/services", service, "campaigns", *parts])

    def _call(
        self, method: str, path: str, params: Params = (), body: Mapping[str, Any] | None = None
    ) -> Reply:
        return self._transport.exchange(method, path, params=params, body=body)

    def _put(self, path: str, uuid: str, payload: dict[str, Any]) -> Campaign:
        if payload.get("status") == "active":
            return self._once(
                "PUT", path, payload, f"campaign {uuid} may be active", uuid, payload.get("name")
            )
        return self._write_again("PUT", path, payload, uuid)

    def _once(
        self,
        method: str,
        path: str,
        body: dict[str, Any],
        what: str,
        uuid: str | None = None,
        name: Any = None,
    ) -> Campaign:
        """Make a call that can send messages: carried out once, or an error that says nobody knows."""
        try:
            reply = self._transport.repeat_refused(lambda: self._write(method, path, body))
        except BMError as error:
            if not _outcome_unknown(error):
                raise
            failure = error
        else:
            try:
                return self._written(reply, uuid, body.get("status"))
            except BMError as error:
                failure = error
        raise BMOutcomeUnknownError(
            f"It is not known whether {method} {path} was carried out: {what} ({failure})",
            name=name,
            status=getattr(failure, "status", None),
        ) from failure

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Reply:
        reply = self._call(method, path, body=body)
        data_of(reply, self._transport.scrub)
        return reply

    def _written(self, reply: Reply, uuid: str | None, status: Any) -> Campaign:
        """The campaign that was written; read anew, if the reply does not hold it.

        Of what a PUT or PATCH is answered with, there is just a code in the documentation (3.4, 3.5).
        """
        data = data_of(reply, self._transport.scrub)
        holds_none = data is None or (isinstance(data, dict) and "uuid" not in data)
        if uuid is None or not holds_none:
            return campaign_of(reply, uuid, self._transport.scrub)
        campaign = self.get_campaign(uuid)
        if campaign["status"] not in (status, "finished"):
            raise BMResponseError(
                f"{reply.call} was answered with HTTP {reply.status} and no campaign, and campaign {uuid} is "
                f"{campaign['status']} instead of {status}",
                reply.status,
            )
        return campaign

    def _write_again(self, method: str, path: str, body: Mapping[str, Any], uuid: str) -> Campaign:
        """Make a call that writes and may be repeated."""
        return self._transport.repeat(
            lambda: self._written(self._write(method, path, body), uuid, body.get("status"))
        )

    def _as_draft(self, payload: dict[str, Any], campaign: str) -> dict[str, Any]:
        if payload.get("status") != "draft":
            log.warning(
                "The connection is draft_only: campaign %r is kept a draft instead of %s; nothing is sent",
                campaign,
                payload.get("status") or "as it is",
            )
        return {**payload, "status": "draft"}


def _stays_draft(uuid: str) -> BMDraftOnlyError:
    refusal = f"The connection is draft_only: campaign {uuid} was not activated."
    log.warning(refusal)
    return BMDraftOnlyError(refusal)


def _outcome_unknown(error: BMError) -> bool:
    """Whether a request that ended so may have been carried out."""
    if error.of_token:
        return False
    if isinstance(error, BMAPIError):
        return error.status in UNKNOWN_OUTCOME_STATUSES
    return isinstance(error, (BMTransportError, BMResponseError)) and not isinstance(error, BMConnectError)


def _refuse_second_run(current: Campaign, payload: Mapping[str, Any]) -> None:
    """Refuse to save as active what has run, or is running: ``now`` runs as soon as it is saved (4.1)."""
    status, uuid = current["status"], current["uuid"]
    if payload["status"] != "active" or status == "draft":
        return
    executed = current.get("schedule_type") == "once" and bool(current.get("last_dt"))
    if status == "active" and current.get("schedule_type") != "now" and not executed:
        return
    if status == "active":
        why = "is being sent; saving it would send it again. Stop it first, or clone it."
    else:
        why = (
            f"is {status}; saving it as active could send it again. Resume a stopped campaign by changing "
            "its status, clone a finished one."
        )
    raise BMCampaignStateError(f"Campaign {uuid} {why}", current)
