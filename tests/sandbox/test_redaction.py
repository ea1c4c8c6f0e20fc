"""The journal shows no client secret and no token."""

from __future__ import annotations

import http.client
import json
from urllib.parse import quote, urlsplit

import pytest

from airflow_provider_bm.sandbox.api import FORM

#: Every part is searched for: text after a comma or a quote is secret as well.
SECRET = "sEk,r;e't\"Qq x&mY=z"
PARTS = ("sEk", "Qq", "mY")
JSON = "application/json"
TOKEN = "sEkrEt2x-mY"
FIELDS = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": SECRET}
AS_JSON = json.dumps(FIELDS)


@pytest.fixture
def journal_entry(api, sandbox):
    """Send a request unchanged, and return its entry in the journal."""

    def send(method, url, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body.encode() if body is not None else None
        connection.request(method, url.removeprefix(sandbox.url), raw, named)
        connection.getresponse().read()
        connection.close()
        found = sandbox.requests()[-1]
        assert not [part for part in PARTS if part in json.dumps(found)], found
        return found

    return send


@pytest.mark.parametrize(
    "body",
    [
        AS_JSON,
        AS_JSON[:-1],
        f"grant_type=client_credentials&amp;client_secret={SECRET}",
        f"client_secret[]={quote(SECRET)}",
        f"<client_secret>{SECRET}</client_secret>",
    ],
)
@pytest.mark.parametrize("content_type", [FORM, JSON])
def test_body_of_an_incorrect_token_request_is_redacted(sandbox, journal_entry, body, content_type):
    assert journal_entry("POST", sandbox.token_url, body, Content_Type=content_type)["body"] == "***"


@pytest.mark.parametrize(
    "body",
    [
        AS_JSON,
        json.dumps({"deep": [{"client_secret": {"a": SECRET}}]}),
        json.dumps({"query": AS_JSON}),
        json.dumps({"name": f"client_secret={SECRET}"}),
        json.dumps({f"client_secret={SECRET}": 1}),
        AS_JSON[:-1],
        f"grant_type=client_credentials&client_secret={SECRET}",
    ],
)
def test_body_with_a_client_secret(api, journal_entry, body):
    journal_entry("POST", api.url, body, Content_Type=JSON)


def test_other_bodies_are_recorded_unchanged(api, journal_entry):
    for text in ("The basic token of our bearers", "client_id or client_secret", '{"text": "{first_name}"}'):
        body = {"name": text, "template_vars": {"temp": "1"}}
        assert journal_entry("POST", api.url, json.dumps(body), Content_Type=JSON)["body"] == body
    form = "name=Storm&status=draft"
    assert journal_entry("POST", api.url, form, Content_Type=FORM)["body"] == form


@pytest.mark.parametrize("name", ["client_secret", "access_token"])
def test_url_with_a_secret(api, sandbox, journal_entry, name):
    for url in (api.url, sandbox.token_url):
        journal_entry("GET", f"{url}?{name}={quote(SECRET)}")
        journal_entry("GET", f"{url}/{name}={quote(SECRET)}")
    journal_entry("GET", api.url, Referer=f"http://x/?{name}={SECRET}")


@pytest.mark.parametrize("kind", ["client secret", "token"])
def test_known_secrets_are_redacted_everywhere(api, sandbox, journal_entry, caplog, kind):
    caplog.set_level("INFO")
    if kind == "client secret":
        sandbox.add_client("second", TOKEN, [sandbox.service_uuid])
    headers = {"Authorization": f"Bearer {TOKEN}"} if kind == "token" else {}
    path = urlsplit(api.url).path
    journal_entry("GET", f"{path}/{TOKEN}?startswith(name)={TOKEN}&{TOKEN}=1", Accept=TOKEN, **headers)
    body = json.dumps({"name": f"a {TOKEN} b", TOKEN: [TOKEN]})
    journal_entry("POST", path, body, Content_Type=JSON, **headers)
    journal_entry("POST", path, f"{TOKEN} and more", Content_Type="text/plain", **headers)
    assert TOKEN not in caplog.text
