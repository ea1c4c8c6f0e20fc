"""Redaction of data in the journal: the ``Authorization`` header, ``client_secret`` and tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus

from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.sandbox.http_messages import Request

MAX_TEXT: Final = 20_000
REDACTED: Final = "***"
_NAMES: Final = ("client_secret", "access_token")
#: In a text, everything after such a name and ``=`` or ``:`` may be the secret.
_ASSIGNED: Final = re.compile(r"(?is)((?:client_secret|access_token)\W{0,20}?(?:[=:]|%3[ad])).+")
#: The fields of a token request, and their values without a secret in them.
_TOKEN_FIELDS: Final = ("grant_type", "client_id", "client_secret", "scope")
_TOKEN_VALUE: Final = re.compile(r"[\w.~@:/+-]*")


class Redactor:
    """Redacts one request.

    :param request: the credentials in its ``Authorization`` header are redacted wherever they occur
    :param secrets: client secrets, redacted wherever they occur
    """

    def __init__(self, request: Request, secrets: Iterable[str]) -> None:
        """Collect the secrets."""
        sent = request.headers.get("Authorization", "").strip().rpartition(" ")[2]
        # The longest first: it may contain another one.
        found = sorted({secret for secret in (sent, *secrets) if len(secret) >= 8}, key=len, reverse=True)
        self._secrets = [spelling for secret in found for spelling in _spellings(secret)]

    def text(self, text: str) -> str:
        """Redact text."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return _ASSIGNED.sub(rf"\1{REDACTED}", text)

    def value(self, value: Any) -> Any:
        """Redact a JSON value."""
        if isinstance(value, dict):
            return {
                self.text(key): REDACTED if key.lower() in _NAMES else self.value(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
        """Redact parameters: a string each, or a list if one occurs several times."""
        found: dict[str, str | list[str]] = {}
        for name, value in pairs:
            key, shown = self.text(name), REDACTED if name.lower() in _NAMES else self.text(value)
            earlier = found.get(key)
            if earlier is None:
                found[key] = shown
            else:
                found[key] = [*earlier, shown] if isinstance(earlier, list) else [earlier, shown]
        return found

    def headers(self, headers: Message[str, str]) -> dict[str, str]:
        """Redact headers."""
        return {
            name: REDACTED if name.lower() == "authorization" else self.text(value)
            for name, value in headers.items()
        }

    def body(self, raw: bytes) -> Any:
        """Parse and redact a body: JSON, or text. None if it is empty."""
        if not raw:
            return None
        text = raw.decode("utf-8", "replace")
        try:
            return self.value(parse_json(text))
        except (ValueError, RecursionError):
            return self.text(text)[:MAX_TEXT]

    def token_form(self, raw: bytes) -> Any:
        """Parse and redact the body of a token request; an incorrect form is redacted entirely."""
        pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)
        correct = all(
            name in _TOKEN_FIELDS and (name == "client_secret" or _TOKEN_VALUE.fullmatch(value))
            for name, value in pairs
        )
        return (self.pairs(pairs) if pairs and correct else REDACTED) if raw else None


def _spellings(secret: str) -> set[str]:
    """Return a secret as it is, and as JSON and URLs write it."""
    return {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}
