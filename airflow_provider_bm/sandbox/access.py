"""Who can reach it, and keeping other web sites out: a browser has more open than the sandbox's page.

A site can send requests to this machine from the browser (CSRF), and can have its own name lead here, after
which the browser takes the sandbox for a part of that site (DNS rebinding). Both can be told from the
headers that a browser sends and a page cannot change.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from .errors import ApiError
from .messages import Request

#: Top-level domains that are never given out, so that no site can have such a name: RFC 6761, and ICANN's
#: reservation of ``internal``, which containers use for the machine they run on.
_PRIVATE_DOMAINS = ("localhost", "internal")


_AUTHORITY = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?", re.ASCII)


def reached_at(host: str) -> str:
    """Give what stands in a URL for an address to listen at; "everywhere" is no place to connect to."""
    place = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"[{place}]" if ":" in place else place


def base_url(request: Request, path: str) -> str | None:
    """Make the URL of a path as the client sees it; None if it does not say what host it asks.

    A proxy in front is told apart by what it says that it was asked by.
    """
    host = request.headers.get("Host", "")
    if not _AUTHORITY.fullmatch(host):
        return None
    secure = request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
    return f"{'https' if secure else 'http'}://{host}{path}"


def sent_by_a_page(request: Request) -> bool:
    """Tell whether a web page calls the API, whose clients are programs; everybody knows its usual secret.

    A page cannot get a token without a POST, and with a POST a browser always sends the page's origin.
    """
    return "Origin" in request.headers


def refuse_other_sites(request: Request, *, loopback: bool) -> None:
    """Refuse calls of ``/_sandbox`` by pages that are not the sandbox's own.

    :param loopback: only this machine can reach the sandbox, so that it has no name of its own.
    :raises ApiError: 403.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
        raise ApiError(403, "The sandbox is not steered from other sites.")
    if loopback and not _is_private(_host(request)):
        raise ApiError(403, "On loopback the sandbox is reached by localhost or an IP address only.")
    # What browsers say themselves about who asks; other clients say nothing. A link in another page may
    # lead here: what it opens cannot be read by that page.
    follows_a_link = request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not follows_a_link:
        raise ApiError(403, "The sandbox is not read from other sites.")


def _host(request: Request) -> str | None:
    try:
        return urlsplit("//" + request.headers.get("Host", "")).hostname
    except ValueError:
        return None


def _is_private(host: str | None) -> bool:
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return (host or "").rpartition(".")[2] in _PRIVATE_DOMAINS
    return True  # a site's name can lead here, but it stays a name
