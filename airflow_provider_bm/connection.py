"""From an Airflow connection of type ``bm`` to client settings: one pure function."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_provider_bm.campaigns import campaign_id
from airflow_provider_bm.client.settings import DEFAULT_TIMEOUT, BMSettings
from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError, shorten

EXTRAS = ("separator", "api_url", "token_url", "draft_only", "timeout", "verify", "proxies", "console_url")
_SEPARATORS = (".", "-")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
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
        )

    def wrong(self, field: str, what: str) -> BMConfigError:
        return BMConfigError(f"Connection {self.connection.conn_id!r}, {field}: {what}")

    def _extra(self) -> dict[str, Any]:
        text = self.connection.extra
        if not text:
            return {}
        try:
            extra = json.loads(text)
        except ValueError:
            raise self.wrong("Extra", "is not JSON") from None
        if not isinstance(extra, dict):
            raise self.wrong("Extra", "must be a JSON object")
        unknown = sorted(set(extra) - set(EXTRAS))
        if unknown:
            raise self.wrong("Extra", f"unknown {', '.join(map(repr, unknown))}; known are {', '.join(EXTRAS)}")
        # The form of Airflow 3 saves a field that nobody touched as null, older ones as "".
        return {key: value for key, value in extra.items() if value not in (None, "")}

    def _required(self, field: str, label: str) -> str:
        value = getattr(self.connection, field)
        if not value:
            raise self.wrong(f"{label} ({field})", "is missing")
        return str(value)

    def _service(self, service_uuid: str | None) -> str | None:
        # Not even "", which a template may render to: it would mean another account's contacts.
        if service_uuid is not None:
            return campaign_id(service_uuid, "service_uuid")
        if not self.connection.schema:
            return None
        try:
            return campaign_id(self.connection.schema, "schema")
        except BMPayloadError:
            value = shorten(self.connection.schema)
            raise self.wrong("Service UUID (schema)", f"must be a UUID, not {value}") from None

    def _urls(self) -> tuple[str, str]:
        api_url, token_url = self._url("api_url"), self._url("token_url")
        if api_url and token_url:
            return api_url, token_url
        host = (self.connection.host or "").strip()
        if not host:
            raise self.wrong("Platform domain (host)", "is missing (or give both api_url and token_url in Extra)")
        if not _DOMAIN.fullmatch(host):
            raise self.wrong(
                "Platform domain (host)", f"must be a domain such as example.com, not {shorten(host)}"
            )
        if self.connection.port:
            raise self.wrong("Port", "is not used; for a port of your own give api_url and token_url in Extra")
        separator = self.extra.get("separator", ".")
        if separator not in _SEPARATORS:
            raise self.wrong("separator", f"must be '.' or '-', not {shorten(separator)}")
        return (
            api_url or f"https://api{separator}{host}/news/v1",
            token_url or f"https://accounts{separator}{host}/oauth2/access-token",
        )

    def _url(self, key: str) -> str | None:
        value = self.extra.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(key, "must be a URL")
        try:
            parts = urlsplit(value.strip())
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise self.wrong(key, "is not a URL") from None
        if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
            raise self.wrong(key, "must be a full URL such as https://api.example.com/news/v1")
        if parts.username or parts.password:
            raise self.wrong(key, "must not hold a user or password; they belong into login and password")
        if parts.scheme == "http" and not _is_loopback(host):
            raise self.wrong(key, f"must use https, since {host} is not this machine: secrets would be readable")
        return value.strip().rstrip("/")

    def _timeout(self) -> float:
        value = self.extra.get("timeout", DEFAULT_TIMEOUT)
        try:
            timeout = float(value) if not isinstance(value, bool) else 0.0
        except (TypeError, ValueError):
            timeout = 0.0
        if not 0 < timeout < 86_400:
            raise self.wrong("timeout", f"must be a number of seconds above 0, not {shorten(value)}")
        return timeout

    def _draft_only(self) -> bool:
        value = self.extra.get("draft_only", False)
        text = str(value).strip().lower()
        if isinstance(value, (bool, str)) and text in _TRUE:
            return True
        if isinstance(value, (bool, str)) and text in _FALSE:
            return False
        # A guess could send messages.
        raise self.wrong("draft_only", f"must be true or false, not {shorten(value)}")

    def _verify(self) -> bool | str:
        value = self.extra.get("verify", True)
        text = str(value).strip()
        if isinstance(value, (bool, str)) and text.lower() in _TRUE:
            return True
        if not isinstance(value, str) or text.lower() in _FALSE:
            raise self.wrong(
                "verify", f"must be true or the path of a CA bundle, not {shorten(value)}; it cannot be off"
            )
        return text

    def _proxies(self) -> dict[str, str]:
        value = self.extra.get("proxies", {})
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if not isinstance(value, Mapping) or not all(
            isinstance(part, str) for pair in value.items() for part in pair
        ):
            # Not the value: a proxy's URL may hold a password.
            raise self.wrong("proxies", 'must be a JSON object such as {"https": "http://proxy.example.com:3128"}')
        return dict(value)

    def _console_url(self) -> str | None:
        value = self.extra.get("console_url")
        if value is None:
            return None
        if not isinstance(value, str) or not value.startswith(("https://", "http://")):
            raise self.wrong("console_url", f"must be a URL, with {{campaign_uuid}} in it, not {shorten(value)}")
        if "{campaign_uuid}" not in value:
            raise self.wrong("console_url", f"must have {{campaign_uuid}} in it, not {shorten(value)}")
        return value


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
