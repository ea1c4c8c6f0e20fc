"""Conversion of an Airflow connection of type ``bm`` to client settings."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.campaigns import SendWindow, parse_uuid
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.client.settings import DEFAULT_TIMEOUT, BMSettings
from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError, truncated_repr

EXTRAS = (
    "separator",
    "api_url",
    "token_url",
    "draft_only",
    "timeout",
    "verify",
    "proxies",
    "console_url",
    "allowed_recipient_lists",
    "allowed_variables",
    "max_campaigns_per_hour",
    "send_window",
)
#: Airflow 2.11's form posts each extra under this prefix, too.
_PREFIX = "extra__bm__"
#: What separates the parts of a host in front of the platform domain.
_HOST_PREFIX = re.compile(r"(api|accounts)([.-])(.+)", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
P = ParamSpec("P")
T = TypeVar("T")
_SEPARATORS = (".", "-")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: Host and port of a URL. Strict, since libraries interpret unusual forms differently.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PROXY_KEY = re.compile(r"no_proxy|(?:all|https?)(?:://[^/\s]+)?")
_PROXY = re.compile(rf"(?:(?:https?|socks(?:4a?|5h?))://)?(?:[^/?#@\s]*@)?{_AUTHORITY.pattern}/?")
_TRUE, _FALSE = ("true", "1", "yes", "y", "on"), ("false", "0", "no", "n", "off")


class AirflowConnection(Protocol):
    """The parts of an Airflow ``Connection`` that are read."""

    conn_id: str
    host: str | None
    login: str | None
    password: str | None
    schema: str | None
    port: int | None
    extra: str | None


def hide_connection(function: Callable[P, T]) -> Callable[P, T]:
    """Keep a function's arguments out of the frames of its errors: a connection's repr shows its password."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (BMConfigError, BMPayloadError) as error:
            failure = error
        del args, kwargs
        raise failure.with_traceback(None)

    return call


@hide_connection
def settings_of(connection: AirflowConnection, service_uuid: str | None = None) -> BMSettings:
    """Read a connection. Section ``[bm]`` of Airflow's configuration is not read here.

    :param service_uuid: the BM account to use instead of the connection's (field Schema)
    :raises BMConfigError: naming the field that is missing or wrong; never its value if that is a secret
    :raises BMPayloadError: ``service_uuid`` is not a UUID
    """
    return _Reader(connection).settings(service_uuid)


def read_boolean(value: Any) -> bool:
    """Read a boolean as forms, JSON and configuration files write it.

    :raises ValueError: it is not a boolean; the message says what is expected
    """
    text = str(value).strip().lower()
    if isinstance(value, (bool, str, int)) and text in (*_TRUE, *_FALSE):
        return text in _TRUE
    raise ValueError(f"must be true or false, not {truncated_repr(value)}")


def read_names(value: Any) -> list[str]:
    """Read names from a list, a JSON list as text, or comma separated text.

    :raises ValueError: it is none of them; the message says what is expected
    """
    if isinstance(value, str) and value.strip().startswith("["):
        value = _json(value)
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(
        isinstance(name, str) for name in names
    ):
        raise ValueError("must be a JSON list of texts, or comma separated text")
    return [name.strip() for name in names if name.strip()]


def read_recipient_lists(value: Any) -> tuple[str, ...]:
    """Read UUIDs of recipient lists; an empty list allows none.

    :raises ValueError: a value is not a UUID; the message says what is expected
    """
    try:
        return tuple(dict.fromkeys(parse_uuid(name, "list") for name in read_names(value)))
    except BMPayloadError as error:
        raise ValueError(f"must contain UUIDs only, not {truncated_repr(error.problems[0].value)}") from None


def read_variables(value: Any) -> tuple[str, ...]:
    """Read names of variables, in braces or not.

    :raises ValueError: a value is not such a name; the message says what is expected
    """
    names = [name.removeprefix("{").removesuffix("}") for name in read_names(value)]
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"must contain names of variables only, not {truncated_repr(name)}")
    return tuple(dict.fromkeys(names))


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
            allowed_recipient_lists=self._parsed("allowed_recipient_lists", read_recipient_lists, None),
            allowed_variables=self._parsed("allowed_variables", read_variables, ()),
            max_campaigns_per_hour=self._parsed("max_campaigns_per_hour", _read_limit, None),
            send_window=self._send_window(),
            service_uuid=self._service(service_uuid),
            timeout=self._timeout(),
            verify=self._verify(),
            proxies=self._proxies(),
            # An invalid value is an error: a guess could send messages.
            draft_only=self._parsed("draft_only", read_boolean, False),
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
            raise self.wrong("Extra", "is not a JSON object, or repeats a key")
        for key in [key for key in extra if key.startswith(_PREFIX)]:
            name, value = key.removeprefix(_PREFIX), extra.pop(key)
            if _meaning(extra.setdefault(name, value)) != _meaning(value):
                raise self.wrong("Extra", f"has different values for {name} and {key}")
        unknown = sorted(set(extra) - set(EXTRAS))
        if unknown:
            names, known = ", ".join(map(repr, unknown)), ", ".join(EXTRAS)
            raise self.wrong("Extra", f"unknown {names}; known are {known}")
        # The form of Airflow 3 saves a field that nobody touched as null, older ones as "".
        # But an empty draft_only does not mean false: it must be set explicitly.
        return {
            key: value
            for key, value in extra.items()
            if value is not None and (value != "" or key == "draft_only")
        }

    def _required(self, field: str, label: str) -> str:
        value = str(getattr(self.connection, field) or "").strip()
        if not value:
            raise self.wrong(f"{label} ({field})", "is missing")
        if re.search(r"[\x00-\x1f\x7f]", value):
            raise self.wrong(f"{label} ({field})", "contains a line break or another control character")
        return value

    def _parsed(self, key: str, read: Callable[[Any], T], default: T) -> T:
        if key not in self.extra:
            return default
        try:
            return read(self.extra[key])
        except ValueError as error:
            failure = self.wrong(key, str(error))
        raise failure

    def _send_window(self) -> SendWindow | None:
        if "send_window" not in self.extra:
            return None
        try:
            return SendWindow.parse(self.extra["send_window"])
        except BMPayloadError as error:
            failure = self.wrong("send_window", "; ".join(map(str, error.problems)))
        raise failure

    def _service(self, service_uuid: str | None) -> str | None:
        # Reject "" too: falling back to the connection's service would message another account's contacts.
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
            raise self.wrong(field, "is missing (or set both api_url and token_url in Extra)")
        if not _DOMAIN.fullmatch(host):
            raise self.wrong(field, f"must be a domain such as example.com, not {truncated_repr(host)}")
        if prefix := _HOST_PREFIX.fullmatch(host):
            separator_hint = "" if prefix[2] == separator else f", and separator {prefix[2]!r}"
            raise self.wrong(
                field, f"must be {prefix[3]!r}{separator_hint}, without the {prefix[1]!r} of {host!r}"
            )
        if self.connection.port:  # 0 is none: the form of Airflow 3.3 needs one to test a connection
            raise self.wrong("Port", "is not used; for a custom port, set api_url and token_url in Extra")
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
            raise self.wrong(key, "must not contain a user or password; put them into login and password")
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
            # Without the value: a proxy's URL may contain a password.
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


def _meaning(value: Any) -> Any:
    """Return a value in a form that is the same for true and ``"y"``, and for 5 and ``"5"``."""
    if not isinstance(value, (str, bool, int, float)):
        return value
    text = str(value).strip().lower()
    return text in _TRUE if text in (*_TRUE, *_FALSE) else text


def _json(text: str) -> Any:
    """Parse JSON; return None if it is invalid. The error is not raised, since it contains the text."""
    try:
        return parse_json(text)
    except ValueError:
        return None


def _read_limit(value: Any) -> int:
    try:
        limit = int(value) if not isinstance(value, (bool, float)) or value == int(value) else -1
    except (TypeError, ValueError, OverflowError):
        limit = -1
    if limit < 0 or isinstance(value, bool):
        raise ValueError(f"must be a whole number from 0, not {truncated_repr(value)}")
    return limit


def _is_port(text: str) -> bool:
    return not text or 0 < int(text) < 65_536


def _is_proxy(key: str, value: Any) -> bool:
    if not _PROXY_KEY.fullmatch(key) or not isinstance(value, str):
        return False
    return key == "no_proxy" or not value or _PROXY.fullmatch(value) is not None
