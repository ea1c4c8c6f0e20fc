"""Settings from an Airflow connection: all notations are equivalent, and errors name the field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from airflow.models import Connection

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.client import BMSettings
from airflow_provider_bm.client.connection import settings_of
from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError

SERVICE = "0b2d6c1e-7f0a-4c57-9a55-3d3c54a1d0a1"
OTHER = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
SECRET = "s3cret/with:odd@chars"
URLS = {"api_url": "http://127.0.0.1:8081/news/v1", "token_url": "http://localhost:8081/oauth2/access-token"}


@dataclass
class FakeConnection:
    """An Airflow connection as a secrets backend returns it."""

    host: str | None = "example.com"
    login: str | None = "client"
    password: str | None = SECRET
    schema: str | None = SERVICE
    port: int | None = None
    extra: str | None = None
    conn_id: str = "bm_default"


def connection(extra: Any = None, **changes: Any) -> FakeConnection:
    return FakeConnection(
        extra=extra if extra is None or isinstance(extra, str) else json.dumps(extra), **changes
    )


def uri(**extra: str) -> Connection:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in extra.items())
    return Connection(
        conn_id="bm_default",
        uri=f"bm://client:{quote(SECRET, safe='')}@example.com/{SERVICE}" + (f"?{query}" if query else ""),
    )


def as_json(**extra: Any) -> Connection:
    fields = {
        "conn_type": "bm", "host": "example.com", "login": "client", "password": SECRET, "schema": SERVICE,
        "extra": extra,
    }  # fmt: skip
    return Connection.from_json(json.dumps(fields), conn_id="bm_default")


def form(**extra: Any) -> Connection:
    """An extra as the form of Airflow 3 saves it: untouched fields are null."""
    names = ("draft_only", "separator", "timeout", "verify", "proxies", "api_url", "token_url", "console_url")
    return Connection(
        conn_id="bm_default", conn_type="bm", host="example.com", login="client", password=SECRET,
        schema=SERVICE, port=0, extra=json.dumps(dict.fromkeys(names) | extra),
    )  # fmt: skip


EXPECTED = BMSettings(
    api_url="https://api.example.com/news/v1",
    token_url="https://accounts.example.com/oauth2/access-token",
    client_id="client",
    client_secret=SECRET,
    service_uuid=SERVICE,
)


def changed(**changes: Any) -> BMSettings:
    return BMSettings(**{name: getattr(EXPECTED, name) for name in vars(EXPECTED)} | changes)


PROXIES = {"https": "http://proxy.example.com:3128"}
WINDOW = {"start": "09:00", "end": "20:00", "tz": "Europe/Zurich"}
CONSOLE = "https://console.example.com/{campaign_uuid}"


@pytest.mark.parametrize(
    ("in_uri", "in_json", "expected"),
    [
        ({}, {}, EXPECTED),
        ({"separator": "-"}, {"separator": "-"},
         changed(api_url="https://api-example.com/news/v1",
                 token_url="https://accounts-example.com/oauth2/access-token")),
        (URLS, URLS, changed(**URLS)),
        ({"api_url": "https://gw.example.com/bm/"}, {"api_url": " https://gw.example.com/bm "},
         changed(api_url="https://gw.example.com/bm")),
        ({"token_url": "https://gw.example.com/token/"}, {"token_url": "https://gw.example.com/token/"},
         changed(token_url="https://gw.example.com/token/")),
        ({"draft_only": "true"}, {"draft_only": True}, changed(draft_only=True)),
        ({"draft_only": "y"}, {"draft_only": "Y"}, changed(draft_only=True)),
        ({"draft_only": "n"}, {"draft_only": "n"}, EXPECTED),
        ({"allowed_recipient_lists": OTHER}, {"allowed_recipient_lists": [OTHER.upper(), OTHER]},
         changed(allowed_recipient_lists=(OTHER,))),
        ({"allowed_recipient_lists": "[]"}, {"allowed_recipient_lists": []},
         changed(allowed_recipient_lists=())),
        ({"allowed_variables": "a, {b}"}, {"allowed_variables": ["a", "b"]},
         changed(allowed_variables=("a", "b"))),
        ({"max_campaigns_per_hour": "20"}, {"max_campaigns_per_hour": 20.0},
         changed(max_campaigns_per_hour=20)),
        ({"send_window": json.dumps(WINDOW)}, {"send_window": WINDOW},
         changed(send_window=SendWindow("09:00", "20:00", tz="Europe/Zurich"))),
        ({"draft_only": "1"}, {"draft_only": "YES"}, changed(draft_only=True)),
        ({"draft_only": "false"}, {"draft_only": False}, EXPECTED),
        ({"draft_only": "off"}, {"draft_only": "No"}, EXPECTED),
        ({"timeout": "45"}, {"timeout": 45}, changed(timeout=45.0)),
        ({"timeout": "0.5"}, {"timeout": 0.5}, changed(timeout=0.5)),
        ({"verify": "/etc/ca.pem"}, {"verify": "/etc/ca.pem"}, changed(verify="/etc/ca.pem")),
        ({"verify": "true"}, {"verify": True}, EXPECTED),
        ({"proxies": json.dumps(PROXIES)}, {"proxies": PROXIES}, changed(proxies=PROXIES)),
        ({"console_url": CONSOLE}, {"console_url": CONSOLE}, changed(console_url=CONSOLE)),
    ],
)  # fmt: skip
def test_uri_json_and_form_are_equivalent(in_uri, in_json, expected):
    assert settings_of(uri(**in_uri)) == expected
    assert settings_of(as_json(**in_json)) == expected
    assert settings_of(as_json(**in_uri)) == expected
    assert settings_of(form(**in_json)) == expected


@pytest.mark.parametrize("nothing", [None, "", "{}", {}, {"verify": None, "proxies": "", "draft_only": None}])
def test_empty_extras_are_defaults(nothing):
    assert settings_of(connection(nothing)) == EXPECTED


def test_connection_of_the_sandbox(sandbox):
    settings = settings_of(Connection.from_json(sandbox.connection_json(), conn_id="bm_default"))
    assert (settings.api_url, settings.token_url) == (sandbox.api_url, sandbox.token_url)


@pytest.mark.parametrize(("argument", "used"), [(None, SERVICE), (OTHER, OTHER), (OTHER.upper(), OTHER)])
def test_service_uuid_argument_overrides_the_connection(argument, used):
    assert settings_of(connection(), argument).service_uuid == used


def test_connection_may_lack_a_service():
    assert settings_of(connection(schema=None)).service_uuid is None
    assert settings_of(connection(schema=""), OTHER).service_uuid == OTHER


@pytest.mark.parametrize("argument", ["", "x", "None", SERVICE + "/x"])
def test_invalid_service_uuid_argument(argument):
    with pytest.raises(BMPayloadError, match="service_uuid"):
        settings_of(connection(), argument)


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:8081", "http://127.1.2.3", "http://localhost", "http://bm.localhost:1", "http://[::1]:8081",
    "https://10.0.0.1/x", "https://[2001:db8::1]:8443/x", "HTTPS://GW.Example.com/x",
])  # fmt: skip
def test_valid_urls(url):
    assert settings_of(connection({"api_url": url, "token_url": url + "/token"})).api_url == url


@pytest.mark.parametrize("url", [
    "http://example.com/news/v1", "http://127.0.0.1.example.com", "http://localhost.example.com",
    "http://10.0.0.1", "http://0.0.0.0", "http://[::2]", "http://2130706433", "ftp://example.com",
    "api.example.com", "//api.example.com", "/news/v1", "https://", "https:///x", "https://[::1", "https://a:b/",
    "https://a:99999/", "https://user@example.com", "https://:pw@example.com", "https://example.com/?a=1",
    "https://example.com/#a", "https://exa mple.com/", "http://evil.example.com\\.localhost/", "https://a\tb.c/",
    "https://example.com/\nx", "https://example.com/a b", "mailto:a@example.com", 7, True, [], {},
])  # fmt: skip
@pytest.mark.parametrize("name", ["api_url", "token_url"])
def test_invalid_urls(name, url):
    with pytest.raises(BMConfigError, match=f"'bm_default', {name}: "):
        settings_of(connection(URLS | {name: url}))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": None}, "Platform domain"), ({"host": " "}, "Platform domain"),
        ({"host": "https://example.com"}, "Platform domain"), ({"host": "example.com/x"}, "Platform domain"),
        ({"host": "example.com:443"}, "Platform domain"), ({"host": "exa mple.com"}, "Platform domain"),
        ({"host": "-example.com"}, "Platform domain"), ({"host": "example..com"}, "Platform domain"),
        ({"host": "exämple.com"}, "Platform domain"), ({"host": "a" * 64 + ".com"}, "Platform domain"),
        ({"port": 8080}, "Port"),
        ({"login": None}, "Client ID"), ({"login": ""}, "Client ID"),
        ({"password": None}, "Client secret"), ({"password": ""}, "Client secret"),
        ({"schema": "x"}, "Service UUID"), ({"schema": SERVICE + "/x"}, "Service UUID"),
        ({"extra": "{"}, "Extra"), ({"extra": "[]"}, "Extra"), ({"extra": '"x"'}, "Extra"),
        ({"extra": {"separator": "_"}}, "separator"), ({"extra": {"separator": [1]}}, "separator"),
        ({"extra": {"separator": "_", **URLS}}, "separator"),
        ({"extra": {"timeout": "soon"}}, "timeout"), ({"extra": {"timeout": 0}}, "timeout"),
        ({"extra": {"timeout": -1}}, "timeout"), ({"extra": {"timeout": True}}, "timeout"),
        ({"extra": {"timeout": "nan"}}, "timeout"), ({"extra": {"timeout": "inf"}}, "timeout"),
        ({"extra": {"timeout": [30]}}, "timeout"), ({"extra": {"timeout": 86_400}}, "timeout"),
        ({"extra": {"verify": False}}, "verify"), ({"extra": {"verify": "false"}}, "verify"),
        ({"extra": {"verify": 0}}, "verify"), ({"extra": {"verify": ["/ca.pem"]}}, "verify"),
        ({"extra": {"draft_only": ""}}, "draft_only"),
        ({"extra": {"draft_only": "maybe"}}, "draft_only"), ({"extra": {"draft_only": 2}}, "draft_only"),
        ({"extra": {"draft_only": []}}, "draft_only"), ({"extra": {"draft_only": "None"}}, "draft_only"),
        ({"extra": {"console_url": "console.example.com"}}, "console_url"),
        ({"extra": {"console_url": "https://console.example.com"}}, "console_url"),
        ({"extra": {"console_url": "javascript:{campaign_uuid}"}}, "console_url"),
        ({"extra": {"console_url": 7}}, "console_url"),
        ({"extra": {"allowed_recipient_lists": "staff"}}, "allowed_recipient_lists"),
        ({"extra": {"allowed_recipient_lists": {}}}, "allowed_recipient_lists"),
        ({"extra": {"allowed_recipient_lists": "[1]"}}, "allowed_recipient_lists"),
        ({"extra": {"allowed_variables": "a b"}}, "allowed_variables"),
        ({"extra": {"max_campaigns_per_hour": -1}}, "max_campaigns_per_hour"),
        ({"extra": {"max_campaigns_per_hour": True}}, "max_campaigns_per_hour"),
        ({"extra": {"max_campaigns_per_hour": 1.5}}, "max_campaigns_per_hour"),
        ({"extra": {"send_window": "9 to 5"}}, "send_window"),
        ({"extra": {"send_window": {}}}, "send_window"),
        ({"extra": '{"draft_only": true, "draft_only": false}'}, "repeats a key"),
        ({"extra": {"draft_only": True, "extra__bm__draft_only": "n"}}, "different values for draft_only"),
        ({"host": "api.example.com"}, "must be 'example.com', without the 'api' of 'api.example.com'"),
        ({"host": "accounts-example.com"}, "'example.com', and separator '-', without the 'accounts'"),
        ({"login": "two\nlines"}, r"Client ID \(login\): contains a line break"),
        ({"password": "two\r\nlines"}, r"Client secret \(password\): contains a line break"),
        ({"extra": {"draftonly": True}}, "draftonly"), ({"extra": {"Authorization": "x"}}, "Authorization"),
    ],
)  # fmt: skip
def test_error_names_the_field(changes, field):
    with pytest.raises(BMConfigError, match=field) as caught:
        settings_of(connection(**changes))
    assert "'bm_default'" in str(caught.value)
    assert caught.value.permanent


@pytest.mark.parametrize("port", [None, 0, 443])
def test_port_is_ignored_if_both_urls_are_set(port):
    assert settings_of(connection(URLS, port=port, host=None)).api_url == URLS["api_url"]


@pytest.mark.parametrize("blank", ["\n", " ", "\t", "\r\n", "\u00a0"])
def test_white_space_around_credentials_is_ignored(blank):
    settings = settings_of(connection(login=f"{blank}client{blank}", password=f"{SECRET}{blank}"))
    assert (settings.client_id, settings.client_secret) == ("client", SECRET)


def test_the_form_of_airflow_2_posts_extras_twice():
    extra = {"draft_only": "y", "separator": "-", "timeout": ""}
    posted = extra | {f"extra__bm__{name}": value for name, value in extra.items()}
    settings = settings_of(connection(posted))
    assert (settings.draft_only, settings.api_url) == (True, "https://api-example.com/news/v1")
    assert settings_of(connection({"extra__bm__draft_only": "y"})).draft_only


@pytest.mark.parametrize(
    ("name", "one", "other"), [("draft_only", True, "y"), ("draft_only", False, "n"), ("timeout", 5, "5")]
)
def test_equal_extras_may_be_written_differently(name, one, other):
    """A value of the command line, and the same in the form of Airflow 2."""
    for first, second in ((one, other), (other, one)):
        settings = settings_of(connection({name: first, f"extra__bm__{name}": second}))
        assert getattr(settings, name) == one


def test_the_password_is_in_no_frame_of_an_error():
    with pytest.raises(BMConfigError) as caught:
        settings_of(Connection(conn_id="x", conn_type="bm", host="x y", login="client", password=SECRET))
    frames, locals_ = caught.value.__traceback__, []
    while frames:
        if "tests" not in frames.tb_frame.f_code.co_filename:
            locals_.append(repr(frames.tb_frame.f_locals))
        frames = frames.tb_next
    assert locals_
    assert SECRET not in "".join(locals_)
