"""The one HTTP session: token, time-outs, proxies, CA, and no way around any of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from airflow_provider_bm import __version__
from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.client.outbound_guard import check_outbound, origin
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMConnectError, BMDraftOnlyError, truncated_repr

log = logging.getLogger(__name__)

#: Where nothing may be sent: what needs no look at its body, and the one status that another may carry.
_HARMLESS = ("GET", "HEAD", "OPTIONS", "DELETE")
_HARMLESS_STATUS = {"POST": "draft", "PUT": "draft", "PATCH": "stopped"}


class _GuardedAdapter(HTTPAdapter):
    """Connects only to servers that the pytest plugin allows. Mocks do not connect, and may be called."""

    def __init__(self, conn_id: str | None) -> None:
        super().__init__(max_retries=0)
        self._conn_id = conn_id

    def get_connection_with_tls_context(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a connection for a request that is about to be sent."""
        check_outbound(request.method or "", request.url or "", self._conn_id)
        return super().get_connection_with_tls_context(request, *args, **kwargs)


class BMSession(requests.Session):
    """A ``requests.Session`` that is authorized for one BM account.

    It sends the token to the API's own origin only, renews it once on 401 and replays the call, follows
    no redirect, repeats nothing else, and always has a time-out.

    :param token: returns a token; called with the refused one after a 401
    :param check: called before each request leaves; may raise
    """

    def __init__(
        self,
        settings: BMSettings,
        user_agent: str,
        token: Callable[[str | None], str],
        check: Callable[[], None],
    ) -> None:
        super().__init__()
        self._settings = settings
        self._token = token
        self._check = check
        self._origin = origin(settings.api_url)
        self.auth = self._authorize
        self.headers.update({"User-Agent": user_agent, "Accept": "application/json"})
        # No retries in the adapter: it cannot know which call may be repeated.
        for scheme in ("https://", "http://"):
            self.mount(scheme, _GuardedAdapter(settings.conn_id))

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Prefer the connection's proxies and CA bundle to the environment's."""
        verify = self._settings.verify if verify is None else verify
        own = {**self._settings.proxies, **(proxies or {})}
        merged = super().merge_environment_settings(url, {**own}, stream, verify, cert)
        # Theirs for https would win over ours for all. What stays on this machine may be plain http, which
        # no proxy of theirs shall read.
        ours = select_proxy(url, own) is not None or is_loopback(origin(url)[1])
        return {**merged, "proxies": own} if ours else merged

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a prepared request, within time-outs and without following redirects."""
        self._refuse_sending(request)
        if "proxies" not in kwargs:  # a request that the caller has prepared
            kwargs = {**self.merge_environment_settings(request.url, {}, None, None, None), **kwargs}
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._settings.timeouts
        self._check()
        sent_at = time.monotonic()
        response = super().send(request, **kwargs)
        authorization = request.headers.get("Authorization")
        if response.status_code != 401 or not authorization or origin(request.url) != self._origin:
            return response
        if not isinstance(request.body, (bytes, str, type(None))):
            return response  # A stream that has been read cannot be sent again.
        # A 401 was not carried out, so any method can be replayed, once.
        log.info("The BM token was refused; getting a new one and repeating the call once")
        response.close()
        again = request.copy()
        again.headers["Authorization"] = f"Bearer {self._token(authorization.removeprefix('Bearer '))}"
        if time.monotonic() - sent_at > self._settings.latest_replay and request.method not in (
            "GET",
            "DELETE",
        ):
            # Whoever looks for what a lost request has made counts from when it was first sent.
            raise BMConnectError(
                f"{request.method} {urlsplit(request.url).path!s}: the token was refused, and a new one took "
                "too long to get; the request was not sent again."
            )
        self._check()
        return super().send(again, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow no redirect, and do not even look at where it leads: it may be no URL at all."""

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if origin(request.url) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._token(None)}"
        return request

    def _refuse_sending(self, request: requests.PreparedRequest) -> None:
        """Keep ``draft_only`` at the last door, whoever calls (``get_conn()``, too)."""
        method = (request.method or "").upper()
        if not self._settings.draft_only or method in _HARMLESS:
            return
        # As it is on its way: with the host in lower case, and a path.
        if (
            method == "POST"
            and request.url == requests.Request("POST", self._settings.token_url).prepare().url
        ):
            return
        allowed, status, body = _HARMLESS_STATUS.get(method), None, request.body
        try:
            # Strictly: of a key that stands twice, who knows which one counts.
            content = parse_json(body if isinstance(body, str) else bytes(body or b"").decode())
            status = content["status"]
        except (ValueError, TypeError, KeyError):
            log.debug("The body of a %s is not understood", method)
        if allowed is None or status != allowed:
            raise BMDraftOnlyError(
                f"The connection is draft_only: {method} {urlsplit(request.url).path!s} was not sent, "
                f"since its status is {truncated_repr(status)} and may only be {allowed!r}."
            )


def user_agent(*products: str) -> str:
    """The ``User-Agent``: this package, whoever calls it, and requests."""
    own = f"airflow-provider-bm/{__version__}"
    return " ".join([own, *products, f"python-requests/{requests.__version__}"])
