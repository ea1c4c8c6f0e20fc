"""From an Airflow connection of type ``bm`` to client settings: one pure function."""

from __future__ import annotations

import json
import re
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.campaigns import parse_uuid
from airflow_provider_bm.client.settings import DEFAULT_TIMEOUT, BMSettings
from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError, truncated_repr

EXTRAS = ("separator", "api_url", "token_url", "draft_only", "timeout", "verify", "proxies", "console_url")
_SEPARATORS = (".", "-")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: Host and port of a URL. Strictly, since libraries do not agree on what else means which host.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PROXY_KEY = re.compile(r"no_proxy|(?:all|https?)(?:://[^/\s]+)?")
_PROXY = re.compile(rf"(?:(?:https?|socks(?:4a?|5h?))://)?(?:[^/?#@\s]*@)?{_AUTHORITY.pattern}/?")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class AirflowConnection(Protocol):
    """What is read of an Airflow ``Connection``."""

    conn_id: str
    host: str | None
    login: str | None
    password: str | None
    schema: str | None
    port: int | None
    extra: str | None


def settings_of(connection: AirflowConnection, service_uuid: str | None = None) -> BMSettings:
    """Read a connection.

    :param service_uuid: the BM account to use instead of the connection's (field Schema)
    :raises BMConfigError: naming the field that is missing or wrong; never its value if that is a secret
    :raises BMPayloadError: ``service_uuid`` is not a UUID
    """
    return _Reader(connection).settings(service_uuid)


class _Reader:
    def __init__(self, connection: AirflowConnection) -> None:
        self.connection = connection
        self.extra = self._extra()

    def settings(self, service_uuid: str | None) -> BMSettings:
        api_url, token_url = self._urls()
        return BMSettings(
            api_url=api_url,
            token_url=token_url,
            client_id=self._required("login", "Client ID"),
            client_secret=self._required("password", "Client secret"),
            service_uuid=self._service(service_uuid),
            timeout=self._timeout(),
            verify=self._verify(),
            proxies=self._proxies(),
            draft_only=self._draft_only(),
            console_url=self._console_url(),
            conn_id=self.connection.conn_id,
        )

    def wrong(self, field: str, what: str) -> BMConfigError:
        return BMConfigError(f"Connection {self.connection.conn_id!r}, {field}: {what}")

    def _extra(self) -> dict[str, Any]:
        text = self.connection.extra
        if not text:
            return {}
        extra = _json(text)
        if not isinstance(extra, dict):
            raise self.wrong("Extra", "is not a JSON object")
        unknown = sorted(set(extra) - set(EXTRAS))
        if unknown:
            names, known = ", ".join(map(repr, unknown)), ", ".join(EXTRAS)
            raise self.wrong("Extra", f"unknown {names}; known are {known}")
        # The form of Airflow 3 saves a field that nobody touched as null, older ones as "".
        # But an empty draft_only is no "no": it is up to somebody to say which.
        return {
            key: value
            for key, value in extra.items()
            if value is not None and (value != "" or key == "draft_only")
        }

    def _required(self, field: str, label: str) -> str:
        value = getattr(self.connection, field)
        if not value:
            raise self.wrong(f"{label} ({field})", "is missing")
        return str(value)

    def _service(self, service_uuid: str | None) -> str | None:
        # Not even "", which a template may render to: it would mean another account's contacts.
        if service_uuid is not None:
            return parse_uuid(service_uuid, "service_uuid")
        if not self.connection.schema:
            return None
        try:
            return parse_uuid(self.connection.schema, "schema")
        except BMPayloadError:
            value = truncated_repr(self.connection.schema)
            raise self.wrong("Service UUID (schema)", f"must be a UUID, not {value}") from None

    def _urls(self) -> tuple[str, str]:
        api_url, token_url = self._url("api_url"), self._url("token_url")
        separator = self.extra.get("separator", ".")
        if separator not in _SEPARATORS:
            raise self.wrong("separator", f"must be '.' or '-', not {truncated_repr(separator)}")
        if api_url and token_url:
            return api_url.rstrip("/"), token_url
        host = (self.connection.host or "").strip()
        field = "Platform domain (host)"
        if not host:
            raise self.wrong(field, "is missing (or give both api_url and token_url in Extra)")
        if not _DOMAIN.fullmatch(host):
            raise self.wrong(field, f"must be a domain such as example.com, not {truncated_repr(host)}")
        if self.connection.port:
            raise self.wrong("Port", "is not used; for one of your own give api_url and token_url in Extra")
        return (
            (api_url or f"https://api{separator}{host}/news/v1").rstrip("/"),
            token_url or f"https://accounts{separator}{host}/oauth2/access-token",
        )

    def _url(self, key: str) -> str | None:
        value = self.extra.get(key)
        if value is None:
            return None
        example = "must be a full URL such as https://api.example.com/news/v1"
        url = value.strip() if isinstance(value, str) else ""
        scheme, separator, rest = url.partition("://")
        authority, path = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        if scheme.lower() not in ("https", "http") or not separator or re.search(r"[\s?#\\]", path):
            raise self.wrong(key, example)
        if "@" in authority:
            raise self.wrong(key, "must not hold a user or password; they belong into login and password")
        if not _AUTHORITY.fullmatch(authority) or not _is_port(
            authority.rpartition("]")[2].partition(":")[2]
        ):
            raise self.wrong(key, example)
        host = urlsplit(f"//{authority}").hostname or ""
        if scheme.lower() == "http" and not is_loopback(host):
            raise self.wrong(key, f"must use https: {host} is not this machine, secrets would be readable")
        return url

    def _timeout(self) -> float:
        value = self.extra.get("timeout", DEFAULT_TIMEOUT)
        try:
            timeout = float(value) if not isinstance(value, bool) else 0.0
        except (TypeError, ValueError):
            timeout = 0.0
        if not 0 < timeout < 86_400:
            raise self.wrong("timeout", f"must be a number of seconds above 0, not {truncated_repr(value)}")
        return timeout

    def _draft_only(self) -> bool:
        value = self.extra.get("draft_only", False)
        text = str(value).strip().lower()
        if isinstance(value, (bool, str, int)) and text in (*_TRUE, *_FALSE):
            return text in _TRUE
        # A guess could send messages.
        raise self.wrong("draft_only", f"must be true or false, not {truncated_repr(value)}")

    def _verify(self) -> bool | str:
        value = self.extra.get("verify", True)
        text = str(value).strip()
        if isinstance(value, (bool, str)) and text.lower() in _TRUE:
            return True
        if not isinstance(value, str) or text.lower() in _FALSE:
            raise self.wrong(
                "verify",
                f"must be true or the path of a CA bundle, not {truncated_repr(value)}; it cannot be off",
            )
        return text

    def _proxies(self) -> dict[str, str]:
        value = self.extra.get("proxies", {})
        if isinstance(value, str):
            value = _json(value)
        if not isinstance(value, dict) or not all(_is_proxy(*pair) for pair in value.items()):
            # Not the value: a proxy's URL may hold a password.
            raise self.wrong(
                "proxies", 'must be a JSON object such as {"https": "http://proxy.example.com:3128"}'
            )
        return dict(value)

    def _console_url(self) -> str | None:
        value = self.extra.get("console_url")
        if value is None:
            return None
        is_url = isinstance(value, str) and value.startswith(("https://", "http://"))
        if not is_url or "{campaign_uuid}" not in value:
            raise self.wrong(
                "console_url", f"must be a URL with {{campaign_uuid}} in it, not {truncated_repr(value)}"
            )
        return str(value)


def _json(text: str) -> Any:
    """What a text holds; None if that is not JSON. The error, which has the text in it, ends here."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_port(text: str) -> bool:
    return not text or 0 < int(text) < 65_536


def _is_proxy(key: str, value: Any) -> bool:
    if not _PROXY_KEY.fullmatch(key) or not isinstance(value, str):
        return False
    return key == "no_proxy" or not value or _PROXY.fullmatch(value) is not None
