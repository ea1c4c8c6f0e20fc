"""The plugin in a pytest of its own."""

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
    assert OURS == {
        "airflow_provider_bm", "airflow_provider_bm.testing", "airflow_provider_bm.testing.plugin"
    }
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


def test_that_fails(bm_sandbox):
    bm_sandbox.create(name="Storm", status="active", template="Hello")
    urllib.request.urlopen(urllib.request.Request(bm_sandbox.token_url, b"", method="POST"))
"""


def test_the_plugin(run_pytest, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", "bm://the-real-one")

    done = run_pytest(test_it=TESTS)

    assert "1 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    story = re.split("-+ BM sandbox -+\n", done.stdout)[1]
    assert story.startswith(
        "The last requests:\n"
        "  POST /oauth2/access-token: 400, grant_type must be client_credentials.\n"
        "Sent (40):\n"
        "  sms to +41555000000: 'Hello' (Storm)\n"
    )
    assert "'Storm' is finished: executed 1x, 40 of 40 messages sent\n" in story
