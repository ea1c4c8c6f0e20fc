"""`check`, and `check --contract`."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bm.cli.contract import CHECKS, NOT_TESTED
from airflow_provider_bm.client import assumptions
from tests.support import leaks


def results(done):
    return {row["step"]: (row["result"], row["detail"]) for row in done.json()}


@pytest.fixture
def campaigns(sandbox):
    """Two campaigns, one executed, created a while apart."""
    executed = {"created_dt": "2026-01-01T08:00:00Z", "last_dt": "2026-01-01T08:00:00Z"}
    sandbox.create(name="Storm", status="finished", **executed)
    sandbox.create(name="Frost", status="draft")


def test_everything_works(run, sandbox):
    done = run("check", "-o", "json")
    found = results(done)
    assert done.code == 0
    assert list(found) == ["Connection", "DNS (token)", "TLS (token)", "Token", "Service", "Clock"]
    assert {name for name, (result, _) in found.items() if result == "ok"} == set(found) - {"TLS (token)"}
    assert "FAILED" not in run("check").out


def test_a_wrong_secret(run, sandbox, monkeypatch):
    connection = json.loads(sandbox.connection_json()) | {"password": "wrong-secret"}
    leaks.GUARD.register("wrong-secret")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", json.dumps(connection))
    done = run("check", "-o", "json")
    found = results(done)
    assert done.code == 1
    assert found["Token"][0] == "FAILED"
    assert "Client ID and Client secret" in found["Token"][1]
    assert found["Service"] == ("skipped", "an earlier step failed")
    assert "wrong-secret" not in done.out + done.err


def test_a_service_that_is_not_ours(run, sandbox):
    found = results(run("check", "-o", "json", "--service-uuid", "00000000-0000-4000-8000-000000000000"))
    assert found["Token"][0] == "ok"
    assert found["Service"][0] == "FAILED"
    assert "Service UUID" in found["Service"][1] or "IP address" in found["Service"][1]


def connection(monkeypatch, sandbox, **extra):
    changed = json.loads(sandbox.connection_json())
    changed["extra"] = {**changed["extra"], **extra}
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", json.dumps(changed))


def test_no_server(run, sandbox, monkeypatch):
    url = "https://127.0.0.1:9"
    connection(monkeypatch, sandbox, api_url=f"{url}/news/v1", token_url=f"{url}/oauth2/access-token")
    found = results(run("check", "-o", "json"))
    assert found["DNS (token)"][0] == "ok"
    assert found["TLS (token)"][0] == "FAILED"
    assert "no connection to 127.0.0.1, port 9" in found["TLS (token)"][1]


def test_no_tls_on_the_other_side(run, sandbox, monkeypatch):
    url = sandbox.url.replace("http:", "https:")
    connection(monkeypatch, sandbox, api_url=f"{url}/news/v1", token_url=f"{url}/oauth2/access-token")
    result, detail = results(run("check", "-o", "json"))["TLS (token)"]
    assert result == "FAILED"
    assert detail.startswith("no TLS with")


def test_a_proxy_is_named_without_its_password(run, sandbox, monkeypatch):
    leaks.GUARD.register("proxy-password")
    connection(
        monkeypatch,
        sandbox,
        api_url="https://api.example.com/news/v1",
        token_url="https://accounts.example.com/oauth2/access-token",
        proxies={"https": "http://user:proxy-password@127.0.0.1:9"},
    )
    done = run("check", "-o", "json")
    assert results(done)["DNS (API)"] == (
        "skipped",
        "api.example.com is reached through the proxy 127.0.0.1:9",
    )
    assert "proxy-password" not in done.out


def test_a_clock_that_is_wrong(run, sandbox):
    sandbox.fault(path="campaigns", headers={"Date": "Sat, 28 Nov 2020 12:00:00 GMT"}, times=None)
    done = run("check", "-o", "json")
    result, detail = results(done)["Clock"]
    assert result == "warning"
    assert "ahead of BM's" in detail
    assert done.code == 0


def test_an_incomplete_connection(run, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", json.dumps({"conn_type": "bm", "host": "example.com"}))
    done = run("check")
    assert done.code == 1
    assert "Client ID (login): is missing" in done.out


def test_the_sandbox_is_as_assumed(run, campaigns):
    done = run("check", "--contract", "-o", "json")
    found = results(done)
    assert {name: found[name] for name in CHECKS if found[name][0] != "ok"} == {}
    assert done.code == 0


def test_the_contract_only_reads(run, sandbox, campaigns):
    before = len(sandbox.requests())
    run("check", "--contract")
    methods = {request["method"] for request in sandbox.requests()[before:] if "campaigns" in request["path"]}
    assert methods == {"GET"}


def failed(done):
    return {name: detail for name, (result, detail) in results(done).items() if result == "FAILED"}


@pytest.mark.parametrize(
    ("assumption", "value"),
    [
        ("FILTER_VALUE_SEPARATOR", ";"),
        ("FILTER_WITHOUT_VALUE", "absent"),
        ("SORT_SEPARATOR", ";"),
        ("FIELDS_SEPARATOR", ";"),
        ("PAGE_SIZE", -1),
    ],
)
@pytest.mark.off_contract("one assumption does not hold")
def test_a_wrong_assumption_is_named(run, sandbox, campaigns, monkeypatch, assumption, value):
    monkeypatch.setattr(assumptions, assumption, value)
    done = run("check", "--contract", "-o", "json")
    assert assumption in failed(done), done.out
    assert "this assumption does not hold" in failed(done)[assumption]
    assert done.code == 1


def test_a_server_that_ignores_filters(run, sandbox, campaigns):
    sandbox.ignore_filters = True
    assert "Search by name" in failed(run("check", "--contract", "-o", "json"))


@pytest.mark.parametrize(
    ("fault", "assumption"),
    [
        ({"path": "campaigns/", "status": 400}, "Not found"),
        ({"path": "campaigns", "headers": {"Date": None}}, "Date"),
    ],
)
def test_replies_that_are_not_as_assumed(run, sandbox, campaigns, fault, assumption):
    sandbox.fault("GET", times=None, **fault)
    assert assumption in failed(run("check", "--contract", "-o", "json"))


def test_every_assumption_is_tested_or_explains_why_not():
    constants = {name for name in vars(assumptions) if name.isupper()}
    assert constants <= set(CHECKS) | set(NOT_TESTED)
    assert not set(CHECKS) & set(NOT_TESTED)
