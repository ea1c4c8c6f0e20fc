"""Taking secrets out of what is kept of requests: by what they are called, and known ones by what they are.

A request that is written wrongly is the one that people look up, so nothing here relies on its form.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from email.message import Message
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote_plus

from airflow_provider_bm.campaigns.json_text import parse_json

from .messages import Request

MAX_TEXT: Final = 20_000
HIDDEN: Final = "***"
#: What is shorter cannot be told from ordinary words.
SHORTEST: Final = 8

#: Pieces of names, however their words are joined: ``client_secret``, ``clientSecret``, ``bm-client-secret``.
_NAMES = r"secret|token|passw|pwd|api[_-]?key|authori[sz]ation|assertion|bearer"
_NAME = re.compile(rf"(?i){_NAMES}|^(?:auth|pass)$")
_HEADER = re.compile(rf"(?i){_NAMES}|auth|cookie|key$|pass|credential|session|signature")
#: A name, what may close it, and what assigns: all behind it is taken for the secret.
_ASSIGNED = re.compile(rf"(?is)((?:{_NAMES})\w{{0,40}}[^\w=:%]{{0,20}}(?:[=:]|%3[ad])\s*).+")
_SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{16,}")
_SCHEME_IN_HEADER = re.compile(r"(?i)\b(bearer|basic)(\s+)\S+")
#: One of these is in all that the expressions above find: to look for them first is ten times as quick.
_HINTS: Final = ("secret", "token", "pass", "pwd", "api", "auth", "assertion", "bearer", "basic")
#: The fields of the token endpoint's form, and values in which nothing else is.
_TOKEN_FORM: Final = ("grant_type", "client_id", "client_secret", "scope")
_TOKEN_VALUE = re.compile(r"[\w.~@:/+-]*")


class Hiding:
    """Hides the secrets in one request.

    :param request: its own credentials are hidden wherever they occur.
    :param known: other secrets that are hidden wherever they occur.
    """

    def __init__(self, request: Request, known: Iterable[str] = ()) -> None:
        """Learn what to look for."""
        secrets = sorted([*known, *_credentials(request.headers)], key=len, reverse=True)
        # The longest first: another one may be a piece of it.
        self._known = [form for one in secrets if len(one) >= SHORTEST for form in _forms(one)]

    def text(self, text: str) -> str:
        """Hide in any text: what is known, and what has a name before it."""
        if text[:1] in ("{", "["):
            try:
                inner = parse_json(text)
                shown = self.value(inner)
                return text if shown == inner else json.dumps(shown, ensure_ascii=False)
            except (ValueError, RecursionError):
                pass
        shown = self._without_known(text)
        if not _is_suspect(text):
            return shown
        return _SCHEME.sub(rf"\1\2{HIDDEN}", _ASSIGNED.sub(rf"\1{HIDDEN}", shown))

    def value(self, value: Any) -> Any:
        """Hide in what JSON holds."""
        if isinstance(value, dict):
            return {self.text(k): HIDDEN if _is_secret(k) else self.value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(one) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
        """Hide in parameters: a string each, or a list if one came several times."""
        found: dict[str, str | list[str]] = {}
        for name, value in pairs:
            key, shown = self.text(name), HIDDEN if _is_secret(name) else self.text(value)
            held = found.get(key)
            if held is None:
                found[key] = shown
            else:
                found[key] = [*held, shown] if isinstance(held, list) else [held, shown]
        return found

    def headers(self, headers: Message[str, str]) -> dict[str, str]:
        """Hide in headers."""
        return {
            name: HIDDEN if _is_secret_header(name) else self._header(value)
            for name, value in headers.items()
        }

    def _header(self, value: str) -> str:
        shown = self.text(value)
        return _SCHEME_IN_HEADER.sub(rf"\1\2{HIDDEN}", shown) if _is_suspect(shown) else shown

    def body(self, raw: bytes) -> Any:
        """Parse a body and hide in it: JSON, or else its text. None if it is empty."""
        if not raw:
            return None
        text = raw.decode("utf-8", "replace")
        try:
            return self.value(parse_json(text))
        except (ValueError, RecursionError):
            return self._shapeless(text)[:MAX_TEXT]

    def token_form(self, raw: bytes) -> Any:
        """Show the form of a token request if it is a good one; if not, the secret may be anywhere in it."""
        if not raw:
            return None
        pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)
        good = all(
            name in _TOKEN_FORM and (name == "client_secret" or _TOKEN_VALUE.fullmatch(value))
            for name, value in pairs
        )
        return self.pairs(pairs) if pairs and good else HIDDEN

    def _shapeless(self, text: str) -> str:
        """Hide all from the first name of a secret on: where its value ends, nobody knows."""
        found = _NAME.search(text)
        if found is None and "%" in text:
            text = unquote_plus(text)
            found = _NAME.search(text)
        if found is not None:
            return self._without_known(text[: found.end()]) + HIDDEN
        return self._without_known(text)

    def _without_known(self, text: str) -> str:
        for form in self._known:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text


def _is_suspect(text: str) -> bool:
    lower = text.lower()
    for hint in _HINTS:  # noqa: SIM110 - thrice as quick as any()
        if hint in lower:
            return True
    return False


def _is_secret(name: str) -> bool:
    return _is_suspect(name) and _NAME.search(name) is not None


@lru_cache(maxsize=256)
def _is_secret_header(name: str) -> bool:
    return _HEADER.search(name) is not None


def _credentials(headers: Message[str, str]) -> list[str]:
    scheme, _, given = headers.get("Authorization", "").strip().partition(" ")
    found = [given.strip()]
    if scheme.lower() == "basic":
        try:
            found.append(base64.b64decode(found[0]).decode().partition(":")[2])
        except ValueError:
            pass  # not what it says: its text is hidden
    return found


@lru_cache(maxsize=64)
def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, and as JSON and URLs write it."""
    forms = (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret))
    return tuple(dict.fromkeys(forms))
