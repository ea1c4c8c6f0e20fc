"""The client against the sandbox over real sockets: requests and sent messages are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.settings import LATEST_REPLAY
from airflow_provider_bm.exceptions import (
    BMBadRequestError,
    BMCampaignStateError,
    BMConflictError,
    BMConnectError,
    BMForbiddenError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMRateLimitError,
    BMResponseError,
    BMServerError,
    BMTimeoutError,
    BMTransportError,
)
from tests.client.conftest import settings_for

STAFF = 40
LATER = {"schedule_rrule": "2099-05-01 17:05:00"}
#: Faults of requests that the server processes, and of requests that it does not.
APPLIED = {
    "lost": {"lose_reply": True},
    "cut off": {"truncate": True},
    "garbage": {"garbage": True},
    "late": {"delay_after": 1.0},
    "gateway time-out": {"status": 504, "apply": True},
    "HTML": {"html": True, "apply": True},
    "HTML with 200": {"html": True, "status": 200, "apply": True},
    "wrong shape": {"body": []},
    "redirect": {"status": 303, "headers": {"Location": "/elsewhere"}, "apply": True},
}
NOT_APPLIED = {"dropped": {"drop": True}, "unavailable": {"status": 503}}
KNOWN = {
    400: BMBadRequestError, 403: BMForbiddenError, 404: BMNotFoundError, 405: BMBadRequestError,
    409: BMConflictError, 422: BMBadRequestError, 429: BMRateLimitError,
}  # fmt: skip


def sent(sandbox) -> int:
    """Return all messages, after every campaign has finished."""
    sandbox.clock.advance(60)
    return len(sandbox.messages())


@pytest.fixture
def impatient_client(new_client):
    return new_client(timeout=0.4)


@pytest.mark.parametrize("fault", APPLIED | NOT_APPLIED)
def test_a_created_campaign_is_sent_once_at_the_most(sandbox, impatient_client, waits, payload, fault):
    sandbox.fault("POST", "campaigns", **(APPLIED | NOT_APPLIED)[fault])
    with pytest.raises(BMOutcomeUnknownError, match="'Storm' may exist") as caught:
        impatient_client.create_campaign(payload)
    assert caught.value.name == "Storm"
    assert len(sandbox.requests("POST", "campaigns")) == 1
    assert len(sandbox.campaigns()) == (fault in APPLIED)
    assert sent(sandbox) == STAFF * (fault in APPLIED)
    assert waits == []


@pytest.mark.parametrize("fault", APPLIED)
@pytest.mark.parametrize("before", ["draft", "stopped"])
def test_a_started_campaign_is_sent_once_at_the_most(sandbox, impatient_client, payload, fault, before):
    uuid = sandbox.create(**payload, status=before, schedule_type="now")["uuid"]
    method = "PUT" if before == "draft" else "PATCH"
    sandbox.fault(method, uuid, **APPLIED[fault])
    with pytest.raises(BMOutcomeUnknownError, match=f"campaign {uuid} 'Storm' may be active"):
        impatient_client.set_campaign_status(uuid, "active")
    assert len(sandbox.requests(method)) == 1
    assert sent(sandbox) <= STAFF


@pytest.mark.parametrize("status", KNOWN)
def test_a_refused_create_sends_nothing(sandbox, client, waits, payload, status):
    sandbox.fault("POST", "campaigns", status=status, times=None)
    with pytest.raises(KNOWN[status]) as caught:
        client.create_campaign(payload)
    assert caught.value.status == status
    assert (len(sandbox.requests("POST", "campaigns")), sent(sandbox)) == (len(waits) + 1, 0)
    assert (len(waits) > 0) is (status == 429)


def test_too_many_creates_at_once_are_each_sent_once(sandbox, client, waits, payload):
    sandbox.fault("POST", "campaigns", times=2, status=429)
    client.create_campaign(payload)
    assert [request["status"] for request in sandbox.requests("POST", "campaigns")] == [429, 429, 201]
    assert sent(sandbox) == STAFF


def test_a_revoked_token_sends_once(sandbox, client, payload):
    list(client.list_campaigns())
    sandbox.revoke_tokens()
    client.create_campaign(payload)
    assert [request["status"] for request in sandbox.requests("POST", "campaigns")] == [401, 201]
    assert sent(sandbox) == STAFF


@pytest.mark.parametrize("stage", [{"delay": 1.0}, {"drop": True}])
def test_missing_token_is_not_an_unknown_outcome(sandbox, impatient_client, payload, stage):
    sandbox.fault("POST", "access-token", times=None, **stage)
    with pytest.raises(BMTransportError) as caught:
        impatient_client.create_campaign(payload)
    assert caught.value.of_token
    assert (len(sandbox.requests("POST", "campaigns")), sandbox.campaigns()) == (0, [])


def test_refused_connection_is_repeated_for_a_minute(sandbox, client, waits, payload):
    list(client.list_campaigns())
    sandbox.stop()
    with pytest.raises(BMConnectError, match=f"no connection to 127.0.0.1:{sandbox.port}.*refused"):
        client.create_campaign(payload)
    assert all(wait <= LATEST_REPLAY for wait in waits)
    waits.clear()
    with pytest.raises(BMConnectError):
        list(client.list_campaigns())
    assert 30 < sum(waits) < 60


READS = {
    "dropped": ({"drop": True}, BMTransportError), "lost": ({"lose_reply": True}, BMTransportError),
    "cut off": ({"truncate": True}, BMTransportError), "garbage": ({"garbage": True}, BMResponseError),
    "HTML": ({"html": True}, BMServerError),
    "HTML with 200": ({"html": True, "status": 200}, BMResponseError),
    "late": ({"delay": 1.0}, BMTimeoutError), "wrong shape": ({"body": [1]}, BMResponseError),
    "limited": ({"status": 429, "headers": {"Retry-After": "2"}}, BMRateLimitError),
    "broken": ({"status": 500}, BMServerError),
}  # fmt: skip


@pytest.mark.parametrize("fault", READS)
@pytest.mark.parametrize("times", [2, None])
def test_reads_are_repeated_after_transient_errors(sandbox, impatient_client, waits, payload, fault, times):
    uuid = sandbox.create(**payload, status="draft")["uuid"]
    effect, error = READS[fault]
    sandbox.fault("GET", uuid, times=times, **effect)
    if times:
        assert impatient_client.get_campaign(uuid)["uuid"] == uuid
    else:
        with pytest.raises(error) as caught:
            impatient_client.get_campaign(uuid)
        assert type(caught.value) is error
    assert len(sandbox.requests("GET", uuid)) == len(waits) + 1
    assert len(waits) == 2 if times else 30 < sum(waits) < 60


@pytest.mark.parametrize("fault", sorted({**APPLIED, **NOT_APPLIED}.keys() - {"redirect", "wrong shape"}))
def test_delete_stop_and_a_draft_are_repeated_until_done(sandbox, impatient_client, payload, fault):
    effect = (APPLIED | NOT_APPLIED)[fault]
    first, second = (
        sandbox.create(**payload, **LATER, status="active", schedule_type="once")["uuid"] for _ in "12"
    )
    for method in ("PATCH", "DELETE", "PUT"):
        sandbox.fault(method, **effect)
    assert impatient_client.set_campaign_status(first, "stopped")["status"] == "stopped"
    assert impatient_client.update_campaign(second, {"status": "stopped", "name": "Gale"})["name"] == "Gale"
    impatient_client.delete_campaign(first)
    assert [each["name"] for each in sandbox.campaigns()] == ["Gale"]
    # A 204 has no body that could be invalid or truncated.
    for method in ("PATCH", "PUT"):
        assert len(sandbox.requests(method)) == 2
    with pytest.raises(BMNotFoundError):
        impatient_client.delete_campaign(first)


def test_life_cycle_of_a_campaign(sandbox, client, payload):
    created = client.create_campaign(payload | {"status": "draft", "template": "It is {temp}, {first_name}"})
    assert client.get_campaign(created["uuid"])["status"] == "draft"
    assert client.update_campaign(created["uuid"], {"name": "Gale"})["name"] == "Gale"
    clone = client.clone_campaign(created["uuid"], template_vars={"temp": -22}, status="draft", name="Now")
    assert sent(sandbox) == 0
    client.set_campaign_status(clone["uuid"], "active")
    assert sent(sandbox) == STAFF
    assert all(message["text"].startswith("It is -22, ") for message in sandbox.messages())
    assert client.get_campaign(clone["uuid"])["status"] == "finished"
    client.set_campaign_status(created["uuid"], "active")
    client.delete_campaign(clone["uuid"])
    assert [each["name"] for each in client.list_campaigns()] == ["Gale"]
    assert sent(sandbox) == 2 * STAFF


def test_draft_only_connection_sends_no_messages(sandbox, new_client, payload):
    client = new_client(draft_only=True)
    created = client.create_campaign(payload)
    client.clone_campaign(created["uuid"])
    client.update_campaign(created["uuid"], {"status": "active"})
    assert [each["status"] for each in sandbox.campaigns()] == ["draft"] * 2
    assert sent(sandbox) == 0


def test_list_continues_with_the_page_size_of_the_server(sandbox, client, payload):
    for number in range(230):
        sandbox.create(**payload | {"name": f"{number:03}"}, status="draft")
    found = [campaign["name"] for campaign in client.list_campaigns(page_size=5000, sort="name")]
    assert found == [f"{number:03}" for number in range(230)]
    sizes = [
        (request["query"]["page_number"], request["query"]["page_size"])
        for request in sandbox.requests("GET")
    ]
    assert sizes == [("1", "5000"), ("2", "100"), ("3", "100")]
    names = client.list_campaigns(filters={"startswith(name)": "22", "status": ["draft", "active"]})
    assert len(list(names)) == 10


def test_a_rate_limit_is_waited_for(sandbox, client, waits):
    sandbox.rate_limit(0, retry_after="Fri, 01 Jan 2100 00:00:00 GMT")
    with pytest.raises(BMRateLimitError, match="retry after") as caught:
        list(client.list_campaigns())
    assert caught.value.retry_after > 10**9
    assert (len(sandbox.requests("GET")), waits) == (1, [])


def test_session_repeats_nothing(sandbox, client, payload):
    sandbox.fault("POST", "campaigns", times=None, lose_reply=True)
    url = f"{sandbox.api_url}/services/{sandbox.service_uuid}/campaigns"
    with pytest.raises(OSError, match=r".*"):
        client.session.post(url, json=payload | {"status": "active", "schedule_type": "now"})
    assert len(sandbox.requests("POST", "campaigns")) == 1


def test_close_ends_the_connections(sandbox):
    client = BMClient(settings_for(sandbox))
    list(client.list_campaigns())
    client.close()
    list(client.list_campaigns())
    assert [request["connection"] for request in sandbox.requests("GET")] == [1, 2]
    client.close()


@pytest.mark.parametrize("schedule", [{}, {"schedule_rrule": "2026-01-05T08:00:00Z"}], ids=["now", "once"])
def test_a_draft_that_was_executed_before_is_not_activated_again(sandbox, client, payload, schedule):
    sandbox.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    uuid = client.create_campaign(payload | schedule)["uuid"]
    sandbox.clock.set(datetime(2026, 1, 6, tzinfo=UTC))
    assert sent(sandbox) == STAFF
    client.update_campaign(uuid, {"status": "draft"})
    for call in (
        lambda: client.set_campaign_status(uuid, "active"),
        lambda: client.update_campaign(uuid, {"status": "active"}),
        lambda: client.activate_draft(client.get_campaign(uuid)),
    ):
        with pytest.raises(
            BMCampaignStateError, match=rf"{uuid} 'Storm' is a draft that was executed before"
        ):
            call()
    assert client.get_campaign(uuid)["status"] == "draft"
    client.update_campaign(uuid, {"status": "active", "schedule_type": "now"}, allow_second_execution=True)
    sandbox.clock.advance(60)
    assert sent(sandbox) == 2 * STAFF


def test_update_returns_untouched_fields_unchanged(sandbox, client, payload):
    fields = payload | {"schedule_type": "scheduled", "schedule_rrule": "FREQ=DAILY;BYHOUR=8;"}
    uuid = sandbox.create(**fields, status="draft")["uuid"]
    client.update_campaign(uuid, {"name": "Gale"})
    client.set_campaign_status(uuid, "active")
    first, second = sandbox.requests("PUT")
    assert first["body"]["schedule_rrule"] == second["body"]["schedule_rrule"] == "FREQ=DAILY;BYHOUR=8;"
    assert (first["body"]["name"], first["body"]["template"]) == ("Gale", payload["template"])


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("Sat, 01 Jan 10000 00:00:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("yesterday", None),
        ("Mon, 05 Jan 2026 12:00:00 GMT", datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("Mon, 05 Jan 2026 13:00:00 +0100", datetime(2026, 1, 5, 12, tzinfo=UTC)),
    ],
)
def test_server_time_is_that_of_a_plausible_date_header(sandbox, client, date, offset):
    assert client.server_now() is None
    sandbox.fault("GET", "campaigns", status=400, headers={"Date": date}, times=None)
    with pytest.raises(BMBadRequestError):
        list(client.list_campaigns())
    now = client.server_now()
    if offset is None:
        assert now is None
        assert client.clock_ahead == timedelta(0)
    else:
        assert timedelta(0) <= now - offset < timedelta(minutes=1)


@pytest.mark.parametrize("skew", [-7200, 0, 7200])
def test_a_date_in_retry_after_is_compared_with_the_responses_own_date(sandbox, client, waits, skew):
    there = datetime.now(UTC) + timedelta(seconds=skew)
    headers = {"Date": format_datetime(there, usegmt=True)}
    headers["Retry-After"] = format_datetime(there + timedelta(seconds=20), usegmt=True)
    sandbox.fault("GET", "campaigns", status=429, headers=headers)
    assert list(client.list_campaigns()) == []
    assert 20 <= waits[0] <= 20.2


def test_outage_of_20_seconds_does_not_fail_the_call(sandbox):
    """Requests whose connection was refused are repeated as long as reads are."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > 20:
            raise InterruptedError  # the server is up again

    client = BMClient(settings_for(sandbox, api_url="http://127.0.0.1:9/news/v1"), sleep=sleep)
    with pytest.raises(InterruptedError):
        client.get_campaign("cf9eeb30-c1af-11ee-8073-bf4d6e8c1618")


@pytest.mark.parametrize(("method", "status"), [("PATCH", "stopped"), ("PUT", "draft")])
def test_a_server_that_does_not_change_the_status_is_an_error(
    sandbox, impatient_client, payload, method, status
):
    """It answers 200 with an active campaign, whose messages still go out."""
    current = sandbox.create(**payload, **LATER, status="active", schedule_type="once")
    sandbox.fault(method, times=99, status=200, body=current)
    write: Any = impatient_client.update_campaign
    change: Any = {"status": status}
    if method == "PATCH":
        write, change = impatient_client.set_campaign_status, status
    with pytest.raises(BMResponseError, match=f"is active instead of {status}") as caught:
        write(current["uuid"], change)
    assert current["uuid"] in str(caught.value)
