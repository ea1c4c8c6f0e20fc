"""Proxies, certificates and CA bundles, over real sockets."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.utils import select_proxy

from airflow_provider_bm.exceptions import BMConnectError

PASSWORD = "the-password-of-a-proxy"


class Proxy:
    """A proxy on loopback that forwards plain HTTP, and refuses to make tunnels."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        seen = self.seen

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(f"{self.command} {self.path} {self.headers.get('Proxy-Authorization')}")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name: value for name, value in self.headers.items() if "Proxy" not in name}
                session = requests.Session()
                session.trust_env = False
                reply = session.request(self.command, self.path, data=body, headers=headers, timeout=5)
                self.send_response(reply.status_code)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            do_POST = do_GET  # noqa: N815

            def do_CONNECT(self) -> None:
                seen.append(f"CONNECT {self.path}")
                self.send_error(503, "no tunnels today")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def proxies() -> Iterator[tuple[Proxy, Proxy]]:
    both = Proxy(), Proxy()
    yield both
    for proxy in both:
        proxy.server.shutdown()
        proxy.server.server_close()


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "requests_ca_bundle",
        "curl_ca_bundle",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_connections_proxy_is_used_not_the_environments(sandbox, new_client, proxies, monkeypatch):
    own, theirs = proxies
    monkeypatch.setenv("HTTP_PROXY", theirs.url)
    client = new_client(proxies={"all": own.url.replace("//", f"//user:{PASSWORD}@")})
    assert list(client.list_campaigns()) == []
    assert [line.split()[1].split("?")[0] for line in own.seen] == [
        sandbox.token_url,
        f"{sandbox.api_url}/services/{sandbox.service_uuid}/campaigns",
    ]
    assert all(line.split()[2] == "Basic" for line in own.seen)
    assert theirs.seen == []
    assert list(new_client(proxies={"http": ""}).list_campaigns()) == []
    assert len(own.seen) == 2


def test_the_environments_proxy_is_used_for_other_machines(new_client, proxies, monkeypatch):
    own, theirs = proxies
    monkeypatch.setenv("HTTPS_PROXY", theirs.url)
    url = "https://api.example.com/news/v1"
    for connection, used in ({}, theirs.url), ({"all": own.url}, own.url), ({"https": ""}, ""):
        session = new_client(proxies=connection).session
        settings = session.merge_environment_settings(url, {}, None, None, None)
        assert (select_proxy(url, settings["proxies"]) or "") == used


@pytest.mark.parametrize("there", [True, False])
def test_refused_tunnel_means_that_nothing_was_sent(sandbox, new_client, proxies, payload, there):
    """The API did not receive the request, so the outcome of a POST is known as well."""
    api = sandbox.api_url.replace("http://", "https://")
    client = new_client(api_url=api, proxies={"https": proxies[0].url if there else "http://127.0.0.1:9"})
    with pytest.raises(BMConnectError, match=r"no connection to 127\.0\.0\.1") as caught:
        client.create_campaign(payload)
    assert not caught.value.of_token
    assert {*proxies[0].seen} == ({f"CONNECT {urlsplit(api).netloc}"} if there else set())


@pytest.mark.parametrize(
    "changes",
    [
        {"verify": "/nowhere/ca.pem", "api_url": "https://127.0.0.1:1/news/v1"},
        {"proxies": {"http": f"ftp://user:{PASSWORD}@127.0.0.1:1"}},
        {"proxies": {"http": f"http://user:{PASSWORD}@[127.0.0.1:1"}},
        {"proxies": {"http": "http://"}},
        {"api_url": "http:///news/v1"},
        {"api_url": "gopher://127.0.0.1/news/v1"},
        {"api_url": "http://" + "a" * 64 + ".localhost/news/v1"},
    ],
)
def test_a_request_that_cannot_be_made_was_not_sent(new_client, payload, waits, leak_guard, changes):
    leak_guard.register(PASSWORD)
    new_client().refresh_token()
    client = new_client(**changes)
    for call in (lambda: client.create_campaign(payload), lambda: list(client.list_campaigns())):
        with pytest.raises(BMConnectError, match=r"could not be made.*proxies and verify") as caught:
            call()
        assert caught.value.permanent
        assert caught.value.__cause__ is caught.value.__context__ is None
    assert waits == []


def certificate(path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def https(tmp_path) -> Iterator[tuple[str, Path]]:
    """An HTTPS server without campaigns, whose certificate no authority has signed."""
    pem = certificate(tmp_path / "own.pem")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/news/v1", pem
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("connection", "environment", "trusted"),
    [
        (None, None, False),
        ("own", None, True),
        ("other", None, False),
        (None, "own", True),
        (None, "other", False),
        ("own", "other", True),
        ("other", "own", False),
    ],
)
def test_ca_bundle_of_connection_or_environment_is_trusted(
    https, new_client, waits, monkeypatch, tmp_path, connection, environment, trusted
):
    url, own = https
    bundles = {"own": str(own), "other": str(certificate(tmp_path / "other.pem"))}
    new_client().refresh_token()
    if environment:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundles[environment])
    client = new_client(api_url=url, verify=bundles[connection] if connection else True)
    if trusted:
        client.delete_campaign("cf9eeb30-c1af-11ee-8073-bf4d6e8c1618", missing_ok=True)
    else:
        with pytest.raises(BMConnectError, match=r"certificate is not trusted.*'verify'") as caught:
            client.delete_campaign("cf9eeb30-c1af-11ee-8073-bf4d6e8c1618", missing_ok=True)
        assert caught.value.permanent
    assert waits == []


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_ca_bundle_without_certificates_is_an_error(https, new_client, payload, tmp_path, waits, content):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text(content)
    new_client().refresh_token()
    with pytest.raises(BMConnectError, match="verify") as caught:
        new_client(api_url=https[0], verify=str(wrong)).create_campaign(payload)
    assert caught.value.permanent
