"""No secret is in the journal, however wrongly a request is written."""

from __future__ import annotations

import http.client
import json
from urllib.parse import quote, urlsplit

import pytest

#: Part by part, too: what follows a comma or a quote is as secret.
SECRET = "sEk,r;e't\"Qq x&mY=z"
PARTS = ("sEk", "Qq", "mY")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
PLAIN = "sEkrEt2x-mY"
FIELDS = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": SECRET}
AS_JSON = json.dumps(FIELDS)


@pytest.fixture
def kept(api, sandbox):
    """Send a request as it is, and give what the journal keeps of it."""

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
    ("body", "content_type"),
    [
        (AS_JSON, FORM),  # curl -d, without a header
        (json.dumps(FIELDS, indent=1), FORM),
        (AS_JSON, JSON),
        (AS_JSON, "text/plain"),
        (AS_JSON.replace('": "', '"   :   "')[:-1], JSON),
        (AS_JSON.replace('"', '\\"')[:-1], JSON),
        (json.dumps(AS_JSON), JSON),
        (AS_JSON[:-1] + ', "client_secret": "***"}', JSON),
        (f"grant_type=client_credentials\nclient_secret={SECRET}", FORM),
        (f"grant_type=client_credentials&\n client_secret={SECRET}", FORM),
        (f"grant_type=client_credentials&amp;client_secret={SECRET}", FORM),
        (f"grant_type=client_credentials;client_secret={SECRET}", FORM),
        (f"client_secret%20={SECRET}", FORM),
        (f"client_secret[]={quote(SECRET)}", FORM),
        (f"client%5Fsecret={quote(SECRET)}", "text/plain"),
        (f"client_secret:{SECRET}", FORM),
        (f"client_secret={SECRET}", "text/plain"),
        (f"<client_secret>{SECRET}</client_secret>", "application/xml"),
        (f'--x\r\nContent-Disposition: a; name="client_secret"\r\n\r\n{SECRET}\r\n', "multipart/form-data"),
    ],
)  # fmt: skip
def test_bodies(api, sandbox, kept, body, content_type):
    found = kept("POST", sandbox.token_url, body, Content_Type=content_type)
    assert found["body"] in ("***", {"client_secret": "***"})
    kept("POST", api.url, body, Content_Type=content_type)


@pytest.mark.parametrize(
    "value",
    [
        {"bearer": SECRET},
        {"deep": [{"bm_client_secret": {"a": SECRET}}]},
        {"query": AS_JSON},
        {"query": AS_JSON[:-1] + ', "client_secret": "***"}'},
        {"name": f"client_secret={SECRET}"},
        {f"client_secret={SECRET}": 1},
    ],
)
def test_values_in_json(api, kept, value):
    kept("POST", api.url, json.dumps(value), Content_Type=JSON)


def test_what_a_good_body_says_is_kept(api, kept):
    texts = ("The basic token of our bearers", "client_id or client_secret", '{"text": "{first_name}"}')
    for text in texts:
        body = {"name": text, "template_vars": {"temp": "1"}}
        assert kept("POST", api.url, json.dumps(body), Content_Type=JSON)["body"] == body
    form = "name=Storm&status=draft"
    assert kept("POST", api.url, form, Content_Type=FORM)["body"] == form


@pytest.mark.parametrize(
    "query",
    [
        *(f"{name}=" for name in ("client_secret", "bearer_token", "secret_key", "apikey", "auth")),
        "name=client_secret%3D",
        "client_secret%3D",
    ],
)
def test_the_url(api, sandbox, kept, query):
    kept("GET", f"{api.url}?{query}{quote(SECRET)}")
    kept("GET", f"{sandbox.token_url}?{query}{quote(SECRET)}")


@pytest.mark.parametrize("assigned", ["client_secret=", "api_key:", "bm_token%3D"])
def test_the_path(api, sandbox, kept, assigned):
    kept("POST", f"{sandbox.token_url};{assigned}{quote(SECRET)}")
    kept("GET", f"{api.url}/{assigned}{quote(SECRET)}")


@pytest.mark.parametrize(
    "name", ["X-Auth", "X-Credentials", "X-Passwd", "X-Pwd", "X-Session", "Api-Key", "X-Signature"]
)
def test_headers(api, kept, name):
    assert kept("GET", api.url, **{name: SECRET})["headers"][name] == "***"


def test_headers_that_hold_one(api, kept):
    kept("GET", api.url, X_Foo=f"Bearer {PLAIN}", Referer=f"http://x/?access_token={SECRET}")


@pytest.mark.parametrize("mine", ["configured", "token"])
def test_what_is_known_is_hidden_wherever_it_is(api, sandbox, kept, caplog, mine):
    caplog.set_level("INFO")
    secret = PLAIN
    if mine == "configured":
        sandbox.add_client("second", PLAIN, [sandbox.service_uuid])
    headers = {"Authorization": f"Bearer {PLAIN}"} if mine == "token" else {}
    path = urlsplit(api.url).path
    kept("GET", f"{path}/{secret}?startswith(name)={secret}&{secret}=1", Accept=secret, **headers)
    kept("POST", path, json.dumps({"name": f"a {secret} b", secret: [secret]}), Content_Type=JSON, **headers)
    kept("POST", path, f"{secret} and more", Content_Type="text/plain", **headers)
    assert secret not in caplog.text
