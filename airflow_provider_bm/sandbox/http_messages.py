"""HTTP requests and replies of the sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit


@dataclass
class Request:
    """An HTTP request, read completely."""

    method: str
    target: str
    headers: Message[str, str]
    body: bytes = b""
    #: The redacted path, once the request is recorded in the journal.
    shown: str = ""

    @cached_property
    def path(self) -> str:
        """The path, as sent."""
        return self._url.path

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Query parameters, decoded, in order."""
        return parse_qsl(self._url.query, keep_blank_values=True)

    @cached_property
    def _url(self) -> SplitResult:
        # With a host: "//a/b" would name one.
        return urlsplit(f"http://host{'' if self.target.startswith('/') else '/'}{self.target}")

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@dataclass
class Reply:
    """An HTTP reply."""

    status: int
    body: bytes = b""
    #: None leaves out a header that the server would add.
    headers: dict[str, str | None] = field(default_factory=dict)


def json_reply(status: int, body: Any, headers: Mapping[str, str | None] | None = None) -> Reply:
    """Build a JSON reply."""
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Reply(status, raw, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def in_utf8(text: str) -> bool:
    """Return whether a text can be encoded: half of a surrogate pair, which JSON can contain, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
