"""The page at ``/``: its files, and a content security policy that renders everything harmless.

The files are plain HTML, CSS and JavaScript modules in this folder: no build step, no other hosts. The styles
are served as one file, since browsers show nothing before they have all of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.http_messages import Reply, Request

FOLDER: Final = "/_sandbox/page/"
#: Paths outside of ``FOLDER``. Browsers request the second by themselves: without it the request would be in
#: the journal, and hit by faults that are meant for a client.
ALIASES: Final = {"/": "index.html", "/favicon.ico": "icon.svg"}

#: The parts of ``style.css``, in this order.
STYLES: Final = ("colours", "page", "campaigns", "messages", "requests", "editor")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def files() -> dict[str, Reply]:
    """Return the files of the page, by path."""
    here = Path(__file__).parent
    raw = {each.name: each.read_bytes() for each in sorted(here.iterdir()) if each.suffix in _TYPES}
    raw["style.css"] = b"".join(raw.pop(f"{name}.css") for name in STYLES)
    found = {
        name: Reply(200, content, {"Content-Type": _TYPES[Path(name).suffix], **_HEADERS})
        for name, content in raw.items()
    }
    by_path = {FOLDER + name: reply for name, reply in found.items()}
    return by_path | {path: found[name] for path, name in ALIASES.items()}


def serves(path: str) -> bool:
    """Return whether a path is the page or one of its files."""
    return path in ALIASES or (path.startswith(FOLDER) and path in files())


def serve(request: Request) -> Reply:
    """Answer with a file of the page.

    :raises ApiError: 405 for methods other than GET and HEAD
    """
    if request.method not in ("GET", "HEAD"):
        raise ApiError(405, headers={"Allow": "GET, HEAD"})
    return files()[request.path]
