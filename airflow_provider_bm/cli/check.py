"""``check``: diagnose a connection to BM, step by step."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_bm.cli import ERROR, OK
from airflow_provider_bm.cli.output import Result, as_text
from airflow_provider_bm.exceptions import (
    BMAuthError,
    BMConfigError,
    BMError,
    BMForbiddenError,
    BMNotFoundError,
    BMRateLimitError,
    BMServerError,
    BMTransportError,
)

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

#: Difference of the clocks that is reported. Sending once uses the server's time, whatever the difference.
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
#: Seconds before a certificate's end at which it is reported.
_CERTIFICATE_MARGIN: Final = timedelta(days=14)


@dataclass
class Step:
    """One line of the diagnosis.

    :ivar result: ``ok``, ``warning``, ``FAILED`` or ``skipped``
    """

    step: str
    result: str
    detail: str


class _StepError(Exception):
    """A step that is not ok.

    :param result: ``FAILED``, ``warning`` or ``skipped``
    """

    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result = result


def run(arguments: Namespace) -> Result:
    """Return the diagnosis of a connection, and an error if a step failed."""
    from airflow_provider_bm.cli.connection import connected

    with contextlib.ExitStack() as stack:
        steps = []
        try:
            client = stack.enter_context(connected(arguments.conn_id, arguments.service_uuid))
        except BMConfigError as error:
            steps.append(Step("Connection", "FAILED", str(error)))
        else:
            steps += diagnose(client)
            if arguments.contract and all(step.result != "FAILED" for step in steps):
                from airflow_provider_bm.cli.contract import compare

                steps += [Step(*finding) for finding in compare(client)]
    code = ERROR if any(step.result == "FAILED" for step in steps) else OK
    return code, as_text([vars(step) for step in steps], arguments.output)


def diagnose(client: BMClient) -> list[Step]:
    """Check a connection step by step; after a failure, the remaining steps are skipped."""
    settings = client.settings
    mode = "draft_only: nothing can be sent" if settings.draft_only else "campaigns can be sent"
    steps = [Step("Connection", "ok", f"{settings.conn_id}: {settings.api_url}; {mode}")]
    failed = False
    for name, check in _steps(client):
        if failed:
            steps.append(Step(name, "skipped", "an earlier step failed"))
            continue
        try:
            steps.append(Step(name, "ok", check()))
        except _StepError as error:
            steps.append(Step(name, error.result, str(error)))
            failed = error.result == "FAILED"
    return steps


def _steps(client: BMClient) -> Iterator[tuple[str, Callable[[], str]]]:
    settings = client.settings
    urls = {"token": settings.token_url, "API": settings.api_url}
    hosts: dict[str, tuple[str, str]] = {}
    for what, url in urls.items():
        hosts.setdefault(urlsplit(url).netloc, (what, url))
    for what, url in hosts.values():
        yield f"DNS ({what})", lambda url=url: _resolve(client, url)  # type: ignore[misc]
        yield f"TLS ({what})", lambda url=url: _handshake(client, url)  # type: ignore[misc]
    yield "Token", lambda: _token(client)
    yield "Service", lambda: _service(client)
    yield "Clock", lambda: _clock(client)


def _proxy(client: BMClient, url: str) -> str | None:
    from requests.utils import select_proxy

    merged = client.session.merge_environment_settings(url, {}, None, None, None)
    proxy = select_proxy(url, merged["proxies"])
    return None if proxy is None else proxy.rpartition("@")[2]


def _resolve(client: BMClient, url: str) -> str:
    parts = urlsplit(url)
    if proxy := _proxy(client, url):
        raise _StepError("skipped", f"{parts.hostname} is reached through the proxy {proxy}")
    try:
        found = socket.getaddrinfo(parts.hostname, _port(url), type=socket.SOCK_STREAM)
    except OSError as error:
        raise _StepError(
            "FAILED",
            f"{parts.hostname} is not known ({error}). Check Platform domain and separator of the "
            "connection, and the name servers of this machine.",
        ) from None
    return f"{parts.hostname} is {', '.join(dict.fromkeys(str(each[4][0]) for each in found))}"


def _handshake(client: BMClient, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise _StepError("skipped", f"{parts.netloc} is on this machine, and used without TLS")
    if proxy := _proxy(client, url):
        raise _StepError("skipped", f"{parts.hostname} is reached through the proxy {proxy}")
    connect_timeout, _ = client.settings.timeouts
    try:
        context = ssl.create_default_context(cafile=_ca_bundle(client))
        with (
            socket.create_connection((parts.hostname, _port(url)), timeout=connect_timeout) as connection,
            context.wrap_socket(connection, server_hostname=parts.hostname) as secured,
        ):
            certificate, version = secured.getpeercert() or {}, secured.version()
    except ssl.SSLCertVerificationError as error:
        raise _StepError(
            "FAILED",
            f"the certificate of {parts.hostname} is not trusted ({error.verify_message}). If a proxy of "
            "your company signs it, put its CA bundle into the connection's extra 'verify'.",
        ) from None
    except ssl.SSLError as error:
        raise _StepError("FAILED", f"no TLS with {parts.netloc}: {error.reason or error}") from None
    except OSError as error:
        raise _StepError(
            "FAILED",
            f"no connection to {parts.hostname}, port {_port(url)} ({error}). "
            "Is there a firewall or a proxy?",
        ) from None
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    detail = f"{version}, the certificate is valid until {ends:%Y-%m-%d}"
    if ends - datetime.now(UTC) < _CERTIFICATE_MARGIN:
        raise _StepError("warning", detail)
    return detail


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _ca_bundle(client: BMClient) -> str:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    verify = client.settings.verify
    own = verify if isinstance(verify, str) else None
    own = own or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return own or DEFAULT_CA_BUNDLE_PATH


def _token(client: BMClient) -> str:
    try:
        client.refresh_token()
    except BMError as error:
        raise _StepError(
            "FAILED", _plain(error, "the credentials (Client ID and Client secret) were refused")
        ) from None
    return "the credentials are valid"


def _service(client: BMClient) -> str:
    uuid = client.settings.service_uuid
    if uuid is None:
        raise _StepError("skipped", "the connection has no Service UUID; pass one with --service-uuid")
    try:
        first = next(client.list_campaigns(page_size=1), None)
    except BMError as error:
        raise _StepError("FAILED", _plain(error, "the token was refused")) from None
    return f"{uuid} {'has no campaigns' if first is None else 'returns its campaigns'}"


def _plain(error: BMError, refused: str) -> str:
    """Return what an error means, and the error."""
    if isinstance(error, BMForbiddenError):
        meaning = (
            "not allowed: is this machine's IP address on the API account's list, and the service yours?"
        )
    elif isinstance(error, BMNotFoundError):
        meaning = "not found: check Service UUID, Platform domain and the URLs of the connection"
    elif isinstance(error, BMAuthError):
        meaning = refused
    elif isinstance(error, BMRateLimitError):
        meaning = "BM limits the number of requests; try again later"
    elif isinstance(error, BMServerError):
        meaning = "BM, or a gateway before it, has a problem"
    elif isinstance(error, BMTransportError):
        meaning = "no complete response"
    else:
        meaning = "not a response of this API: is it the right host?"
    return f"{meaning} ({error})"


def _clock(client: BMClient) -> str:
    server_now = client.server_now()
    if server_now is None:
        raise _StepError("warning", "BM sends no Date header, so this machine's clock is used")
    ahead = server_now - datetime.now(UTC)
    # The header has whole seconds.
    if abs(ahead) > CLOCK_TOLERANCE + timedelta(seconds=1):
        which = "behind" if ahead > timedelta(0) else "ahead of"
        raise _StepError(
            "warning",
            f"this machine's clock is {abs(ahead).total_seconds():.0f} s {which} BM's. Schedules may be off; "
            "sending once uses BM's clock.",
        )
    return f"it agrees with BM's, to {CLOCK_TOLERANCE.seconds} s"
