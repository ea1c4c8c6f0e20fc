"""Metrics as a StatsD server receives them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from airflow_provider_bm import metrics


def test_a_statsd_server_on_this_machine_gets_the_counters():
    # Through Airflow's own configuration, in a process of its own.
    code = """
try:
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
except ImportError:
    pass  # before 3.2, Airflow initializes it by itself
from airflow_provider_bm import metrics
from airflow_provider_bm.client.observer import Exchange
metrics.count_campaign("created", {"sending_type": "sms", "name": "private", "uuid": "private"})
metrics.count_poll()
metrics.observe_request(Exchange(method="POST", path="/private", status=201, seconds=0.5))
"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(20)
        environment = os.environ | {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(listener.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        received = ""
        while "airflow.bm.requests.duration" not in received:
            received += listener.recv(1024).decode() + "\n"
    assert "airflow.bm.campaigns.created,sending_type=sms:1|c" in received
    assert "airflow.bm.polls:1|c" in received
    assert "airflow.bm.requests.2xx,method=POST:1|c" in received
    assert "airflow.bm.requests.duration,method=POST:500" in received
    assert "private" not in received


def test_without_stats_nothing_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.common.compat.sdk", None)
    metrics.count_poll()


def test_metrics_never_end_a_task(monkeypatch, caplog):
    class Broken:
        @staticmethod
        def incr(*_, **__):
            raise OSError("no route to host")

    monkeypatch.setattr("airflow.providers.common.compat.sdk.Stats", Broken)
    metrics.count_poll()
    assert "The metric bm.polls could not be sent" in caplog.text


def test_the_documentation_has_all_counters_and_tags():
    page = (Path(__file__).parent.parent / "docs" / "operating.md").read_text()
    rows = re.findall(r"^\| `(bm\.[^`]+)` \|[^|]*\|([^|]*)\|$", page, re.MULTILINE)
    assert {name: tuple(re.findall(r"`(\w+)`", tags)) for name, tags in rows} == metrics.COUNTERS
    assert f"`{metrics.TIMER}`" in page
