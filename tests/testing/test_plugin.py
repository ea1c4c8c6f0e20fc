"""The fixtures and markers of the plugin, in a separate pytest process."""

from __future__ import annotations

import re

TESTS = """
import datetime
import json
import os
import sys
import urllib.request

import pytest

OURS = {name for name in sys.modules if name.startswith("airflow_provider_bm")}
OTHERS = {"airflow", "requests", "dateutil", "sqlite3", "http.server"} & sys.modules.keys()
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_pytest_loads_next_to_nothing_before_a_fixture_is_used():
    guard = {"_loopback", "client", "client.outbound_guard", "exceptions", "_lazy"}
    plugin = {"testing", "testing.plugin"}
    assert OURS == {"airflow_provider_bm"} | {f"airflow_provider_bm.{name}" for name in guard | plugin}
    assert not OTHERS


def test_a_sandbox_and_its_connection(bm_sandbox, bm_connection):
    connection = json.loads(os.environ["AIRFLOW_CONN_BM_DEFAULT"])
    assert connection == bm_sandbox.connection()
    assert bm_connection.conn_id == "bm_default"
    assert bm_connection("bm_other", draft_only=True) == "bm_other"
    assert json.loads(os.environ["AIRFLOW_CONN_BM_OTHER"])["extra"]["draft_only"] is True
    assert bm_sandbox.execution_seconds == 0
    assert urllib.request.urlopen(bm_sandbox.url + "/_sandbox/health").status == 200
    bm_sandbox.create()


def test_the_next_one_is_empty_and_connections_are_as_before(bm_sandbox):
    assert bm_sandbox.campaigns() == []
    assert os.environ["AIRFLOW_CONN_BM_DEFAULT"] == "bm://the-real-one"
    assert "AIRFLOW_CONN_BM_OTHER" not in os.environ


@pytest.mark.bm_sandbox(start=START, execution_seconds=7)
def test_the_marker(bm_sandbox):
    assert bm_sandbox.execution_seconds == 7
    assert bm_sandbox.clock.now() - START < datetime.timedelta(minutes=10)


@pytest.mark.bm_sandbox(execution_seconds=7, speed=2)
class TestMarkers:
    @pytest.mark.bm_sandbox(speed=3)
    def test_the_nearest_wins(self, bm_sandbox):
        assert (bm_sandbox.execution_seconds, bm_sandbox.clock.speed) == (7, 3)


@pytest.mark.bm_sandbox(7)
def test_that_errs_by_position(bm_sandbox):
    pass


@pytest.mark.bm_sandbox(execution_second=7)
def test_that_errs_by_name(bm_sandbox):
    pass


@pytest.mark.bm_sandbox(start="2026-01-01")
def test_that_errs_with_a_text(bm_sandbox):
    pass


@pytest.mark.bm_sandbox(speed=0)
def test_that_errs_with_no_speed(bm_sandbox):
    pass


def call_other_server():
    from airflow_provider_bm.client import BMClient, BMSettings

    urls = dict(api_url="https://bm.invalid/news/v1", token_url="https://bm.invalid/oauth2/access-token")
    BMClient(BMSettings(**urls, client_id="id", client_secret="secret")).refresh_token()


def test_no_other_machine_is_called_without_any_fixture():
    from airflow_provider_bm.exceptions import BMHeldError

    with pytest.raises(BMHeldError, match="POST https://bm.invalid/oauth2/access-token was not sent"):
        call_other_server()
    assert os.environ["AIRFLOW_PROVIDER_BM_ALLOW_ONLY"] == "loopback"


def test_mocks_are_called():
    import requests_mock

    with requests_mock.Mocker() as mock:
        mock.post("https://bm.invalid/oauth2/access-token", json={"access_token": "t", "expires_in": 60})
        call_other_server()


@pytest.mark.bm_live
def test_every_server_may_be_called():
    from airflow_provider_bm.exceptions import BMConnectError

    with pytest.raises(BMConnectError):
        call_other_server()
    assert "AIRFLOW_PROVIDER_BM_ALLOW_ONLY" not in os.environ


def test_faults_that_may_hit_nothing(bm_sandbox):
    bm_sandbox.fault(status=503, probability=0.1)
    bm_sandbox.fault("PUT", status=503)
    assert "  PUT status=503: 0 hit of 0 that matched" in bm_sandbox.report()
    bm_sandbox.clear_faults()


def test_that_errs_since_a_fault_hit_nothing(bm_sandbox):
    bm_sandbox.fault("GET", "campaigns", status=503, nth=2)


def test_that_fails_by_another_way(request):
    assert request.getfixturevalue("bm_sandbox").campaigns()


@pytest.fixture
def nothing_was_sent(bm_sandbox):
    yield
    bm_sandbox.assert_sent(count=1)


def test_that_errs_at_its_end(nothing_was_sent):
    pass


def test_that_fails(bm_sandbox):
    bm_sandbox.create(name="Storm", status="active", template="Hello")
    urllib.request.urlopen(urllib.request.Request(bm_sandbox.token_url, b"", method="POST"))
"""


def test_the_plugin(run_pytest, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", "bm://the-real-one")

    done = run_pytest(test_it=TESTS)

    assert "2 failed, 11 passed, 6 errors" in done.stdout, done.stdout + done.stderr
    for message in (
        "marker bm_sandbox: takes arguments by name, such as execution_seconds=10, not 7",
        "marker bm_sandbox: has no argument execution_second; the arguments are port, host, ",
        "marker bm_sandbox: start must be a datetime with a time zone, such as ",
        "marker bm_sandbox: speed must be more than 0",
        "no call was hit by GET campaigns status=503 nth=2 times=1 (0 calls matched)",
    ):
        assert f"\n{message}" in done.stdout or f"but {message}" in done.stdout, f"{message}\n\n{done.stdout}"
    reports = re.split("-+ BM sandbox -+\n", done.stdout)[1:]
    assert len(reports) == 4
    assert reports[-1].startswith(
        "The last requests:\n"
        "  POST /oauth2/access-token: 400, grant_type must be client_credentials.\n"
        "Sent (40):\n"
        "  sms to +41555000000: 'Hello' (Storm)\n"
    )
    assert "'Storm' is finished: executed 1x, 40 of 40 messages sent\n" in reports[-1]
