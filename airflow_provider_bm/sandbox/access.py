"""Access control: a browser that shows the sandbox's page may have other sites open as well.

A site can send requests to this machine (CSRF), and can let its own name resolve to this machine, so that
the browser takes the sandbox for a part of that site (DNS rebinding). Headers that a browser sends, and that
a page cannot change, reveal both.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.http_messages import Request

#: Top-level domains that cannot be registered: RFC 6761, and ICANN's reservation of ``internal``, which
#: containers use for their host.
_PRIVATE_DOMAINS = ("localhost", "internal")


_AUTHORITY = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?", re.ASCII)


def reached_at(host: str) -> str:
    """Return the host in the URL of a listening address: clients cannot connect to a wildcard address."""
    place = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"[{place}]" if ":" in place else place


def base_url(request: Request, path: str) -> str | None:
    """Return the URL of a path as the client sees it; None without a ``Host`` header.

    A proxy in front may name the scheme (``X-Forwarded-Proto``).
    """
    host = request.headers.get("Host", "")
    if not _AUTHORITY.fullmatch(host):
        return None
    secure = request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
    return f"{'https' if secure else 'http'}://{host}{path}"


def sent_by_a_page(request: Request) -> bool:
    """Return whether a web page calls the API, whose clients are programs; the default secret is public.

    A page cannot get a token without a POST, and with a POST a browser always sends the page's origin.
    """
    return "Origin" in request.headers


def refuse_other_sites(request: Request, *, loopback: bool) -> None:
    """Refuse calls of ``/_sandbox`` by pages of other sites.

    :param loopback: only this machine can reach the sandbox, so it has no public name
    :raises ApiError: 403
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
        raise ApiError(403, "The sandbox cannot be controlled from other sites.")
    if loopback and not _is_private(_host(request)):
        raise ApiError(403, "On loopback the sandbox answers to localhost or an IP address only.")
    # Browsers say where a request comes from; other clients do not. A link in another page may lead here:
    # that page cannot read what it opens.
    follows_a_link = request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not follows_a_link:
        raise ApiError(403, "The sandbox cannot be read from other sites.")


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
    return True  # a site's name can resolve to this machine, but remains a name
