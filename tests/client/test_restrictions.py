"""The session refuses every request that the restrictions of the connection do not allow."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
import requests

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.client.restrictions import Restrictions
from airflow_provider_bm.exceptions import BMDraftOnlyError, BMPolicyError, BMResponseError

OTHER = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"


def posts(sandbox):
    return sandbox.requests("POST", "/campaigns")


def window(*, is_open):
    """A send window that is open, or closed, for the next hours."""
    hour = datetime.now(UTC).hour
    start, end = (hour - 2, hour + 3) if is_open else (hour + 3, hour + 6)
    return SendWindow(f"{start % 24:02}:00", f"{end % 24:02}:00")


@pytest.mark.parametrize("allowed", [(), (OTHER,)])
@pytest.mark.parametrize("status", ["active", "draft"])
def test_other_recipient_lists_are_refused(sandbox, new_client, payload, allowed, status):
    client = new_client(allowed_recipient_lists=allowed)
    with pytest.raises(BMPolicyError, match=r"'Storm'.*allowed_recipient_lists does not contain") as caught:
        client.create_campaign(payload | {"status": status})
    assert sandbox.recipient_lists["staff"] in str(caught.value)
    assert caught.value.permanent
    assert posts(sandbox) == []


def test_allowed_recipient_lists_are_sent(sandbox, new_client, payload):
    client = new_client(allowed_recipient_lists=(OTHER, sandbox.recipient_lists["staff"]))
    assert client.create_campaign(payload)["status"] == "active"


def test_a_draft_for_another_list_is_not_activated(sandbox, new_client, payload):
    uuid = sandbox.create(**payload, status="draft")["uuid"]
    with pytest.raises(BMPolicyError, match="allowed_recipient_lists"):
        new_client(allowed_recipient_lists=(OTHER,)).set_campaign_status(uuid, "active")
    assert sandbox.campaigns()[0]["status"] == "draft"


def test_a_stopped_campaign_for_another_list_is_not_resumed(sandbox, new_client, payload):
    uuid = sandbox.create(**payload, status="stopped", schedule_type="now")["uuid"]
    client = new_client(allowed_recipient_lists=(OTHER,))
    with pytest.raises(BMPolicyError, match=r"'Storm' was not resumed: allowed_recipient_lists"):
        client.set_campaign_status(uuid, "active")
    assert client.set_campaign_status(uuid, "stopped")["status"] == "stopped"


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"[]",
        b"",
        f'{{"recipient_lists": "{OTHER}", "recipient_lists": "x", "status": "draft"}}'.encode(),
        f'{{"recipient_lists": ["{OTHER}", "x"], "status": "draft"}}'.encode(),
        f'{{"recipient_lists": "{OTHER}, x", "status": "draft"}}'.encode(),
        b'{"recipient_lists": {}, "status": "draft"}',
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_session_refuses_bodies_that_it_cannot_check(sandbox, new_client, method, body):
    client = new_client(allowed_recipient_lists=(OTHER,))
    with pytest.raises(BMPolicyError, match="recipient_lists"):
        client.session.request(method, client.list_url, data=body)
    assert sandbox.requests(method, "/campaigns") == []


def test_nothing_is_sent_in_a_closed_window(sandbox, new_client, payload):
    client = new_client(send_window=window(is_open=False))
    uuid = sandbox.create(**payload, status="stopped", schedule_type="now")["uuid"]
    clone = {"clone_uuid": uuid, "status": "active"}
    for call in (
        lambda: client.create_campaign(payload),
        lambda: client.clone_campaign(uuid),
        lambda: client.set_campaign_status(uuid, "active"),
        lambda: client.session.post(client.list_url, json=clone),
    ):
        with pytest.raises(BMPolicyError, match=r"outside the connection's send_window, .* next opens at"):
            call()
    assert posts(sandbox) == []
    assert client.create_campaign(payload | {"status": "draft"})["status"] == "draft"


def test_schedule_must_execute_within_the_window(sandbox, new_client, payload):
    now = datetime.now(UTC)
    closed, open_ = (
        new_client(send_window=window(is_open=False)),
        new_client(send_window=window(is_open=True)),
    )
    at = {"schedule_rrule": (now.replace(minute=30) + timedelta(hours=4)).isoformat()}
    assert closed.create_campaign(payload | at)["status"] == "active"
    assert open_.create_campaign(payload)["status"] == "active"
    for schedule in (at, {"schedule_rrule": "FREQ=HOURLY"}):
        with pytest.raises(BMPolicyError, match="outside"):
            open_.create_campaign(payload | schedule)


def test_campaigns_of_the_past_hour_are_counted(sandbox, new_client, payload):
    client = new_client(max_campaigns_per_hour=2)
    for status in ("draft", "draft", "active"):
        client.create_campaign(payload | {"status": status})
    assert client.create_campaign(payload)["status"] == "active"
    draft = client.create_campaign(payload | {"status": "draft"})
    for call in (
        lambda: client.create_campaign(payload),
        lambda: client.set_campaign_status(draft["uuid"], "active"),
        lambda: client.session.post(client.list_url, json=payload | {"schedule_type": "now"}),
    ):
        with pytest.raises(BMPolicyError, match=r"2 campaigns .* past hour, .*max_campaigns_per_hour is 2"):
            call()
    sandbox.clock.advance(3601)
    assert client.create_campaign(payload)["status"] == "active"


def test_a_limit_of_0_sends_nothing(new_client, payload):
    with pytest.raises(BMPolicyError, match="max_campaigns_per_hour is 0"):
        new_client(max_campaigns_per_hour=0).create_campaign(payload)


def test_nothing_is_sent_if_the_campaigns_cannot_be_counted(sandbox, new_client, payload):
    sandbox.fault("GET", "campaigns", status=403)
    with pytest.raises(Exception, match="403"):
        new_client(max_campaigns_per_hour=5).create_campaign(payload)
    assert posts(sandbox) == []


def test_a_list_that_is_not_sorted_is_counted_to_the_end(sandbox, new_client, payload, monkeypatch):
    for _ in range(3):
        sandbox.create(**payload, status="stopped", schedule_type="now")
        sandbox.clock.advance(3000)
    client = new_client(max_campaigns_per_hour=2)
    pages = client.list_pages
    monkeypatch.setattr(client, "list_pages", lambda params, **kwargs: pages([], **kwargs))
    assert client.create_campaign(payload)["status"] == "active"
    with pytest.raises((BMPolicyError, BMResponseError)):
        client.create_campaign(payload)


def test_all_restrictions_apply_together(new_client, payload):
    client = new_client(draft_only=True, allowed_recipient_lists=())
    with pytest.raises(BMPolicyError, match="allowed_recipient_lists"):
        client.create_campaign(payload)
    with pytest.raises(BMDraftOnlyError):
        client.session.post(client.list_url, json=payload | {"status": "active"})


def test_a_stream_is_not_read_before_it_is_sent(new_client):
    client, stream = new_client(), io.BytesIO(b'{\n"status": "draft"\n}')
    request = requests.Request("POST", client.list_url, data=stream).prepare()
    Restrictions(client.settings, campaigns_in_past_hour=lambda: 0).check(request, "POST /campaigns")
    assert stream.tell() == 0


def test_a_stream_is_refused_if_it_must_be_checked(sandbox, new_client):
    client = new_client(draft_only=True)
    with pytest.raises(BMDraftOnlyError):
        client.session.post(client.list_url, data=io.BytesIO(b'{"status": "draft"}'))
    assert posts(sandbox) == []
