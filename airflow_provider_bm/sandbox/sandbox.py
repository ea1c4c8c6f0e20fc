"""The sandbox itself: its parts composed, and its life cycle."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.sandbox.access import reached_at
from airflow_provider_bm.sandbox.api import Api
from airflow_provider_bm.sandbox.clients import check_credentials
from airflow_provider_bm.sandbox.clock import Clock
from airflow_provider_bm.sandbox.endpoint import CLIENT_ID, CLIENT_SECRET
from airflow_provider_bm.sandbox.faults import Faults
from airflow_provider_bm.sandbox.journal import Journal
from airflow_provider_bm.sandbox.loading import load_into, read_source
from airflow_provider_bm.sandbox.operations import Operations
from airflow_provider_bm.sandbox.server import Server
from airflow_provider_bm.sandbox.settings import Settings
from airflow_provider_bm.sandbox.store import Store

#: All sandboxes that this process serves.
RUNNING: Final[set[Sandbox]] = set()


class Sandbox(Operations):
    """A local BM, served over HTTP from a thread.

    ::

        with Sandbox() as sandbox:
            print(sandbox.connection_json())

    :param port: TCP port; 0 for any free one
    :param host: address to listen on; other than loopback it needs a custom ``client_secret``
    :param speed: seconds of sandbox time in a real second; default 1
    :param token_lifetime: seconds until a token expires, in sandbox time; default a week
    :param execution_seconds: how long sending the messages of an execution takes, in sandbox time; default 2
    :param start: aware time at which the clock starts; default now
    :param load: services, clients, contacts, lists and campaigns to start with: a JSON file, or its content
        as a mapping
    :param name_policy: see :attr:`name_policy`; default None
    :raises ValueError: an argument is invalid; for ``load`` the message names the file and the path in it
    """

    _clock_type: type[Clock] = Clock
    _store_type: type[Store] = Store

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        speed: float = 1.0,
        token_lifetime: float = Settings.token_lifetime,
        execution_seconds: float = Settings.execution_seconds,
        start: datetime | None = None,
        load: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        name_policy: str | None = None,
    ) -> None:
        """Create it; nothing is bound before :meth:`start`."""
        if not is_loopback(host) and client_secret == CLIENT_SECRET:
            raise ValueError(
                f"refusing to listen at {host}: the sandbox's default client secret is public. "
                "Choose a client secret, or stay on 127.0.0.1."
            )
        check_credentials(client_id, client_secret)
        self.host, self.port = host, port
        self.client_id, self.client_secret = client_id, client_secret
        settings = Settings(
            token_lifetime=token_lifetime, execution_seconds=execution_seconds, name_policy=name_policy
        )
        self.clock = self._clock_type(start, speed)
        self.store = self._store_type(self.clock, client_id, client_secret, settings)
        self.journal = Journal()
        self.scripted_faults = Faults()
        self.api = Api(self.store)
        self._server: Server | None = None
        self._source = None if load is None else read_source(load)
        self._load()

    def _load(self) -> None:
        if self._source is not None:
            load_into(self.store, self._source)

    def reset(self) -> None:
        """Go back to the state of a new sandbox: state, tokens, faults, journal, clock, settings."""
        with self.store.lock:
            super().reset()
            self._load()

    def start(self) -> Self:
        """Serve, from a daemon thread."""
        if self._server is not None:
            raise RuntimeError("the sandbox is already running")
        server = Server((self.host, self.port), self)
        self._server, self.port = server, server.server_port
        self.refuse_connections = server.refuse
        self._url = f"http://{reached_at(self.host)}:{self.port}"
        self.api.api_url = self.api_url
        threading.Thread(target=server.run, name="bm-sandbox", daemon=True).start()
        RUNNING.add(self)
        return self

    def stop(self) -> None:
        """Stop serving; the state can still be read."""
        RUNNING.discard(self)
        server, self._server, self.refuse_connections = self._server, None, None
        if server is not None:
            server.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
