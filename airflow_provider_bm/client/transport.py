"""One exchange with the server: a request out, a reply or a typed error back."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
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
from airflow_provider_bm.client.responses import Reply, server_time, token_of
from airflow_provider_bm.client.retry import passes, repeat
from airflow_provider_bm.client.session import BMSession, user_agent
from airflow_provider_bm.client.settings import BMSettings
from airflow_provider_bm.exceptions import (
    BMConnectError,
    BMError,
    BMRateLimitError,
    BMTimeoutError,
    BMTransportError,
)

T = TypeVar("T")
_WRONG_URL = (
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
        self._sleep = sleep
        #: The API's last ``Date``, and when it came (monotonic).
        self._server_time: tuple[datetime, float] | None = None
        self.session = BMSession(settings, user_agent(*products), self.token, check)

    @property
    def _tokens(self) -> TokenCache:
        # Looked up each time: a forked process has caches of its own.
        return token_cache(self.settings)

    def new_token(self) -> str:
        """An access token that is fetched now, for everybody, whether there is one or not."""
        return self.token(self._tokens.value)

    def token(self, rejected: str | None = None) -> str:
        """An access token, fetched if need be.

        :param rejected: the token that the server has just refused
        """
        try:
            return self._tokens.get(lambda: self.repeat(self._fetch_token), rejected=rejected)
        except BMError as error:
            error.of_token = True
            raise

    def server_now(self) -> datetime | None:
        """The API's time by its last plausible ``Date`` header; None if there was none."""
        if self._server_time is None:
            return None
        date, received = self._server_time
        return date + timedelta(seconds=time.monotonic() - received)

    def repeat(self, call: Callable[[], T]) -> T:
        """Make a call that is safe to repeat; see :func:`.retry.repeat`."""
        return repeat(call, self._sleep)

    def repeat_refused(self, call: Callable[[], T]) -> T:
        """Make a call that must not be carried out twice; again, if it was certainly not carried out.

        The last request leaves soon after the first: whoever looks for what a lost one has made counts from
        then.
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
                return call()
            except BMError as error:
                refused = error
                raise

        return repeat(attempt, self._sleep, after=_was_refused, longest=longest)

    def exchange(
        self, method: str, path: str, *, params: Params = (), body: Mapping[str, Any] | None = None
    ) -> Reply:
        """Send one request to the API, once (twice if the token was refused) and return the reply.

        :raises BMConnectError: it never left
        :raises BMTransportError: it left, and there was no complete reply
        """
        return self._send(method, f"{self.settings.api_url}{path}", params=params, json=body)

    def scrub(self, text: str) -> str:
        """Take the client secret and the token out of a text that came from outside."""
        for secret in (self.settings.client_secret, *self._tokens.known()):
            for form in (secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, "***")
        return text

    def _fetch_token(self) -> Token:
        reply = self._send(
            "POST",
            self.settings.token_url,
            data={
                "grant_type": "client_credentials",
                "client_id": self.settings.client_id,
                "client_secret": self.settings.client_secret,
            },
            # Not the session's own (it needs this token), nor one that a .netrc may hold.
            auth=lambda request: request,
        )
        return token_of(reply, self.scrub)

    def _send(self, method: str, url: str, **kwargs: Any) -> Reply:
        call = f"{method} {url}"
        try:
            response = self.session.request(method, url, **kwargs)
        except BMError:
            raise  # of the token; some of them are OSErrors, too
        except (OSError, HTTPError) as error:  # requests' errors are OSErrors; some of urllib3's come through
            if _impossible(error):
                # Not even as its cause: the text may hold a proxy's password.
                raise BMConnectError(
                    f"{call}: the request could not be made. Check Platform domain, api_url, token_url, "
                    f"proxies and verify of the connection. ({_USER.sub('//***@', self._why(error))})",
                    permanent=True,
                ) from None
            raise self._transport_error(call, error) from error
        date = server_time(response.headers.get("Date"))
        if date is not None and url != self.settings.token_url:
            self._server_time = date, time.monotonic()
        return Reply(call, response.status_code, response.headers, response.content)

    def _why(self, error: Exception) -> str:
        cause = _root(error)
        return self.scrub(f"{type(cause).__name__}: {cause}")

    def _transport_error(self, call: str, error: Exception) -> BMTransportError:
        cause, why = _root(error), self._why(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BMConnectError(
                f"{call}: the server's certificate is not trusted. If your company's proxy signs it, put "
                f"its CA bundle into the connection's extra 'verify'. ({why})",
                permanent=True,
            )
        if isinstance(cause, ssl.SSLError) and cause.library in ("X509", "PEM"):
            return BMConnectError(
                f"{call}: the file of the connection's extra 'verify' (or of REQUESTS_CA_BUNDLE) is no CA "
                f"bundle. ({why})",
                permanent=True,
            )
        if _never_left(error):
            host = urlsplit(call.partition(" ")[2]).netloc
            way = " through the proxy" if isinstance(error, requests.exceptions.ProxyError) else ""
            return BMConnectError(f"{call}: no connection to {host}{way} ({why})")
        if isinstance(error, requests.Timeout):
            return BMTimeoutError(f"{call}: no reply within {self.settings.timeout:g} s ({why})")
        return BMTransportError(f"{call}: the connection broke before the reply was complete ({why})")


def _was_refused(error: BaseException) -> bool:
    """Whether a call was not carried out, and a later one may be."""
    return isinstance(error, (BMConnectError, BMRateLimitError)) and passes(error)


def _impossible(error: Exception) -> bool:
    """Whether a request cannot even be made: a wrong URL or proxy, or a CA bundle that is not there."""
    if isinstance(error, requests.RequestException | HTTPError):
        return isinstance(error, _WRONG_URL)
    # requests says so of a CA bundle; what comes from the system has a number.
    return isinstance(error, OSError) and error.errno is None


def _never_left(error: Exception) -> bool:
    """Whether the request cannot have reached anybody. In doubt: it can."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, ProxyError):
        # urllib3 says this of a connection that broke behind the proxy, too.
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
