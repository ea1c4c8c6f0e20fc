"""One test for each assumption about the API that its documentation does not confirm.

The first test fails if an assumption is added without one here.
"""

from __future__ import annotations

import pytest

from airflow_provider_bm.client import assumptions, client, query, session
from airflow_provider_bm.client.responses import Response, token_of
from airflow_provider_bm.exceptions import BMAPIError, BMError, BMOutcomeUnknownError
from airflow_provider_bm.idempotency import verify
from airflow_provider_bm.idempotency.timing import Timing
from airflow_provider_bm.polling import ledger

TESTED = set()


def assumes(name):
    TESTED.add(name)

    def mark(test):
        return test

    return mark


def last_query(sandbox):
    """Query of the last list request, as the sandbox received it."""
    return sandbox.requests("GET", "/campaigns")[-1]["query"]


def test_each_assumption_has_a_test():
    assert {name for name in vars(assumptions) if name.isupper()} == TESTED


@assumes("FILTER_VALUE_SEPARATOR")
def test_several_values_of_a_filter_are_separated_by_commas(sandbox, client, payload):
    for status in ("draft", "stopped", "active"):
        sandbox.create(**payload, status=status, schedule_type="now")
    found = client.list_campaigns(status=["draft", "stopped"])
    assert {campaign["status"] for campaign in found} == {"draft", "stopped"}
    assert last_query(sandbox)["in(status)"] == "draft,stopped"


@assumes("FILTER_WITHOUT_VALUE")
def test_an_operator_without_value_has_true_after_the_equals_sign(sandbox, client, payload):
    sandbox.create(**payload, status="draft")
    assert len(list(client.list_campaigns(filters={"isnull(last_dt)": None}))) == 1
    assert last_query(sandbox)["isnull(last_dt)"] == "true"


@assumes("SORT_SEPARATOR")
def test_columns_of_sort_are_separated_by_commas(sandbox, client, payload):
    for name, status in (("b", "draft"), ("a", "draft"), ("c", "stopped")):
        sandbox.create(**payload | {"name": name}, status=status, schedule_type="now")
    assert [campaign["name"] for campaign in client.list_campaigns(sort=["-status", "name"])] == [
        "c",
        "a",
        "b",
    ]
    assert last_query(sandbox)["sort"] == "-status,name"


@assumes("FIELDS_SEPARATOR")
def test_fields_are_separated_by_commas(sandbox, client, payload):
    sandbox.create(**payload, status="draft")
    (found,) = client.list_campaigns(fields=["tasks", "messages"])
    assert {"tasks", "messages"} <= found.keys()
    assert last_query(sandbox)["fields"] == "tasks,messages"


@assumes("PAGE_SIZE")
def test_100_rows_are_requested_and_perpage_of_the_response_is_used(sandbox, client):
    assert list(client.list_campaigns()) == []
    assert last_query(sandbox)["page_size"] == str(assumptions.PAGE_SIZE) == "100"


@assumes("TOKEN_LIFETIME")
def test_a_token_of_unknown_lifetime_is_used_for_an_hour():
    reply = Response("POST /token", "accounts.example.com", 200, {}, b'{"access_token": "abc"}')
    assert token_of(reply).lifetime == assumptions.TOKEN_LIFETIME == 3600


@assumes("UNKNOWN_OUTCOME_STATUSES")
@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 520, 599, 400, 404, 409, 425, 429])
def test_outcome_is_unknown_after_408_and_5xx(sandbox, client, payload, status):
    sandbox.fault("POST", "campaigns", status=status, times=None)
    unknown = status == 408 or status >= 500
    with pytest.raises(BMOutcomeUnknownError if unknown else BMAPIError) as caught:
        client.create_campaign(payload)
    assert caught.value.status == status
    assert (status in assumptions.UNKNOWN_OUTCOME_STATUSES) is unknown


@assumes("NOT_CARRIED_OUT_STATUSES")
@pytest.mark.parametrize("status", [429, 400, 403, 404, 405, 409, 422, 425, 500])
def test_after_429_any_call_is_repeated(sandbox, client, payload, status):
    sandbox.fault("POST", "campaigns", status=status)
    if status in assumptions.NOT_CARRIED_OUT_STATUSES:
        client.create_campaign(payload)
    else:
        with pytest.raises(BMError):
            client.create_campaign(payload)
    assert {429} == assumptions.NOT_CARRIED_OUT_STATUSES


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 400, 403, 404, 405, 409, 422, 425])
def test_after_408_429_and_5xx_reading_is_repeated(sandbox, client, status):
    sandbox.fault("GET", "campaigns", status=status, times=None)
    with pytest.raises(BMAPIError):
        list(client.list_campaigns())
    repeated = status in (408, 429) or status >= 500
    assert (len(sandbox.requests("GET", "campaigns")) > 4) is repeated


@assumes("TOKEN_REJECTED_STATUS")
def test_token_is_renewed_after_a_401(sandbox, client):
    sandbox.revoke_tokens()
    list(client.list_campaigns())
    sandbox.revoke_tokens()
    list(client.list_campaigns())
    assert [request["status"] for request in sandbox.requests("GET")] == [200, 401, 200]


@assumes("CREATED_DT_RESOLUTION")
def test_a_draft_is_compared_with_others_once_later_ones_have_a_later_created_dt():
    assert Timing().created_dt_resolution == assumptions.CREATED_DT_RESOLUTION > 1


# The decisions are tested in tests/idempotency/test_adoption.py and tests/polling/test_ledger.py.
assumes("CREATED_DT_TOLERANCE")
assumes("MIN_EXECUTION_INTERVAL")


def test_assumptions_are_imported_not_copied():
    assert "CREATED_DT_TOLERANCE" in vars(verify)
    assert "MIN_EXECUTION_INTERVAL" in vars(ledger)
    for module in (client, query, session, verify, ledger):
        for name in TESTED & vars(module).keys():
            assert getattr(module, name) is getattr(assumptions, name)
