"""The sandbox itself: everything put together, and the handles to steer it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.campaigns.constants import SENDING_TYPES

from .access import reached_at
from .api import TOKEN_PATH, Api
from .clients import check_credentials
from .clock import MAX_SECONDS, Clock, rfc3339, rfc3339_ms
from .connection import CLIENT_ID, CLIENT_SECRET, Connectable
from .console import change, find, put_in, start, stop
from .control import Control
from .faults import DEFAULT_TIMES, Fault, Faults
from .faults import MAX_SECONDS as DOWN_SECONDS
from .given import choice, header_text, number, strings, truth
from .hiding import MAX_TEXT, Hiding
from .journal import Entry, Journal, error_of
from .messages import Reply, Request
from .reading import texts
from .search import search
from .server import Server, log
from .spans import Span
from .state import StateFile
from .store import Store

#: Settings that :meth:`Sandbox.reset` goes back to, and a new state file starts with.
DEFAULTS: Final = {"token_lifetime": 604800.0, "execution_seconds": 2.0}


#: All that this process serves.
RUNNING: Final[set[Sandbox]] = set()


class Sandbox(Connectable):
    """A BM of one's own, served over HTTP from a thread.

    ::

        with Sandbox() as sandbox:
            print(sandbox.connection_json())

    :param port: TCP port; 0 for any free one.
    :param host: address to listen at; another one than loopback needs a ``client_secret`` of your own.
    :param speed: seconds of sandbox time in one real second; 1 by default.
    :param token_lifetime: seconds until a token expires, in sandbox time; a week by default.
    :param execution_seconds: how long sending the messages of an execution takes, in sandbox time; 2 by
        default.
    :param start: aware time at which the clock of a new sandbox starts; now by default.
    :param state: a file to keep all in, so that it outlives the process; in memory only by default. If it is
        there already, the sandbox goes on where it ended: services, clients, tokens, recipient lists,
        campaigns, executions, messages, the settings that are not given here, and the clock, for which the
        time in between has passed too. The journal of requests and the faults are not kept.
    :raises ValueError: if an argument makes no sense, or the state file cannot be used.
    """

    _clock_type: type[Clock] = Clock
    _store_type: type[Store] = Store

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        speed: float | None = None,
        token_lifetime: float | None = None,
        execution_seconds: float | None = None,
        start: datetime | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        """Make it; nothing is bound before :meth:`start`."""
        if not is_loopback(host) and client_secret == CLIENT_SECRET:
            raise ValueError(
                f"refusing to listen at {host}: everybody knows the sandbox's usual client secret. "
                "Give a client secret of your own, or stay on 127.0.0.1."
            )
        check_credentials(client_id, client_secret)
        self.host, self.port = host, port
        self.client_id, self.client_secret = client_id, client_secret
        #: Those that are known here: of all others, only the hash is.
        self._secrets = {client_secret}
        given = {"token_lifetime": token_lifetime, "execution_seconds": execution_seconds}
        settings = {
            name: number(name, value, MAX_SECONDS) for name, value in given.items() if value is not None
        }
        self.clock = self._clock_type(start, 1.0 if speed is None else speed)
        self._kept = None if state is None else StateFile(state)
        try:
            self.store = self._store_type(
                self.clock, client_id, client_secret, DEFAULTS | settings, state=self._kept, settings=settings
            )
            if not self.loopback:
                self._drop_published_secret()
        except BaseException:
            if self._kept is not None:
                self._kept.close()
            raise
        if speed is not None:
            self.clock.speed = speed
        self.journal = Journal()
        self._faults = Faults()
        self._api = Api(self.store, "")
        self._server: Server | None = None
        self._take_settings()

    def _drop_published_secret(self) -> None:
        # The state file may come from a sandbox on loopback, where the usual secret is good.
        with self.store.lock:
            for dropped in self.store.clients.drop(CLIENT_SECRET):
                log.warning("client %r is dropped: it has the secret that everybody knows", dropped)

    # Serving

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def start(self) -> Self:
        """Serve, from a daemon thread."""
        if self._server is not None:
            raise RuntimeError("the sandbox is running already")
        if self._kept is not None and self._kept.closed:
            raise RuntimeError("the sandbox has let go of its state file: make another one with it")
        server = Server(
            (self.host, self.port),
            api=self._api.handle,
            control=Control(self).handle,
            faults=self._faults,
            revoke_tokens=self.revoke_tokens,
            note=self._note,
            now=self.clock.now,
        )
        self._server, self.port = server, server.server_port
        self._url = f"http://{reached_at(self.host)}:{self.port}"
        self._api.api_url = self.api_url
        threading.Thread(target=server.run, name="bm-sandbox", daemon=True).start()
        RUNNING.add(self)
        return self

    def stop(self) -> None:
        """Stop serving, and let go of the state file; the state stays to be looked at."""
        RUNNING.discard(self)
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.store.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _note(self, request: Request, connection: int) -> Callable[[Reply | None], None]:
        hiding = Hiding(request, self._secrets)
        request.shown = hiding.text(request.path)
        read = hiding.token_form if request.path.startswith(TOKEN_PATH) else hiding.body
        entry = Entry(
            method=request.method,
            path=request.shown,
            query=hiding.pairs(request.pairs),
            body=read(request.body),
            headers=hiding.headers(request.headers),
            dt=rfc3339_ms(self.clock.now()),
            connection=connection,
        )
        self.journal.add(entry)

        def note(reply: Reply | None) -> None:
            if reply is not None:
                said = error_of(reply)
                entry.status, entry.error = reply.status, said and hiding.text(said)[:MAX_TEXT]
            entry.finished = True

        return note

    # Looking

    def campaigns(self, **filters: Any) -> list[dict[str, Any]]:
        """List campaigns as the API answers them at this moment, oldest first.

        :param filters: what fields must be equal to, None for those that have no value; ``service_uuid`` and
            ``fields`` (the optional ones, e.g. ``"tasks,messages"``) are understood too.
        :raises ValueError: if there is no such field or service, or a field cannot have such a value.
        """
        service, fields = filters.pop("service_uuid", None), filters.pop("fields", None) or ()
        extras = fields.split(",") if isinstance(fields, str) else fields
        with self.store.lock:
            return search(self.store, filters, service, extras)

    def messages(
        self,
        campaign_uuid: str | None = None,
        to: str | None = None,
        channel: str | None = None,
        text: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[dict[str, Any]]:
        """List the messages sent until now, in the order of sending; also those of deleted campaigns.

        :param to: the address: mobile, email, or for webpush the contact's UUID.
        :param channel: the ``sending_type``.
        :param text: a piece of the text as it is sent, or of what is read: of a text in the JSON, or of a
            webpush field.
        :param since: only those sent at this time or later; aware, or text in RFC 3339.
        :param until: only those sent before this time.
        :raises ValueError: if there is no such channel, or what is given is no text.
        """
        span = Span(since, until)
        exact = {"to": to, "channel": channel}
        strings({"campaign_uuid": campaign_uuid, "text": text} | exact)
        if channel is not None:
            choice("channel", channel, SENDING_TYPES)
        with self.store.lock:
            now = self.store.settle()
            runs = [run for run in self.store.runs if campaign_uuid in (None, run.campaign_uuid)]
            sent = [
                message
                for run in runs
                for message in run.messages(now)
                if all(value in (None, message[name]) for name, value in exact.items())
                and (text is None or any(text in one for one in texts(message)))
                and span.holds(message["sent_dt"])
            ]
        return sorted(sent, key=lambda message: str(message["sent_dt"]))

    def executions(self, campaign_uuid: str | None = None) -> list[dict[str, Any]]:
        """List the executions: when each started, and to how many contacts."""
        with self.store.lock:
            self.store.settle()
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
        """List the requests, oldest first, secrets hidden.

        ``status`` is None while a request is served, and for ever if no reply was sent: ``finished`` tells
        which. ``error`` is what an error reply said, or None.

        :param path: a piece of the path.
        :param status: of the reply; ``"none"`` for those without one.
        :param since: only those that came at this time (of the sandbox) or later; aware, or text in RFC 3339.
        :param until: only those that came before this time.
        """
        return self.journal.list(method, path, status, Span(since, until))

    @property
    def recipient_lists(self) -> dict[str, str]:
        """UUIDs of the recipient lists, by name."""
        with self.store.lock:
            return self.store.recipients.by_name()

    # Steering

    def fault(
        self,
        method: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | None = DEFAULT_TIMES,
        **effect: Any,
    ) -> dict[str, Any]:
        """Let calls go wrong.

        :param method: HTTP method; any by default.
        :param path: regular expression searched in the path; any by default.
        :param nth: the first matching call that is hit, counted from now; calls that an older fault hits do
            not count.
        :param times: how many calls in a row are hit; None for ever. By default one, or with a
            ``probability`` for ever.
        :param effect: ``status`` (the call is not applied unless ``apply``), ``headers``, ``body``, ``html``
            (not applied either), ``delay`` (seconds before), ``delay_after`` (after applying),
            ``lose_reply`` (applied, then the connection is closed), ``drop`` (closed before applying),
            ``refuse`` (closed before applying, and no connection accepted for so many seconds; with
            ``lose_reply`` after applying), ``truncate``, ``garbage`` (both applied), ``revoke_token``,
            ``probability`` with ``seed``.
        """
        return self._faults.add(Fault(method=method, path=path, nth=nth, times=times, **effect)).as_dict()

    def faults(self) -> list[dict[str, Any]]:
        """List the faults in force, with how many calls each has seen and hit."""
        return self._faults.list()

    def clear_faults(self, id: int | None = None) -> None:  # noqa: A002 - what a fault calls it
        """End all faults, or the one of this ``id``."""
        self._faults.clear(id)

    def refuse(self, seconds: float) -> None:
        """Be down: refuse connections for so many real seconds, and hang up on all that are open; 0 ends it.

        The handles under ``/_sandbox`` are out of reach for as long, too.
        """
        number("seconds", seconds, DOWN_SECONDS)
        if self._server is None:
            raise RuntimeError("the sandbox is not running: it refuses connections already")
        self._server.refuse(seconds)

    def reset(self) -> None:
        """Make everything as with a new sandbox: state, tokens, faults, journal, clock, settings."""
        with self.store.lock:
            self.store.reset()
            self.clock.reset()
            self._take_settings()
            self._faults.clear()
            self.journal.clear()

    def _take_settings(self) -> None:
        settings = self.store.settings
        self._api.ignore_filters = settings.get("ignore_filters", False)
        self._api.rate_limit.set(*settings.get("rate_limit", (None,)))

    def revoke_tokens(self) -> None:
        """Make all tokens given out so far worthless."""
        with self.store.lock:
            self.store.clients.revoke_tokens()

    def rate_limit(self, per_second: float | None, retry_after: str | int = "1") -> None:
        """Answer 429 to calls beyond so many per (real) second; None lifts the limit, 0 refuses all.

        Calls for a token are not counted: at the vendor's they go to another host. A fault can limit them.

        :param retry_after: the header to send: seconds or an HTTP date.
        """
        wait = header_text("retry_after", retry_after)
        with self.store.lock:
            self._api.rate_limit.set(per_second, wait)
            self.store.set("rate_limit", [per_second, wait])

    def add_service(self, service_uuid: str | None = None) -> str:
        """Add a service and give its UUID; no client may use it before :meth:`add_client` says so.

        :param service_uuid: any new one by default.
        """
        with self.store.lock:
            return self.store.add_service(service_uuid)

    def add_client(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add an API client that may use these services, or change one.

        With another secret than it had, the tokens given out to it are worthless.
        """
        if client_secret == CLIENT_SECRET and not self.loopback:
            raise ValueError("client_secret: everybody knows the sandbox's usual one, give one of your own")
        with self.store.lock:
            self.store.add_client(client_id, client_secret, service_uuids)
            self._secrets.add(client_secret)

    def add_recipient_list(self, name: str, contacts: Iterable[Mapping[str, str]]) -> str:
        """Add a recipient list of your own contacts and give its UUID, or put other contacts into one.

        :param name: what you like: the UUID is made of it, and always the same. Or a UUID.
        :param contacts: a mapping of contact fields for each, with ``mobile``, ``email`` or ``uuid`` at
            least, e.g. ``{"mobile": "+41790000001", "first_name": "Ada"}``.
        """
        with self.store.lock:
            return self.store.add_recipient_list(name, contacts)

    def create(self, **fields: Any) -> dict[str, Any]:
        """Put a campaign in as the console would: any status, and defaults for what is missing.

        :param fields: campaign fields, and ``service_uuid``, ``uuid``, ``created_dt``, ``last_dt``.
        """
        with self.store.lock:
            campaign = put_in(self.store, fields)
            return campaign.answer(self.clock.now())

    def update_campaign(self, uuid: str, **fields: Any) -> dict[str, Any]:
        """Change fields of a campaign as the console would, and save it. An active one is started by that.

        :param fields: campaign fields; None unsets one. All others stay as they are.
        """
        with self.store.lock:
            return change(self.store, find(self.store, uuid), fields).answer(self.clock.now())

    def start_campaign(self, uuid: str) -> dict[str, Any]:
        """Start a draft, let a stopped campaign go on, or run a finished one once more."""
        with self.store.lock:
            return start(self.store, find(self.store, uuid)).answer(self.clock.now())

    def stop_campaign(self, uuid: str) -> dict[str, Any]:
        """Stop an active campaign; messages that are not out yet wait until it is started again."""
        with self.store.lock:
            return stop(self.store, find(self.store, uuid)).answer(self.clock.now())

    def delete_campaign(self, uuid: str) -> None:
        """Delete a campaign; what it has sent stays in the journal of messages."""
        with self.store.lock:
            self.store.delete(find(self.store, uuid))

    @property
    def ignore_filters(self) -> bool:
        """Whether lists ignore ``operator(field)``, ``name`` and ``uuid`` filters, to test clients with."""
        return self._api.ignore_filters

    @ignore_filters.setter
    def ignore_filters(self, ignore: bool) -> None:
        checked = truth("ignore_filters", ignore)
        with self.store.lock:
            self._api.ignore_filters = checked
            self.store.set("ignore_filters", checked)

    @property
    def execution_seconds(self) -> float:
        """How long an execution that starts from now on takes, in sandbox time."""
        return self.store.execution_seconds

    @execution_seconds.setter
    def execution_seconds(self, seconds: float) -> None:
        checked = number("execution_seconds", seconds, MAX_SECONDS)
        with self.store.lock:
            self.store.set("execution_seconds", checked)

    @property
    def token_lifetime(self) -> float:
        """Seconds until a token given out from now on expires, in sandbox time."""
        return self.store.token_lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        checked = number("token_lifetime", seconds, MAX_SECONDS)
        with self.store.lock:
            self.store.set("token_lifetime", checked)
