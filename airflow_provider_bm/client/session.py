"""The only HTTP session, which enforces token, restrictions, limits, proxies and CA bundle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.utils import select_proxy
from urllib3.exceptions import HTTPError, ReadTimeoutError

from airflow_provider_bm import __version__
from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.client.assumptions import TOKEN_REJECTED_STATUS
from airflow_provider_bm.client.limits import ACCEPT_ENCODING, DeadlineAdapter, exchange_deadline, read_body
from airflow_provider_bm.client.observer import Exchange, Observer, ignore
from airflow_provider_bm.client.outbound_guard import origin
from airflow_provider_bm.client.restrictions import Restrictions
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import BMConnectError, BMError

log = logging.getLogger(__name__)

#: Adds credentials to the copy of a request that is sent.
Authorize = Callable[[requests.PreparedRequest], None]


class BMSession(requests.Session):
    """A ``requests.Session`` that is authorized for one BM account.

    It sends the token to the API's origin only, and after a 401 renews it and replays the call once. It does
    not follow redirects or repeat anything else. It refuses what the connection's restrictions do not allow.
    Each exchange has a deadline, and each response a maximum size. Responses are read completely, also with
    ``stream=True``. Neither responses nor errors contain a token.

    :param token: returns a token; called with the refused one after a 401
    :param check: called before each request is sent; may raise
    :param restrictions: refuses what the connection does not allow
    :param observe: called after each request
    """

    def __init__(
        self,
        settings: BMSettings,
        user_agent: str,
        *,
        token: Callable[[str | None], str],
        check: Callable[[], None],
        restrictions: Restrictions,
        observe: Observer = ignore,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._token = token
        self._check = check
        self._restrictions = restrictions
        self._observe = observe
        self._origin = origin(settings.api_url)
        self.auth = _no_auth
        self.headers.update(
            {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
        )
        for scheme in ("https://", "http://"):
            self.mount(scheme, DeadlineAdapter(settings.conn_id))

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Prefer the connection's proxies and CA bundle to the environment's."""
        verify = self._settings.verify if verify is None else verify
        own = {**self._settings.proxies, **(proxies or {})}
        merged = super().merge_environment_settings(url, {**own}, stream, verify, cert)
        # The environment's proxy for https would win over our own for all. Requests to this machine may be
        # plain http, which no proxy of the environment may read.
        ours = select_proxy(url, own) is not None or is_loopback(origin(url)[1])
        return {**merged, "proxies": own} if ours else merged

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request; see :meth:`requests.Session.request`."""
        try:
            return super().request(*args, **kwargs)
        except (BMError, OSError, HTTPError) as error:
            failure = error
        # The frames below contain the proxies, which may contain a password.
        raise failure.with_traceback(None)

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        authorize: Authorize | None = None,
        replay_until: float | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """Send a prepared request.

        :param authorize: adds credentials; by default the token, if the request goes to the API
        :param replay_until: a write is not replayed after this time (monotonic)
        :raises BMPolicyError: a restriction of the connection refuses it; nothing was sent
        """
        self._restrictions.check(request, self.call_name(request))
        bearer = _Bearer(self._token)
        to_api = origin(request.url) == self._origin and "Authorization" not in request.headers
        if authorize is None and to_api:
            authorize = bearer
            self._token(None)  # so that what follows is only the request itself
        if replay_until is None:
            replay_until = time.monotonic() + self._settings.latest_replay
        elif time.monotonic() > replay_until:
            # Counting campaigns was slow. A search for the campaign of a lost request counts from its intent.
            raise BMConnectError(
                f"{self.call_name(request)}: the checks before it took too long; the request was not sent."
            )
        response = self._attempt(request, authorize, kwargs)
        if response.status_code != TOKEN_REJECTED_STATUS or authorize is not bearer:
            return response
        if not isinstance(request.body, (bytes, str, type(None))):
            return response  # A stream that has been read cannot be sent again.
        # The call was not carried out, so any method can be replayed, once.
        log.info("The BM token was refused; requesting a new one and repeating the call once")
        bearer.renew()
        if time.monotonic() > replay_until and request.method not in ("GET", "DELETE"):
            # A search for the campaign of a lost request counts from when it was first sent.
            raise BMConnectError(
                f"{self.call_name(request)}: the token was refused, and a new one took too long to get; the "
                "request was not sent again."
            )
        return self._attempt(request, authorize, kwargs)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Do not follow redirects or parse their target, which may not be a URL."""

    def call_name(self, request: requests.PreparedRequest) -> str:
        """A request in messages: ``POST /campaigns``, without the parts that all URLs share."""
        url = (request.url or "").partition("?")[0]
        return f"{request.method} {shorten_url(url, self._settings)}"

    def _attempt(
        self, request: requests.PreparedRequest, authorize: Authorize | None, kwargs: dict[str, Any]
    ) -> requests.Response:
        """Make one exchange; its errors contain neither the authorized request nor frames with it."""
        try:
            return self._exchange(request, authorize, kwargs)
        except (BMError, OSError, HTTPError) as error:
            failure = _without_secrets(error)
        raise failure

    def _exchange(
        self, request: requests.PreparedRequest, authorize: Authorize | None, kwargs: dict[str, Any]
    ) -> requests.Response:
        if "proxies" not in kwargs:  # a request that the caller has prepared
            kwargs = {**self.merge_environment_settings(request.url, {}, None, None, None), **kwargs}
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._settings.timeouts
        authorized = request.copy()
        if authorize is not None:
            authorize(authorized)
        self._check()
        started, status = time.monotonic(), None
        try:
            with exchange_deadline(_deadline_for(kwargs["timeout"], self._settings)):
                response = super().send(authorized, **{**kwargs, "stream": True})
                response.request = request
                try:
                    read_body(response, self.call_name(request))
                except ReadTimeoutError as error:
                    raise requests.ReadTimeout(error) from error
                except HTTPError as error:
                    raise requests.exceptions.ChunkedEncodingError(error) from error
            status = response.status_code
        finally:
            self._report(request, status, time.monotonic() - started)
        if not kwargs.get("stream"):
            response.content  # noqa: B018 - reads it
        return response

    def _report(self, request: requests.PreparedRequest, status: int | None, seconds: float) -> None:
        method, _, path = self.call_name(request).partition(" ")
        exchange = Exchange(method=method, path=path, status=status, seconds=seconds)
        log.debug("%s", exchange)
        self._observe(exchange)


class _Bearer:
    """Adds an access token to requests."""

    def __init__(self, token: Callable[[str | None], str]) -> None:
        self._token = token
        self._value: str | None = None
        self._rejected: str | None = None

    def __call__(self, request: requests.PreparedRequest) -> None:
        self._value = self._token(self._rejected)
        request.headers["Authorization"] = f"Bearer {self._value}"

    def renew(self) -> None:
        """Get another token than the last one."""
        self._rejected = self._value
        self._token(self._rejected)


def shorten_url(url: str, settings: BMSettings) -> str:
    """A URL of the API without the prefix that all share: ``/campaigns``."""
    service = f"{settings.api_url}/services/{settings.service_uuid}"
    for base in (service, settings.api_url):
        if url.startswith(base + "/"):
            return url.removeprefix(base)
    return url


def user_agent(*products: str) -> str:
    """The ``User-Agent``: this package, its caller, and requests."""
    own = f"airflow-provider-bm/{__version__}"
    return " ".join([own, *products, f"python-requests/{requests.__version__}"])


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no credentials: requests would look for some in a ``.netrc``."""
    return request


def _deadline_for(timeout: Any, settings: BMSettings) -> float:
    """Seconds for an exchange with a time-out as requests takes it."""
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if isinstance(connect, (int, float)) and isinstance(read, (int, float)):
        return connect + 2.0 * read
    return settings.exchange_deadline


def _without_secrets(error: BMError | OSError | HTTPError) -> BMError | OSError | HTTPError:
    """Drop the request with its token, and the frames that contain it, from an error and its causes."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = None
        if isinstance(current, requests.RequestException) and current.request is not None:
            bare = requests.PreparedRequest()
            bare.method, bare.url = current.request.method, current.request.url
            current.request = bare
        related = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        pending += [each for each in related if isinstance(each, BaseException)]
    return error
