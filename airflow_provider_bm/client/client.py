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
from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.client.assumptions import PAGE_SIZE
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.client.observer import Observer, ignore
from airflow_provider_bm.client.pagination import all_pages
from airflow_provider_bm.client.query import Filters, fields_param, sort_param
from airflow_provider_bm.client.responses import Campaign, Page, Response, campaign_of, data_of, page_of
from airflow_provider_bm.client.restrictions import check_recipient_lists, is_recent
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.client.transport import Params, Transport
from airflow_provider_bm.exceptions import (
    BMCampaignStateError,
    BMConfigError,
    BMDraftOnlyError,
    BMError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMPayloadError,
    BMResponseError,
    Problem,
    RetryClass,
)

log = logging.getLogger(__name__)

#: Called with each row of a list that is not a campaign, and why.
OnBrokenRow = Callable[[Any, BMResponseError], None]


class BMClient:
    """The Campaign API of one BM account (service).

    Arguments are checked before the first request. Reading, deleting and stopping are repeated for a limited
    time after transient errors; a call that can send messages is repeated only if it was certainly not
    carried out (429, no connection). Threads may share a client.

    :param settings: the API's URLs, the credentials, and options
    :param products: further parts of the ``User-Agent``, such as ``apache-airflow/3.3.2``
    :param retry: repeat calls after transient errors. Default: True
    :param sleep: waits between tries
    :param check: called before each request is sent; may raise, and nothing else is sent then
    :param observe: called after each request with its method, path, status and time; must not raise
    """

    def __init__(
        self,
        settings: BMSettings,
        *,
        products: Sequence[str] = (),
        retry: bool = True,
        sleep: Callable[[float], None] = time.sleep,
        check: Callable[[], None] = lambda: None,
        observe: Observer = ignore,
    ) -> None:
        self.settings = settings
        self._transport = Transport(
            settings,
            products=products,
            retry=retry,
            sleep=sleep,
            check=check,
            campaigns_in_past_hour=self._campaigns_in_past_hour,
            observe=observe,
        )

    @property
    def session(self) -> requests.Session:
        """The authorized keep-alive session, for requests without a method here."""
        return self._transport.session

    @property
    def list_url(self) -> str:
        """The URL of the list, without its query."""
        return f"{self.settings.api_url}{self._path()}"

    @property
    def clock_ahead(self) -> timedelta:
        """How far the server's clock is ahead of this machine's; 0 if unknown; up to a second too low."""
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
        """Get an access token, unless there is one: the next call is then sent without delay.

        :raises BMAuthError: the credentials were refused
        """
        self._transport.token()

    def refresh_token(self) -> None:
        """Get an access token, even if there is one, to prove that the credentials work now.

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
    ) -> Iterator[Campaign]:
        """Yield campaigns, page by page, each once (3.2).

        Each campaign is checked against the filters as far as possible: many servers ignore filters that they
        do not support, and list everything.

        :param sending_type: only these channels
        :param status: only these statuses
        :param filters: ``{"contains(name)": "Storm"}``, or pairs; see the URL Filtering Guidelines
        :param fields: optional parts: ``tasks``, ``messages``
        :param sort: columns, ``-created_dt`` for descending
        :param page_size: rows to request per page; the server may return fewer
        :raises BMPayloadError: a filter is invalid, or by a column that no campaign has, or ``page_size`` is
            not a whole number from 1; raised by the call itself, not by the first ``next``
        :raises BMResponseError: the server returned a campaign that does not match
        """
        selection = CampaignFilter.of(
            sending_type=sending_type, status=status, filters=filters, fields=fields
        )
        return self.list_matching(selection, sort=sort, page_size=page_size)

    def list_matching(
        self,
        selection: CampaignFilter,
        *,
        sort: str | Sequence[str] = (),
        page_size: int = PAGE_SIZE,
        on_broken_row: OnBrokenRow | None = None,
    ) -> Iterator[Campaign]:
        """Yield the campaigns of a filter; see :meth:`list_campaigns`.

        :param on_broken_row: called with each row that is not a campaign; None: that is an error
        """
        params = [*selection.filters, *sort_param(sort), *fields_param(selection.fields)]
        pages = self.list_pages(params, page_size=page_size, on_broken_row=on_broken_row)

        def campaigns() -> Iterator[Campaign]:
            for page in pages:
                for campaign in page.campaigns:
                    selection.check(campaign)
                    yield campaign

        return campaigns()

    def list_pages(
        self,
        params: Params,
        *,
        page_size: int = PAGE_SIZE,
        on_broken_row: OnBrokenRow | None = None,
    ) -> Iterator[Page]:
        """Yield the pages of a list (3.2), each with the campaigns that were on no page before.

        Rows are *not* compared with the filters: for callers that do so themselves.

        :param params: the query, as :func:`.list_params` builds it
        :param page_size: rows to request per page; the server may return fewer
        :param on_broken_row: called with each row that is not a campaign; None: that is an error
        :raises BMPayloadError: ``page_size`` is not a whole number from 1; raised by the call itself
        """
        if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 1:
            raise BMPayloadError(
                [Problem("page_size", page_size, "must be a whole number from 1")], "request"
            )
        path = self._path()

        def fetch(number: int, size: int) -> Page:
            query = [*params, ("page_number", str(number)), ("page_size", str(size))]
            return self._transport.repeat(
                lambda: page_of(
                    self._transport.exchange("GET", path, params=query), self._transport.scrub, on_broken_row
                )
            )

        return all_pages(fetch, page_size, "GET /campaigns")

    def get_campaign(self, uuid: str, *, fields: str | Sequence[str] = ()) -> Campaign:
        """Return a campaign (3.3).

        :param fields: optional parts: ``tasks``, ``messages``
        :raises BMNotFoundError: it does not exist
        """
        uuid = parse_uuid(uuid)
        path, params = self._path(uuid), fields_param(fields)
        return self._transport.repeat(
            lambda: campaign_of(
                self._transport.exchange("GET", path, params=params), uuid, self._transport.scrub
            )
        )

    def create_campaign(self, mapping: CampaignCreate | Mapping[str, Any]) -> Campaign:
        """Create a campaign (3.1, 4.2): once, or not at all.

        :raises BMPayloadError: it is invalid; nothing was sent
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

        :param clone_uuid: the campaign to clone; or, without any other argument, a :class:`.CampaignClone`
        :param template_vars: values of the variables in its content, by raw name
        :param overrides: campaign fields that differ from the source
        :raises BMPayloadError: it is invalid; nothing was sent
        :raises BMOutcomeUnknownError: it was sent, and may exist
        """
        kwargs = {**overrides} if template_vars is None else {"template_vars": template_vars, **overrides}
        if not isinstance(clone_uuid, CampaignClone):
            clone_uuid = CampaignClone.from_mapping({"clone_uuid": clone_uuid, **kwargs})
        elif kwargs:
            # A status="draft" that is lost would send the clone.
            raise BMPayloadError(
                [
                    Problem(name, value, "must be in the CampaignClone itself")
                    for name, value in kwargs.items()
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
        what = f"a campaign named {name!r}" if name else "an unnamed campaign"
        return self._send_once("POST", body, f"{what} may exist", name=name)

    def update_campaign(
        self,
        uuid: str,
        changes: CampaignUpdate | Mapping[str, Any],
        *,
        replace: bool = False,
        allow_second_execution: bool = False,
    ) -> Campaign:
        """Change a campaign: read it, merge the changes, write it back (3.4, 4.3).

        Fields that do not change are written back as they were read. A campaign that has executed, or is
        executing, is not written with status ``active``: that could send it again (4.1).

        :param changes: the fields to change
        :param replace: do not read: ``changes`` is the whole campaign
        :param allow_second_execution: write it as ``active`` although that may send it again
        :raises BMPayloadError: the result is not a valid campaign; nothing was written
        :raises BMCampaignStateError: the change could send the campaign a second time
        :raises BMOutcomeUnknownError: it may have been activated
        """
        uuid = parse_uuid(uuid)
        if not isinstance(changes, CampaignUpdate):
            changes = CampaignUpdate.from_mapping(changes)
        payload = changes.to_payload()
        if not payload:
            raise BMPayloadError([Problem("changes", changes, "must contain at least one field")], "update")
        if replace:
            return self.put_campaign(uuid, check_complete(payload))
        merged = self.merge_update(
            self.get_campaign(uuid), payload, allow_second_execution=allow_second_execution
        )
        return self.put_campaign(uuid, merged)

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
        :param allow_second_execution: whether to write a campaign as active that was executed before
        :raises BMPayloadError: the result is not a valid campaign
        :raises BMCampaignStateError: writing it could send the campaign a second time
        """
        if self.settings.draft_only:
            changes = self._as_draft(dict(changes), campaign_label(current["uuid"], current))
        payload = check_complete(changes) if replace else merge_changes(current, changes)
        if payload["status"] == "active" and not allow_second_execution:
            _refuse_second_execution(current)
        return payload

    def put_campaign(self, uuid: str, payload: Mapping[str, Any]) -> Campaign:
        """PUT a whole campaign that was validated (3.4); once, if it becomes active.

        :raises BMOutcomeUnknownError: it may have been activated
        """
        body = dict(payload)
        if self.settings.draft_only:
            body = self._as_draft(body, uuid)
        name = body.get("name")
        if body.get("status") == "active":
            what = f"campaign {campaign_label(uuid, body)} may be active"
            return self._send_once("PUT", body, what, uuid, name)
        return self._write_idempotent("PUT", uuid, body, name)

    def set_campaign_status(
        self, uuid: str, status: str, *, allow_second_execution: bool = False
    ) -> Campaign:
        """Start, resume or stop a campaign; no request if it has that status already (3.5, 4.5).

        A draft is activated by PUT, since PATCH is for ``active`` and ``stopped`` only.

        :param status: ``active`` or ``stopped``
        :param allow_second_execution: activate a draft that has executed before
        :raises BMCampaignStateError: it has finished, or is a draft that has executed before
        :raises BMOutcomeUnknownError: it may have been activated
        """
        uuid = parse_uuid(uuid)
        body = CampaignStatus(status=status).to_payload()
        if self.settings.draft_only and status != "stopped":
            raise _not_activated(uuid)
        current = self.get_campaign(uuid)
        if current["status"] == status:
            log.info("Campaign %s is already %s", campaign_label(uuid, current), status)
            return current
        if current["status"] == "finished":
            raise BMCampaignStateError(
                f"Campaign {campaign_label(uuid, current)} has finished (last execution "
                f"{current.get('last_dt') or 'unknown'}) and cannot become {status}; clone it to send it "
                "again.",
                current,
            )
        if status == "stopped":
            return self._write_idempotent("PATCH", uuid, body, current.get("name"))
        return self.activate(current, allow_second_execution=allow_second_execution)

    def activate(self, current: Campaign, *, allow_second_execution: bool = False) -> Campaign:
        """Start a campaign that is not active: resume a stopped one, write others back as active (3.4, 3.5).

        Sent once.

        :param current: the campaign as it was just read
        :param allow_second_execution: activate a draft that has executed before
        :raises BMCampaignStateError: it is a draft that has executed before
        :raises BMOutcomeUnknownError: it may have been activated
        """
        if current["status"] != "stopped":
            return self.activate_draft(current, allow_second_execution=allow_second_execution)
        uuid, label = current["uuid"], campaign_label(current["uuid"], current)
        if self.settings.draft_only:
            raise _not_activated(label)
        lists = current.get("recipient_lists")
        check_recipient_lists(self.settings, lists, f"Campaign {label} was not resumed")
        body = CampaignStatus(status="active").to_payload()
        return self._send_once("PATCH", body, f"campaign {label} may be active", uuid, current.get("name"))

    def activate_draft(self, draft: Campaign, *, allow_second_execution: bool = False) -> Campaign:
        """Start a draft by writing it back as active (3.4): once, or not at all.

        :param draft: as it was just read
        :param allow_second_execution: activate it although it has executed before
        :raises BMCampaignStateError: it has executed before
        :raises BMOutcomeUnknownError: it may have been activated
        """
        if self.settings.draft_only:
            raise _not_activated(campaign_label(draft["uuid"], draft))
        if not allow_second_execution:
            _refuse_second_execution(draft)
        return self.put_campaign(draft["uuid"], merge_changes(draft, {"status": "active"}))

    def delete_campaign(self, uuid: str, *, missing_ok: bool = False) -> None:
        """Delete a campaign (3.6).

        :param missing_ok: do not fail if it does not exist
        :raises BMNotFoundError: it does not exist, and it was not this call that deleted it
        """
        uuid = parse_uuid(uuid)
        path = self._path(uuid)
        maybe_deleted = missing_ok

        def delete() -> None:
            nonlocal maybe_deleted
            try:
                data_of(self._transport.exchange("DELETE", path), self._transport.scrub)
            except BMNotFoundError:
                if not maybe_deleted:
                    raise
                log.info("Campaign %s does not exist, or no longer exists", uuid)
            except BMError as error:
                maybe_deleted = maybe_deleted or error.retry_class is RetryClass.UNKNOWN
                raise

        self._transport.repeat(delete)

    def _path(self, *parts: str) -> str:
        service = self.settings.service_uuid
        if not service:
            raise BMConfigError(
                "No service: put the Service UUID into the connection (field Schema), or pass service_uuid."
            )
        return "/".join(["/services", service, "campaigns", *parts])

    def _campaigns_in_past_hour(self) -> int:
        """Count the campaigns of the past hour that are not drafts, up to the limit."""
        limit = self.settings.max_campaigns_per_hour or 0
        count = scanned = 0
        previous = ""
        for page in self.list_pages([*sort_param("-created_dt")]):
            now = self.server_now() or datetime.now(UTC)
            for campaign in page.campaigns:
                recent, created = is_recent(campaign, now), str(campaign.get("created_dt"))
                count += recent and campaign["status"] != "draft"
                if count >= limit:
                    return count
                scanned += 1
                if not recent and previous and created < previous:
                    return count  # the list is sorted, so the rest is older
                previous = created
            if scanned >= _MAX_SCANNED:
                raise BMResponseError(
                    f"The campaigns of the past hour cannot be counted: the newest are not among the first "
                    f"{scanned}, so the server does not sort by created_dt. Without max_campaigns_per_hour, "
                    "they need not be counted."
                )
        return count

    def _send_once(
        self, method: str, body: dict[str, Any], what: str, uuid: str | None = None, name: Any = None
    ) -> Campaign:
        """Make a call that can send messages, at most once; raise an error if its outcome is unknown.

        :param what: what may have happened, for the message
        """
        path = self._path(uuid) if uuid else self._path()
        try:
            response = self._transport.repeat_refused(
                lambda replay_until: self._write(method, path, body, name, replay_until)
            )
        except BMError as error:
            if error.retry_class is not RetryClass.UNKNOWN:
                raise
            failure = error
        else:
            try:
                return self._campaign_from_write(response, uuid, body.get("status"))
            except BMError as error:
                failure = error
        raise BMOutcomeUnknownError(
            f"It is not known whether {method} {path[path.index('/campaigns') :]} was carried out: {what} "
            f"({failure})",
            name=name,
            status=getattr(failure, "status", None),
        ) from failure

    def _write_idempotent(self, method: str, uuid: str, body: Mapping[str, Any], name: Any) -> Campaign:
        """Make a call that writes, and may be repeated."""
        path, status = self._path(uuid), body.get("status")

        def write() -> Campaign:
            response = self._write(method, path, body, name)
            campaign = self._campaign_from_write(response, uuid, status)
            if campaign["status"] not in (status, "finished"):
                raise BMResponseError(
                    f"{response.call} was answered with HTTP {response.status}, but campaign "
                    f"{campaign_label(uuid, campaign)} is {campaign['status']} instead of {status}",
                    response.status,
                )
            return campaign

        return self._transport.repeat(write)

    def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        name: Any,
        replay_until: float | None = None,
    ) -> Response:
        response = self._transport.exchange(method, path, body=body, name=name, replay_until=replay_until)
        data_of(response, self._transport.scrub)
        return response

    def _campaign_from_write(self, response: Response, uuid: str | None, status: Any) -> Campaign:
        """The campaign that was written; read again if the response does not contain it.

        Only a status code is documented for the response to PUT and PATCH (3.4, 3.5).
        """
        data = data_of(response, self._transport.scrub)
        is_empty = data is None or (isinstance(data, dict) and "uuid" not in data)
        if uuid is None or not is_empty:
            return campaign_of(response, uuid, self._transport.scrub)
        campaign = self.get_campaign(uuid)
        if campaign["status"] not in (status, "finished"):
            raise BMResponseError(
                f"{response.call} was answered with HTTP {response.status} and no campaign, and campaign "
                f"{campaign_label(uuid, campaign)} is {campaign['status']} instead of {status}",
                response.status,
            )
        return campaign

    def _as_draft(self, payload: dict[str, Any], campaign: str) -> dict[str, Any]:
        if payload.get("status") != "draft":
            log.warning(
                "The connection is draft_only: campaign %r stays a draft instead of %s; nothing is sent",
                campaign,
                payload.get("status") or "its current status",
            )
        return {**payload, "status": "draft"}


#: Maximum number of campaigns to read when counting those of the past hour.
_MAX_SCANNED = 2000


def _not_activated(campaign: str) -> BMDraftOnlyError:
    refusal = f"The connection is draft_only: campaign {campaign} was not activated."
    log.warning(refusal)
    return BMDraftOnlyError(refusal)


def _refuse_second_execution(current: Campaign) -> None:
    """Refuse to save a campaign as active that has executed, or is executing (4.1).

    ``now`` executes whenever it is saved, ``once`` perhaps. Recurring campaigns are meant to execute again.
    """
    status, schedule = current["status"], current.get("schedule_type")
    executed = bool(current.get("last_dt"))
    advice = "Resume a stopped campaign by changing its status, clone a finished one."
    if status == "draft":
        if not executed or schedule == "scheduled":
            return
        why = (
            f"is a draft that was executed before ({current['last_dt']}); activating it would send it again."
        )
        advice = "Clone it to send it again, or set allow_second_execution."
    elif status == "active":
        if schedule != "now" and not (schedule == "once" and executed):
            return
        why = "is being sent; saving it would send it again."
        advice = "Stop it first, or clone it."
    else:
        why = f"is {status}; saving it as active could send it again."
    raise BMCampaignStateError(f"Campaign {campaign_label(current['uuid'], current)} {why} {advice}", current)
