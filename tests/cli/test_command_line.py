"""The commands as processes: `python -m airflow_provider_bm`, and `airflow bm`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.airflow_env import airflow_version

HAS_CLI_ENTRY = tuple(map(int, airflow_version().split(".")[:2])) >= (3, 2)
MODULE = [sys.executable, "-m", "airflow_provider_bm"]
AIRFLOW = [str(Path(sys.executable).with_name("airflow")), "bm"]

#: Each takes some ten seconds.
pytestmark = pytest.mark.slow
needs_entry = pytest.mark.skipif(not HAS_CLI_ENTRY, reason="Airflow takes commands of providers from 3.2 on")


def execute(*command: str) -> subprocess.CompletedProcess[str]:
    # At DEBUG, Airflow itself logs to standard output before it runs a command.
    environment = {**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.mark.parametrize("command", [MODULE, pytest.param(AIRFLOW, marks=needs_entry)])
def test_standard_output_is_only_the_json(sandbox, command):
    campaign = sandbox.create(name="Storm")
    done = execute(*command, "list", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert [each["uuid"] for each in json.loads(done.stdout)] == [campaign["uuid"]]


@needs_entry
def test_exit_codes_of_airflow_bm(sandbox, tmp_path):
    assert execute(*AIRFLOW, "list", "--conn-id", "nowhere").returncode == 1
    file = tmp_path / "storm.py"
    recipients = sandbox.recipient_lists["staff"]
    file.write_text(
        "from airflow.providers.common.compat.sdk import DAG\n"
        "from airflow_provider_bm.operators import BMCreateCampaignOperator\n"
        "print('parsing')\n"
        "with DAG('storm', schedule=None):\n"
        "    BMCreateCampaignOperator(task_id='send', name='Storm', sending_type='sms', template='x',\n"
        f"        sender='+41587000000', recipient_lists='{recipients}')\n"
    )
    done = execute(*AIRFLOW, "preview", "storm", "-S", str(file), "-o", "json")
    assert done.returncode == 2, done.stderr
    assert [plan["result"] for plan in json.loads(done.stdout)] == ["would be sent"]
    assert sandbox.campaigns() == []


def test_help_needs_no_connection():
    done = execute(*MODULE, "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("check", "list", "stop", "preview"))


def test_connections_of_the_database_are_found(run, airflow_db):
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Connection(conn_id="bm_stored", conn_type="bm", host="example.com", login="me"))
    done = run("list", "--conn-id", "bm_stored")
    assert "Connection 'bm_stored', Client secret (password): is missing" in done.err
