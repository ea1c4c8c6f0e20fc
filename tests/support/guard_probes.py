"""Tests that violate a guard. `tests/test_guards.py` runs them and expects each to be caught."""

from __future__ import annotations

import asyncio
import logging
import socket
import urllib.request
import warnings
from contextlib import suppress

import pytest
import requests
import requests_mock
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

from airflow_provider_bm.exceptions import BMConnectError, BMError, BMPayloadError

SECRET = "sandbox-secret"


def test_secret_logged():
    logging.getLogger("airflow_provider_bm.some").debug("login with %s", {"client_secret": SECRET})


def test_secret_logged_by_a_logger_without_propagation():
    logger = logging.getLogger("quiet")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.info("login with %s", SECRET)


def test_secret_logged_by_a_task():
    operator = BaseOperator(task_id="t")
    operator.log.info("login with %s", SECRET)


def test_secret_in_a_traceback_logged():
    try:
        raise ValueError(f"bad credentials {SECRET}")
    except ValueError:
        logging.getLogger("airflow_provider_bm.some").exception("it failed")


def test_secret_in_an_exception():
    with pytest.raises(BMError):
        raise BMPayloadError([], subject=SECRET)


def test_secret_in_the_cause_of_an_exception():
    with pytest.raises(BMError):
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise BMConnectError("no connection") from error


def test_secret_in_an_attribute_of_an_exception():
    error = BMError("no")
    error.request_headers = {"X-Key": SECRET}


def test_secret_in_a_trigger():
    class Trigger(BaseTrigger):
        def serialize(self):
            return "some.Trigger", {"password": SECRET}

        async def run(self):
            await asyncio.sleep(0)
            yield None

    Trigger()


def test_token_of_a_request():
    with requests_mock.Mocker() as mocker:
        mocker.get("http://127.0.0.1/x", text="no")
        requests.get("http://127.0.0.1/x", headers={"Authorization": "Bearer planted-token-1"}, timeout=1)
    logging.getLogger("airflow_provider_bm.some").info("reply: planted-token-1")


def test_secret_of_a_token_request_written_in_base64():
    with requests_mock.Mocker() as mocker:
        mocker.post("http://127.0.0.1/x", text="no")
        requests.post("http://127.0.0.1/x", data={"client_secret": "s&cr=t planted"}, timeout=1)
    logging.getLogger("airflow_provider_bm.some").info("reply: cyZjcj10IHBsYW50ZWQ=")


def test_network_by_socket():
    with suppress(OSError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_network_by_name():
    with suppress(OSError):
        urllib.request.urlopen("http://api.example.com/", timeout=1)


def test_network_by_requests():
    with suppress(requests.ConnectionError):
        requests.get("https://192.0.2.1/", timeout=1)


def test_network_by_asyncio():
    async def connect():
        await asyncio.open_connection("192.0.2.1", 80)

    with suppress(OSError):
        asyncio.run(connect())


def test_deprecated_by_us():
    warnings.warn_explicit("old", DeprecationWarning, "x.py", 1, module="airflow_provider_bm.hooks")
