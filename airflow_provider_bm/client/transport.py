"""Exchanges with the server: a request, and its response or a typed error."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
)

from airflow_provider_bm.client.auth import Token, TokenCache, token_cache
from airflow_provider_bm.client.limits import ExchangeTimeoutError
from airflow_provider_bm.client.observer import Observer, ignore
from airflow_provider_bm.client.responses import Response, server_time, token_of
from airflow_provider_bm.client.restrictions import Restrictions
from airflow_provider_bm.client.retry import may_repeat, repeat
from airflow_provider_bm.client.session import Authorize, BMSession, shorten_url, user_agent
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import (
    BMConnectError,
    BMError,
    BMTimeoutError,
    BMTransportError,
    RetryClass,
    truncated_repr,
)

T = TypeVar("T")
_INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)
_USER = re.compile(r"//\S+@")
Params = Sequence[tuple[str, str]]


class Transport:
    """A keep-alive session with a token, and the translation of its errors.

    :param products: further parts of the ``User-Agent``, such as ``apache-airflow/3.3.2``
    :param sleep: waits between tries
    :param check: called before each request is sent; may raise, and nothing else is sent then
    :param campaigns_in_past_hour: see :class:`.Restrictions`
    :param observe: called after each request
    """

    def __init__(
        self,
        settings: BMSettings,
        *,
        products: Sequence[str] = (),
        retry: bool = True,
        sleep: Callable[[float], None] = time.sleep,
        check: Callable[[], None] = lambda: None,
        campaigns_in_past_hour: Callable[[], int] = lambda: 0,
        observe: Observer = ignore,
    ) -> None:
        self.settings = settings
        self._sleep = sleep
        #: Seconds within which calls are repeated; None: the policy's.
        self._retry_seconds = None if retry else 0.0
        #: The API's last ``Date``, and when it was received (monotonic).
        self._server_time: tuple[datetime, float] | None = None
        restrictions = Restrictions(
            settings,
            campaigns_in_past_hour=campaigns_in_past_hour,
            now=lambda: self.server_now() or datetime.now(UTC),
        )
        self.session = BMSession(
            settings,
            user_agent(*products),
            token=self.token,
            check=check,
            restrictions=restrictions,
            observe=observe,
        )

    @property
    def _tokens(self) -> TokenCache:
        # Read each time: a forked process has its own caches.
        return token_cache(self.settings)

    def new_token(self) -> str:
        """Fetch an access token, even if there is one, and share it with all clients of this account."""
        return self.token(self._tokens.value)

    def token(self, rejected: str | None = None) -> str:
        """Return an access token; fetch it if there is none.

        :param rejected: the token that the server has just refused
        """
        try:
            return self._tokens.get(lambda: self.repeat(self._fetch_token), rejected=rejected)
        except BMError as error:
            failure = error
        # Nothing was sent to the API. The frames below contain the rejected token.
        failure.of_token, failure.retry_class, rejected = True, RetryClass.REFUSED, None
        raise failure.with_traceback(None)

    def server_now(self) -> datetime | None:
        """The API's time by its last plausible ``Date`` header; None if there was none."""
        if self._server_time is None:
            return None
        date, received = self._server_time
        return date + timedelta(seconds=time.monotonic() - received)

    def repeat(self, call: Callable[[], T]) -> T:
        """Make a call that is safe to repeat; see :func:`.retry.repeat`."""
        return repeat(call, self._sleep, may_repeat=may_repeat, longest=self._retry_seconds)

    def repeat_refused(self, call: Callable[[float], T]) -> T:
        """Make a call that must not be carried out twice; repeat it if it was certainly not carried out.

        The last request is sent soon after the first: a search for the campaign of a lost one counts from
        then.

        :param call: called with the time (monotonic) after which it must not send its request again
        """
        self.token()
        longest = self.settings.latest_replay
        latest = time.monotonic() + longest
        refused: BMError | None = None

        def attempt() -> T:
            nonlocal refused
            if refused is not None:
                self.token()
                if time.monotonic() > latest:
                    raise refused
            try:
                return call(latest)
            except BMError as error:
                refused = error
                raise

        return repeat(
            attempt,
            self._sleep,
            may_repeat=lambda error: error.retry_class is RetryClass.REPEAT,
            longest=longest if self._retry_seconds is None else self._retry_seconds,
        )

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: Mapping[str, Any] | None = None,
        name: str | None = None,
        replay_until: float | None = None,
    ) -> Response:
        """Send one request to the API, once (twice if the token was refused), and return the response.

        :param name: the campaign's name, for messages
        :param replay_until: see :meth:`.BMSession.send`
        :raises BMConnectError: it was never sent
        :raises BMTransportError: it was sent, and there was no complete response
        """
        url = f"{self.settings.api_url}{path}"
        call = f"{method} {shorten_url(url, self.settings)}"
        if name:
            call += f" ({truncated_repr(name, 100)})"
        request = requests.Request(method, url, params=[*params], json=body)
        response = self._send(request, call, replay_until=replay_until)
        date = server_time(response.headers.get("Date"))
        if date is not None:
            self._server_time = date, time.monotonic()
        return response

    def scrub(self, text: str) -> str:
        """Remove the client secret and the tokens from a text that the server sent."""
        for secret in (self.settings.client_secret, *self._tokens.known()):
            for form in (secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, "***")
        return text

    def _fetch_token(self) -> Token:
        # Not the URL: Airflow masks an extra whose name contains "token" wherever it is logged.
        call = f"POST to the token endpoint ({urlsplit(self.settings.token_url).netloc})"
        request = requests.Request("POST", self.settings.token_url)
        return token_of(self._send(request, call, authorize=self._add_credentials), self.scrub)

    def _add_credentials(self, request: requests.PreparedRequest) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
        }
        request.prepare_body(form, None)

    def _send(
        self,
        request: requests.Request,
        call: str,
        *,
        authorize: Authorize | None = None,
        replay_until: float | None = None,
    ) -> Response:
        try:
            prepared = self.session.prepare_request(request)
            response = self.session.send(prepared, authorize=authorize, replay_until=replay_until)
            return Response(
                call,
                urlsplit(prepared.url or "").netloc,
                response.status_code,
                response.headers,
                response.content,
            )
        except BMError:
            raise
        except (OSError, HTTPError) as error:  # requests' errors are OSErrors; some of urllib3's come through
            failure = self._transport_error(request, call, error)
        # Without its cause, whose text and frames may contain a proxy's password.
        raise failure

    def _why(self, error: Exception) -> str:
        cause = _root(error)
        return _USER.sub("//***@", self.scrub(f"{type(cause).__name__}: {cause}"))

    def _transport_error(self, request: requests.Request, call: str, error: Exception) -> BMTransportError:
        cause, why, host = _root(error), self._why(error), urlsplit(request.url).netloc
        if _cannot_be_made(error):
            return BMConnectError(
                f"{call}: the request could not be made. Check Platform domain, api_url, token_url, proxies "
                f"and verify of the connection. ({why})",
                permanent=True,
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BMConnectError(
                f"{call}: the server's certificate is not trusted. If your company's proxy signs it, put "
                f"its CA bundle into the connection's extra 'verify'. ({why})",
                permanent=True,
            )
        if isinstance(cause, ssl.SSLError) and getattr(cause, "library", None) in ("X509", "PEM"):
            return BMConnectError(
                f"{call}: the file of the connection's extra 'verify' (or of REQUESTS_CA_BUNDLE) is not a CA "
                f"bundle. ({why})",
                permanent=True,
            )
        if _never_left(error):
            via = " through the proxy" if isinstance(error, requests.exceptions.ProxyError) else ""
            return BMConnectError(f"{call}: no connection to {host}{via} ({why})")
        if isinstance(cause, ExchangeTimeoutError):
            longest = self.settings.exchange_deadline
            return BMTimeoutError(f"{call}: no complete response from {host} within {longest:g} s ({why})")
        if isinstance(error, requests.Timeout):
            return BMTimeoutError(
                f"{call}: no response from {host} within {self.settings.timeout:g} s ({why})"
            )
        return BMTransportError(
            f"{call}: the connection to {host} broke before the response was complete ({why})"
        )


def _cannot_be_made(error: Exception) -> bool:
    """Whether a request cannot be made: an invalid URL or proxy, or a CA bundle that does not exist."""
    if isinstance(error, requests.RequestException | HTTPError):
        return isinstance(error, _INVALID_URL)
    # requests raises a plain OSError for a missing CA bundle; the system's errors have a number.
    return isinstance(error, OSError) and error.errno is None


def _never_left(error: Exception) -> bool:
    """Whether the request was certainly never sent; False if in doubt."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, ProxyError):
        # urllib3 raises this for a connection that broke behind the proxy, too.
        reason = reason.original_error
        if isinstance(reason, OSError) and str(reason).startswith("Tunnel connection failed"):
            return True
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _root(error: BaseException) -> BaseException:
    """The innermost error: what happened, without the layers that passed it on."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = (getattr(error, "reason", None), error.__cause__, *error.args)
        error = next((each for each in inner if isinstance(each, BaseException)), error)
    return error
