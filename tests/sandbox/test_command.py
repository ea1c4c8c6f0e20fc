"""The command ``python -m airflow_provider_bm.sandbox``."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from airflow_provider_bm.sandbox import SandboxClient


def _command(*arguments, **kwargs):
    # The environment of a developer may have proxies and more; the command needs none of it.
    command = [sys.executable, "-m", "airflow_provider_bm.sandbox", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(), **kwargs
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command(number):
    with _command("--port", "0", "--speed", "10", "--execution-seconds", "1") as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        text = "".join(lines)
        connection = json.loads(re.search(r"export AIRFLOW_CONN_BM_DEFAULT='(.*)'", text)[1])
        remote = SandboxClient(connection["extra"]["api_url"].removesuffix("/news/v1"))
        assert remote.health()["status"] == "ok"
        assert remote.connection() == connection
        assert (remote.clock.speed, remote.execution_seconds) == (10, 1)
        assert all(uuid in text for uuid in [remote.service_uuid, *remote.recipient_lists.values()])
        assert "/_sandbox/requests" in text
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_command_with_a_loaded_file_and_contacts(tmp_path):
    contacts, loaded = tmp_path / "mine.csv", tmp_path / "bm.json"
    contacts.write_text("mobile,first_name\n+41790000001,Ada\n")
    loaded.write_text('{"campaigns": [{"name": "Storm "}]}')
    options = ("--load", str(loaded), "--name-policy", "trim", "--recipient-list", f"mine={contacts}")
    with _command("--port", "0", *options) as process:
        remote = SandboxClient(process.stdout.readline().removeprefix("BM sandbox: ").strip())
        assert "mine" in remote.recipient_lists
        assert [campaign["name"] for campaign in remote.campaigns()] == ["Storm"]
        process.terminate()
        assert process.wait(5) == 0
    for invalid, message in (("mine", "NAME=FILE"), (f"mine={contacts}x", "cannot read")):
        with _command("--port", "0", "--recipient-list", invalid) as process:
            assert process.wait(10) == 2
            assert message in process.stderr.read()


def test_command_errors():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with _command("--port", str(taken.getsockname()[1])) as process:
            assert process.wait(10) == 2
            assert "cannot listen" in process.stderr.read()
    with _command("--host", "0.0.0.0") as process:
        assert process.wait(10) == 2
        assert "default client secret is public" in process.stderr.read()
