"""No message about a connection contains its secrets."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.connection import settings_of
from airflow_provider_bm.exceptions import BMConfigError
from tests.client.test_connection import FakeConnection

SECRET = "a-client-secret-of-ours"
PASSWORD = "a-password-of-a-proxy"
GOOD = f"http://user:{PASSWORD}@proxy.example.com:3128"


@pytest.fixture(autouse=True)
def _watch(leak_guard):
    leak_guard.register(SECRET, PASSWORD)


def settings(**extra):
    return settings_of(FakeConnection(password=SECRET, extra=json.dumps(extra)))


@pytest.mark.parametrize(
    "proxies",
    [
        {"https": GOOD}, {"http": GOOD, "https": GOOD}, {"all": GOOD}, {"https://api.example.com": GOOD},
        {"https": "proxy.example.com:3128"}, {"https": "socks5h://proxy.example.com:1080"}, {"https": ""},
        {"https": GOOD + "/"}, {"https": "http://[::1]:3128"}, {"no_proxy": "example.com", "https": GOOD}, {},
    ],
)  # fmt: skip
def test_valid_proxies(proxies):
    assert settings(proxies=proxies).proxies == settings(proxies=json.dumps(proxies)).proxies == proxies


@pytest.mark.parametrize(
    "proxies",
    [
        GOOD, [GOOD], 7, True, f"{{'https': '{GOOD}'}}", {"https": 7}, {"https": None}, {"htps": GOOD},
        {"https": "ftp" + GOOD[4:]}, {"https": GOOD + "x"}, {"https": GOOD.replace("user", "us#er")},
        {"https": GOOD.replace("user", "us/er")}, {"https": GOOD + "/path"}, {"https": f"http://user:{PASSWORD}@"},
        {"https": GOOD.replace("proxy.", "pro xy.")}, {"https": f"http://[{PASSWORD}"}, {"": GOOD},
        json.dumps([GOOD]),
    ],
)  # fmt: skip
def test_invalid_proxies_are_not_shown(proxies):
    with pytest.raises(BMConfigError, match="proxies: must be") as caught:
        settings(proxies=proxies)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "extra",
    [
        {"api_url": f"https://client:{SECRET}@example.com"}, {"api_url": f"http://[{SECRET}"},
        {"api_url": f"https://example.com/?secret={SECRET}"}, {"client_secret": SECRET},
        {"api_url": f"https://example.com:{SECRET}/"},
    ],
)  # fmt: skip
def test_a_secret_in_the_wrong_place_is_not_shown(extra):
    with pytest.raises(BMConfigError):
        settings(**extra)


def test_extra_that_is_no_json_is_not_shown():
    with pytest.raises(BMConfigError, match="Extra: is not a JSON object"):
        settings_of(FakeConnection(extra=f'{{"client_secret": "{SECRET}"'))


def test_repr_contains_no_secret():
    result = settings(proxies={"https": GOOD})
    for shown in (repr(result), str(result), repr(BMClient(result)), repr(vars(BMClient(result)))):
        assert SECRET not in shown
        assert PASSWORD not in shown
