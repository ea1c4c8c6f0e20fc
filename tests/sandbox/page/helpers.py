"""Requests of the page to its sandbox."""

from __future__ import annotations

import time

import pytest
import requests


def ask(sandbox, name="overview", **parameters):
    reply = requests.get(f"{sandbox.url}/_sandbox/page/{name}", params=parameters, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def names(view):
    return [row["name"] for row in view["rows"]]


def wait_until(true):
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")
