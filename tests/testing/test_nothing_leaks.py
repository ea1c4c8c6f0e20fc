"""Tests with the plugin only call their sandbox, whatever connections the machine has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from airflow_provider_bm.sandbox import Sandbox

TESTS = '''
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseHook

from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.operators import BMCreateCampaignOperator

START = datetime(2026, 1, 1, tzinfo=UTC)
CHILD = """
from airflow_provider_bm.client import BMClient, BMSettings
settings = dict(api_url={!r}, token_url={!r}, client_id="sandbox", client_secret="sandbox-secret")
BMClient(BMSettings(**settings)).refresh_token()
"""


def dag_of(conn_id, **arguments):
    with DAG(f"send_by_{conn_id}", schedule=None, start_date=START) as dag:
        BMCreateCampaignOperator(
            task_id="send",
            bm_conn_id=conn_id,
            name="Storm",
            sending_type="sms",
            template="Storm ahead.",
            sender="+41587000000",
            recipient_lists="d326d5d5-7ed4-5580-b947-541396b642f8",
            wait_for_completion=True,
            poke_interval=1,
            **arguments,
        )
    return dag


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_fixture_wins_over_a_secrets_backend(bm_sandbox, bm_run_dag, deferrable):
    bm_run_dag(dag_of("bm_default", deferrable=deferrable))
    bm_sandbox.assert_sent(campaign="Storm", count=40)


def test_another_connection_to_the_sandbox(bm_sandbox, bm_connection, bm_run_dag):
    bm_connection("bm_marketing")
    bm_run_dag(dag_of("bm_marketing"))
    bm_sandbox.assert_sent(count=40)


def test_child_processes_may_not_call_other_servers(bm_sandbox):
    for url, ended in ((bm_sandbox.url, 0), (os.environ["REAL_URL"], 1)):
        code = CHILD.format(f"{url}/news/v1", f"{url}/oauth2/access-token")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == ended, done.stderr
    assert "BMHeldError" in done.stderr


def test_that_fails_since_its_connection_is_not_to_the_sandbox(bm_run_dag):
    bm_run_dag(dag_of("bm_marketing", retries=3))


def test_that_errs_although_a_failed_run_is_expected(bm_run_dag):
    bm_run_dag(dag_of("bm_marketing"), expect="failed")


def test_that_errs_although_the_error_is_caught(bm_sandbox):
    with pytest.raises(Exception, match="was not sent"):
        next(BMHook("bm_marketing").list_campaigns())


def test_connections_are_restored():
    for conn_id in ("bm_default", "bm_marketing", "bm_secret"):
        assert BaseHook.get_connection(conn_id).login == "the-real-one"
'''


@pytest.fixture
def real() -> Iterator[Sandbox]:
    """A sandbox in place of the real BM."""
    with Sandbox(client_id="the-real-one") as real:
        yield real


def test_only_the_sandbox_is_called(run_pytest, real, monkeypatch, tmp_path):
    connections = dict.fromkeys(("bm_default", "bm_secret"), real.connection())
    (tmp_path / "secrets.json").write_text(json.dumps(connections))
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    arguments = {"connections_file_path": str(tmp_path / "secrets.json")}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(arguments))
    monkeypatch.setenv("REAL_URL", real.url)
    # The database that Airflow is configured with, in which a scheduler might find the runs of tests.
    configured = tmp_path / "airflow.db"
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{configured}")
    monkeypatch.setenv("AIRFLOW_CONN_BM_MARKETING", real.connection_json())

    done = run_pytest("--show-capture=no", test_it=TESTS)

    assert real.requests() == []
    assert not configured.exists()
    assert re.search("1 failed, 7 passed,.* 2 errors", done.stdout), done.stdout + done.stderr
    message = (
        f"POST {real.token_url} was not sent: a test may only call its sandbox. Point the connection "
        "'bm_marketing' to it with bm_connection('bm_marketing')."
    )
    assert f"  send: AirflowFailException: {message}" in done.stdout, done.stdout
    assert done.stdout.count(f"\nThe test has passed, but {message}") == 2, done.stdout
