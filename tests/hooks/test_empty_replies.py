"""Of the replies to PUT and PATCH their code is documented (3.4, 3.5): the campaign may be missing."""

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


def prepare(edge, name, reply, *after):
    before, _ = WRITES[name]
    edge.answer("GET", ONE, {"json": campaign(status=before)}, *after)
    edge.answer(CALLS[name].method, ONE, reply)


@pytest.mark.parametrize("reply", NONE)
@pytest.mark.parametrize("name", WRITES)
def test_it_is_read(hook, edge, waits, name, reply):
    _, status = WRITES[name]
    now = campaign(status=status, updated_dt="2026-03-02T12:00:01Z")
    prepare(edge, name, NONE[reply], {"json": now})
    assert CALLS[name].do(hook) == now
    assert [method for method, _ in edge.sent()] == ["GET", CALLS[name].method, "GET"]


def test_a_replacement_is_read_too(hook, edge, waits):
    edge.answer("PUT", ONE, {"status_code": 204})
    edge.answer("GET", ONE, {"json": campaign(status="finished")})
    assert CALLS["replace by an active one"].do(hook)["status"] == "finished"


@pytest.mark.parametrize("name", ["resume", "activate a draft"])
def test_what_is_not_so_is_not_believed(hook, edge, waits, name):
    before, _ = WRITES[name]
    prepare(edge, name, NONE["204"])
    with pytest.raises(BMOutcomeUnknownError, match=f"is {before} instead of active"):
        CALLS[name].do(hook)
    assert len(edge.sent(CALLS[name].method)) == 1


def test_a_stop_that_had_no_effect_is_repeated(hook, edge, waits):
    prepare(edge, "stop", NONE["204"])
    with pytest.raises(BMResponseError, match="is active instead of stopped"):
        CALLS["stop"].do(hook)
    assert len(edge.sent("PATCH")) > 4


@pytest.mark.parametrize("status", [404, 429, 503])
@pytest.mark.parametrize("name", ["resume", "activate a draft", "update an active one"])
def test_if_it_cannot_be_read_nothing_is_sent_again(hook, edge, waits, name, status):
    prepare(edge, name, NONE["204"], {"status_code": status})
    with pytest.raises(BMOutcomeUnknownError, match=f"HTTP {status}"):
        CALLS[name].do(hook)
    assert len(edge.sent(CALLS[name].method)) == 1
