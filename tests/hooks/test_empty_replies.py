"""Responses to PUT and PATCH may lack the campaign: only their status is documented (3.4, 3.5)."""

from __future__ import annotations

import pytest

from airflow_provider_bm.exceptions import BMOutcomeUnknownError, BMResponseError
from tests.hooks.http_stub import CALLS, ONE, campaign

NONE = {
    "204": {"status_code": 204},
    "empty": {"text": ""},
    "null": {"json": None},
    "status only": {"json": {"status": "stopped"}},
    "message": {"json": {"message": "Campaign status changed."}},
}
WRITES = {
    "stop": ("active", "stopped"),
    "resume": ("stopped", "active"),
    "activate a draft": ("draft", "active"),
    "update a draft": ("draft", "draft"),
    "update an active one": ("active", "active"),
}


def prepare(http_stub, name, reply, *after):
    before, _ = WRITES[name]
    http_stub.answer("GET", ONE, {"json": campaign(status=before)}, *after)
    http_stub.answer(CALLS[name].method, ONE, reply)


@pytest.mark.parametrize("reply", NONE)
@pytest.mark.parametrize("name", WRITES)
def test_campaign_is_read_if_the_response_lacks_it(hook, http_stub, waits, name, reply):
    _, status = WRITES[name]
    now = campaign(status=status, updated_dt="2026-03-02T12:00:01Z")
    prepare(http_stub, name, NONE[reply], {"json": now})
    assert CALLS[name].do(hook) == now
    assert [method for method, _ in http_stub.sent()] == ["GET", CALLS[name].method, "GET"]


def test_replaced_campaign_is_read_if_the_response_lacks_it(hook, http_stub, waits):
    http_stub.answer("PUT", ONE, {"status_code": 204})
    http_stub.answer("GET", ONE, {"json": campaign(status="finished")})
    assert CALLS["replace by an active one"].do(hook)["status"] == "finished"


@pytest.mark.parametrize("name", ["resume", "activate a draft"])
def test_stop_without_effect_is_an_error(hook, http_stub, waits, name):
    before, _ = WRITES[name]
    prepare(http_stub, name, NONE["204"])
    with pytest.raises(BMOutcomeUnknownError, match=f"is {before} instead of active"):
        CALLS[name].do(hook)
    assert len(http_stub.sent(CALLS[name].method)) == 1


def test_a_stop_that_had_no_effect_is_repeated(hook, http_stub, waits):
    prepare(http_stub, "stop", NONE["204"])
    with pytest.raises(BMResponseError, match="is active instead of stopped"):
        CALLS["stop"].do(hook)
    assert len(http_stub.sent("PATCH")) > 4


@pytest.mark.parametrize("status", [404, 429, 503])
@pytest.mark.parametrize("name", ["resume", "activate a draft", "update an active one"])
def test_write_is_not_repeated_if_the_campaign_cannot_be_read(hook, http_stub, waits, name, status):
    prepare(http_stub, name, NONE["204"], {"status_code": status})
    with pytest.raises(BMOutcomeUnknownError, match=f"HTTP {status}"):
        CALLS[name].do(hook)
    assert len(http_stub.sent(CALLS[name].method)) == 1
