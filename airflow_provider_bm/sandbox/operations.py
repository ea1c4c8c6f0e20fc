"""The operations of a sandbox, shared by Python, HTTP and :class:`.SandboxClient`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.campaigns.constants import SENDING_TYPES
from airflow_provider_bm.sandbox.api import TOKEN_PATH, Api
from airflow_provider_bm.sandbox.arguments import choice, header_text, number, strings
from airflow_provider_bm.sandbox.clock import Clock, rfc3339, rfc3339_ms
from airflow_provider_bm.sandbox.console import change, create, find, start, stop
from airflow_provider_bm.sandbox.endpoint import CLIENT_SECRET, SandboxEndpoint
from airflow_provider_bm.sandbox.faults import DEFAULT_TIMES, Fault, Faults
from airflow_provider_bm.sandbox.faults import MAX_SECONDS as MAX_DOWNTIME
from airflow_provider_bm.sandbox.http_messages import Reply, Request
from airflow_provider_bm.sandbox.journal import Entry, Journal, error_of
from airflow_provider_bm.sandbox.reading import texts
from airflow_provider_bm.sandbox.redaction import MAX_TEXT, Redactor
from airflow_provider_bm.sandbox.search import search
from airflow_provider_bm.sandbox.store import Store
from airflow_provider_bm.sandbox.time_range import TimeRange


class Operation(NamedTuple):
    """A method or property of :class:`Operations`, and its HTTP route under ``/_sandbox/``."""

    name: str
    method: str
    path: str
    #: The property of the JSON reply that contains the result; None if the reply is the result.
    key: str | None = None


#: The only list of them, besides :data:`.SETTINGS`: routes and :class:`.SandboxClient` are made from it.
OPERATIONS: Final = (
    Operation("health", "GET", "health"),
    Operation("campaigns", "GET", "campaigns"),
    Operation("create", "POST", "campaigns"),
    Operation("update_campaign", "POST", "update_campaign"),
    Operation("start_campaign", "POST", "start_campaign"),
    Operation("stop_campaign", "POST", "stop_campaign"),
    Operation("delete_campaign", "POST", "delete_campaign"),
    Operation("messages", "GET", "messages"),
    Operation("executions", "GET", "executions"),
    Operation("requests", "GET", "requests"),
    Operation("recipient_lists", "GET", "recipient_lists"),
    Operation("add_recipient_list", "POST", "recipient_lists", "uuid"),
    Operation("fault", "POST", "faults"),
    Operation("faults", "GET", "faults"),
    Operation("clear_faults", "DELETE", "faults"),
    Operation("refuse", "POST", "refuse"),
    Operation("reset", "POST", "reset"),
    Operation("revoke_tokens", "POST", "revoke_tokens"),
    Operation("rate_limit", "POST", "rate_limit"),
    Operation("add_service", "POST", "services", "service_uuid"),
    Operation("add_client", "POST", "clients"),
)


class Operations(SandboxEndpoint):
    """The operations, on the state of a sandbox in this process."""

    host: str
    clock: Clock
    store: Store
    journal: Journal
    api: Api
    scripted_faults: Faults
    #: Refuses connections for a number of seconds; None while the sandbox is not served.
    refuse_connections: Callable[[float], None] | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def record(self, request: Request, connection: int) -> Callable[[Reply | None], None]:
        """Record a request in the journal; the result is called with the reply, or None without one."""
        with self.store.lock:
            redactor = Redactor(request, self.store.clients.secrets)
        request.shown = redactor.text(request.path)
        body = redactor.token_form if request.path.startswith(TOKEN_PATH) else redactor.body
        entry = Entry(
            method=request.method,
            path=request.shown,
            query=redactor.pairs(request.pairs),
            body=body(request.body),
            headers=redactor.headers(request.headers),
            dt=rfc3339_ms(self.clock.now()),
            connection=connection,
        )
        self.journal.add(entry)

        def finish(reply: Reply | None) -> None:
            if reply is not None:
                error = error_of(reply)
                entry.status, entry.error = reply.status, error and redactor.text(error)[:MAX_TEXT]
            entry.finished = True

        return finish

    # Reading

    def health(self) -> dict[str, Any]:
        """Return that it runs, where, and with which service and recipient lists."""
        return {
            "status": "ok",
            "api_url": self.api_url,
            "token_url": self.token_url,
            "service_uuid": self.service_uuid,
            "client_id": self.client_id,
            "recipient_lists": self.recipient_lists,
        }

    def campaigns(
        self, *, service_uuid: str | None = None, fields: str | Iterable[str] | None = None, **filters: Any
    ) -> list[dict[str, Any]]:
        """List campaigns as in the API's responses, oldest first.

        :param service_uuid: only campaigns of this service
        :param fields: optional fields of the response, e.g. ``"tasks,messages"``
        :param filters: required values of fields; None for fields that are not set
        :raises ValueError: there is no such field or service, or a field cannot have such a value
        """
        extras = fields.split(",") if isinstance(fields, str) else fields or ()
        with self.store.lock:
            return search(self.store, filters, service_uuid, [name for name in extras if name])

    def messages(
        self,
        campaign_uuid: str | None = None,
        to: str | None = None,
        channel: str | None = None,
        text: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the messages sent until now, in the order of sending; including those of deleted campaigns.

        :param to: the address: mobile, email, or for webpush the contact's UUID
        :param channel: the ``sending_type``
        :param text: part of the text as sent, or as read: of a text in the JSON, or of a webpush field
        :param since: only those sent at this time or later; aware, or text in RFC 3339
        :param until: only those sent before this time
        :raises ValueError: there is no such channel, or an argument is not a string
        """
        time_range = TimeRange(since, until)
        exact = {"to": to, "channel": channel}
        strings({"campaign_uuid": campaign_uuid, "text": text} | exact)
        if channel is not None:
            choice("channel", channel, SENDING_TYPES)
        with self.store.lock:
            now = self.store.run_due()
            runs = [run for run in self.store.runs if campaign_uuid in (None, run.campaign_uuid)]
            sent = [
                message
                for run in runs
                for message in run.messages(now)
                if all(value in (None, message[name]) for name, value in exact.items())
                and (text is None or any(text in found for found in texts(message)))
                and message["sent_dt"] in time_range
            ]
        return sorted(sent, key=lambda message: str(message["sent_dt"]))

    def executions(self, campaign_uuid: str | None = None) -> list[dict[str, Any]]:
        """List the executions: start and number of contacts of each."""
        with self.store.lock:
            self.store.run_due()
            return [
                {"campaign_uuid": run.campaign_uuid, "dt": rfc3339(run.started), "contacts": run.total}
                for run in self.store.runs
                if campaign_uuid in (None, run.campaign_uuid)
            ]

    def requests(
        self,
        method: str | None = None,
        path: str | None = None,
        status: int | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the requests, oldest first, with secrets redacted.

        ``status`` is None while a request is being served, and if no reply was sent; ``finished``
        distinguishes the two. ``error`` is the message of an error reply, or None.

        :param path: part of the path
        :param status: of the reply; ``"none"`` for requests without one
        :param since: only those received at this time (of the sandbox) or later; aware, or text in RFC 3339
        :param until: only those received before this time
        """
        return self.journal.list(method, path, status, TimeRange(since, until))

    @property
    def recipient_lists(self) -> dict[str, str]:
        """UUIDs of the recipient lists, by name."""
        with self.store.lock:
            return self.store.recipients.by_name()

    # Campaigns, as a person at the console

    def create(self, **fields: Any) -> dict[str, Any]:
        """Create a campaign as the console would: any status, and defaults for missing fields.

        :param fields: campaign fields, and ``service_uuid``, ``uuid``, ``created_dt``, ``last_dt``
        """
        with self.store.lock:
            return create(self.store, fields).as_response(self.clock.now())

    def update_campaign(self, uuid: str, **fields: Any) -> dict[str, Any]:
        """Change fields of a campaign as the console would, and save it. That starts an active one again.

        :param fields: campaign fields; None unsets one. Others are not changed
        """
        with self.store.lock:
            return change(self.store, find(self.store, uuid), fields).as_response(self.clock.now())

    def start_campaign(self, uuid: str) -> dict[str, Any]:
        """Start a draft, resume a stopped campaign, or run a finished one again."""
        with self.store.lock:
            return start(self.store, find(self.store, uuid)).as_response(self.clock.now())

    def stop_campaign(self, uuid: str) -> dict[str, Any]:
        """Stop an active campaign; messages that have not been sent wait until it is started again."""
        with self.store.lock:
            return stop(self.store, find(self.store, uuid)).as_response(self.clock.now())

    def delete_campaign(self, uuid: str) -> None:
        """Delete a campaign; its sent messages stay in the journal."""
        with self.store.lock:
            self.store.delete(find(self.store, uuid))

    def add_recipient_list(self, name: str, contacts: Iterable[Mapping[str, str]]) -> str:
        """Add a recipient list of custom contacts, or replace its contacts, and return its UUID.

        :param name: any name, from which the UUID is derived; or a UUID
        :param contacts: contact fields, with ``mobile``, ``email`` or ``uuid`` at least, e.g.
            ``{"mobile": "+41790000001", "first_name": "Ada"}``; with ``"opt_status": "out"``, the contact
            gets nothing
        """
        with self.store.lock:
            return self.store.add_recipient_list(name, contacts)

    # Access

    def add_service(self, service_uuid: str | None = None) -> str:
        """Add a service and return its UUID; clients may use it after :meth:`add_client`.

        :param service_uuid: a random one by default
        """
        with self.store.lock:
            return self.store.add_service(service_uuid)

    def add_client(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add an API client that may use these services, or change one.

        With a new secret, the tokens issued to it become invalid.
        """
        if client_secret == CLIENT_SECRET and not self.loopback:
            raise ValueError("client_secret: the sandbox's default is public, choose another one")
        with self.store.lock:
            self.store.add_client(client_id, client_secret, service_uuids)

    def revoke_tokens(self) -> None:
        """Invalidate all tokens issued so far."""
        with self.store.lock:
            self.store.clients.revoke_tokens()

    # What goes wrong

    def fault(
        self,
        method: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | None = DEFAULT_TIMES,
        **effect: Any,
    ) -> dict[str, Any]:
        """Script a fault.

        :param method: HTTP method; any by default
        :param path: regular expression to search in the path; any path by default
        :param nth: the first matching call that is hit, counted from now, without calls hit by older faults
        :param times: number of calls in a row that are hit; None for all. Default: 1, or all with a
            ``probability``
        :param effect: ``status`` (the call is not applied unless ``apply``), ``headers`` (None removes one),
            ``body``, ``html`` (not applied either), ``delay`` (seconds before), ``delay_after`` (after
            applying), ``lose_reply`` (applied, then the connection is closed), ``drop`` (closed before
            applying), ``refuse`` (closed before applying, and no connection accepted for this many seconds;
            with ``lose_reply`` after applying), ``truncate``, ``garbage`` (both applied), ``change_request``
            and ``change_reply`` (mappings merged into the JSON of the request before it is applied, or of
            the reply), ``revoke_token``, ``probability`` with ``seed``
        """
        return self.scripted_faults.add(
            Fault(method=method, path=path, nth=nth, times=times, **effect)
        ).as_dict()

    def faults(self) -> list[dict[str, Any]]:
        """List the faults in force, and how many calls each has seen and hit."""
        return self.scripted_faults.list()

    def clear_faults(self, id: int | None = None) -> None:  # noqa: A002 - the name of the fault's property
        """Remove all faults, or the one with this ``id``."""
        self.scripted_faults.clear(id)

    def refuse(self, seconds: float) -> None:
        """Refuse connections for a number of real seconds, and close all open ones; 0 accepts them again.

        Meanwhile the routes under ``/_sandbox`` cannot be reached either.
        """
        number("seconds", seconds, MAX_DOWNTIME)
        if self.refuse_connections is None:
            raise RuntimeError("the sandbox is not running: it refuses connections already")
        self.refuse_connections(seconds)

    def rate_limit(self, per_second: float | None, retry_after: str | int = "1") -> None:
        """Answer 429 to calls above a number per (real) second; None removes the limit, 0 refuses all.

        Calls for a token are not counted: the vendor serves them from another host. A fault can limit them.

        :param retry_after: the header to send: seconds or an HTTP date
        """
        wait = header_text("retry_after", retry_after)
        with self.store.lock:
            self.api.rate_limit.set(per_second, wait)

    def reset(self) -> None:
        """Go back to the state of a new sandbox: state, tokens, faults, journal, clock, settings."""
        with self.store.lock:
            self.clock.reset()
            self.store.reset()
            self.api.rate_limit.set(None)
            self.scripted_faults.clear()
            self.journal.clear()

    # Settings

    @property
    def execution_seconds(self) -> float:
        """How long executions that start from now on take, in sandbox time."""
        return self.store.settings.execution_seconds

    @execution_seconds.setter
    def execution_seconds(self, seconds: float) -> None:
        self.configure(execution_seconds=seconds)

    @property
    def token_lifetime(self) -> float:
        """Seconds until tokens issued from now on expire, in sandbox time."""
        return self.store.settings.token_lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        self.configure(token_lifetime=seconds)

    @property
    def ignore_filters(self) -> bool:
        """Whether lists ignore ``operator(field)``, ``name`` and ``uuid`` filters."""
        return self.store.settings.ignore_filters

    @ignore_filters.setter
    def ignore_filters(self, ignore: bool) -> None:
        self.configure(ignore_filters=ignore)

    @property
    def name_policy(self) -> str | None:
        """How campaign names are changed before they are stored; None if they are not.

        See :func:`.names.name_policy`.
        """
        return self.store.settings.name_policy

    @name_policy.setter
    def name_policy(self, policy: str | None) -> None:
        self.configure(name_policy=policy)

    def configure(self, **changes: Any) -> None:
        """Change several settings at once.

        :raises ValueError: a value is invalid
        """
        with self.store.lock:
            self.store.configure(**changes)
