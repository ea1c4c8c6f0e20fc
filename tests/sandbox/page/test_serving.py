"""The page's files, and which sites may access them. tests/sandbox/browser/ tests the page itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox, page
from airflow_provider_bm.sandbox.__main__ import banner
from tests.sandbox.page.helpers import ask

FILES = sorted(page.files())


@pytest.mark.parametrize("path", FILES)
def test_files(sandbox, path):
    reply = requests.get(sandbox.url + path, timeout=10)
    assert reply.status_code == 200
    policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.]+\.\w+/", reply.text), "another host"
    assert requests.head(sandbox.url + path, timeout=10).headers["Content-Length"] == str(len(reply.content))
    assert requests.post(sandbox.url + path, timeout=10).status_code == 405


def test_all_styles_are_served():
    styles = sorted(Path(page.__file__).parent.glob("*.css"))
    assert sorted(page.STYLES) == [each.stem for each in styles]
    assert page.files()[f"{page.FOLDER}style.css"].body.decode().startswith(styles[1].read_text())


@pytest.mark.parametrize("path", ["page", "page/", "page/view.py", "page/../sandbox.py", "page/nothing.js"])
def test_other_files_are_not_served(sandbox, path):
    request = requests.Request("GET", f"{sandbox.url}/_sandbox/{path}").prepare()
    request.url = f"{sandbox.url}/_sandbox/{path}"  # requests would tidy it up
    with requests.Session() as session:
        assert session.send(request, timeout=10).status_code == 404


def test_banner_names_the_page(sandbox):
    assert f"In your browser: {sandbox.url}/\n" in banner(sandbox)


def test_custom_client_secret_is_not_printed():
    with Sandbox(client_secret="s3cr3t-of-mine") as sandbox:
        assert "s3cr3t-of-mine" not in banner(sandbox)
        assert "YOUR_CLIENT_SECRET" in banner(sandbox)


def test_page_requests_are_not_in_the_journal(sandbox):
    sandbox.fault(drop=True, times=None)
    assert requests.get(f"{sandbox.url}/", timeout=10).status_code == 200
    assert requests.get(f"{sandbox.url}/favicon.ico", timeout=10).status_code == 200
    assert ask(sandbox)["faults"][0]["seen"] == 0
    assert sandbox.requests() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_enough_contrast(theme):
    css = (Path(page.__file__).parent / "colours.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", {"light": light, "dark": dark}[theme]))

    def luminance(name):
        text = colours[name][1:]
        parts = [
            int(part * (2 if len(text) == 3 else 1), 16) / 255
            for part in re.findall("." * (len(text) // 3), text)
        ]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one, other):
        darker, lighter = sorted((luminance(one), luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    backs = ("panel", "back", "sunken", "chosen", "bubble")
    pairs = [(text, back) for text in ("text", "muted") for back in backs]
    pairs += [(name, f"{name}-back") for name in ("good", "warn", "bad")]
    pairs += [(name, "panel") for name in ("accent", "good", "warn", "bad")]
    pairs += [("accent", "chosen"), ("on-accent", "accent")]
    # WCAG 2, AA for text of usual size
    assert not {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5}
    # and for controls and other distinguishable parts
    pairs = [("edge", back) for back in ("panel", "back", "chosen")]
    pairs += [("accent", back) for back in ("panel", "line", "chosen")]
    assert not {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 3}


@pytest.mark.parametrize("path", ["/", "/_sandbox/page/page.js", "/_sandbox/messages", "/_sandbox/health"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("localhost:{port}", 200),
        ("bm.localhost", 200),
        ("host.docker.internal:{port}", 200),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("evil-localhost", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_dns_rebinding_is_refused(sandbox, path, host, status):
    headers = {"Host": host.format(port=sandbox.port)}
    assert requests.get(sandbox.url + path, headers=headers, timeout=10).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        # Another port of this machine: its page is of the same site, and not of the sandbox.
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_sites_cannot_read(sandbox, headers, status):
    reply = requests.get(f"{sandbox.url}/_sandbox/messages", headers=headers, timeout=10)
    assert reply.status_code == status
    assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://evil.example:{port}", "Host": "evil.example:{port}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_cannot_control(sandbox, headers):
    sandbox.fault(status=503)
    sent = {name: value.format(port=sandbox.port) for name, value in headers.items()}
    for call in (requests.post, requests.delete):
        assert call(f"{sandbox.url}/_sandbox/faults", json={}, headers=sent, timeout=10).status_code == 403
    assert len(sandbox.faults()) == 1


def test_other_sites_cannot_get_a_token(api, sandbox):
    for origin in ("http://evil.example", f"http://evil.example:{sandbox.port}", sandbox.url, "null"):
        form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
        headers = {"Origin": origin, "Host": origin.partition("//")[2] or "127.0.0.1"}
        reply = requests.post(sandbox.token_url, data=form, headers=headers, timeout=10)
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
    assert api.call("GET", headers={"Origin": "http://evil.example"}).status_code == 403
    assert api.call("GET").status_code == 200
    assert [request["status"] for request in sandbox.requests()] == [200, 403, 403, 403, 403, 403, 200]


def test_page_needs_a_login_beyond_loopback():
    with Sandbox(host="0.0.0.0", client_secret="my own") as sandbox:
        url = sandbox.url.replace("0.0.0.0", "127.0.0.1")
        for path in FILES:
            reply = requests.get(url + path, timeout=10)
            assert reply.status_code == 401
            assert reply.headers["WWW-Authenticate"].startswith("Basic ")
        login = {"auth": ("sandbox", "my own"), "timeout": 10}
        assert "<title>" in requests.get(url, **login).text
        # It may have a host name there, and the page controls it from its own origin.
        own = {"Host": "bm.example:8765", "Origin": "http://bm.example:8765"}
        assert requests.post(f"{url}/_sandbox/clock", json={}, headers=own, **login).status_code == 200
        foreign = own | {"Origin": "http://evil.example"}
        assert requests.post(f"{url}/_sandbox/clock", json={}, headers=foreign, **login).status_code == 403
