"""What each method sends, and what it returns, without errors."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import quote_plus

import pytest
import requests

from airflow_provider_bm import __version__
from airflow_provider_bm.campaigns import CampaignClone, CampaignCreate, CampaignUpdate
from airflow_provider_bm.exceptions import (
    BMCampaignStateError,
    BMConfigError,
    BMNotFoundError,
    BMPayloadError,
)
from airflow_provider_bm.hooks import BMHook
from tests.hooks.http_stub import (
    FUTURE,
    GIVEN,
    LIST,
    ONE,
    OTHER,
    SECRET,
    SERVICE,
    UUID,
    campaign,
    connection,
    page,
    writable,
)


def test_the_token_request(hook, http_stub):
    http_stub.answer("GET", ONE, {"json": campaign()})
    hook.get_campaign(UUID)
    (request,) = http_stub.token_requests
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in request.headers
    assert request.body == (
        f"grant_type=client_credentials&client_id=client&client_secret={quote_plus(SECRET)}"
    )


def test_the_headers_of_a_call(hook, http_stub):
    import airflow

    http_stub.answer("POST", LIST, {"status_code": 201, "json": campaign()})
    hook.create_campaign(GIVEN)
    headers = http_stub.requests[0].headers
    assert headers["Authorization"] == "Bearer bm-token-number-1"
    assert headers["Content-Type"] == headers["Accept"] == "application/json"
    assert headers["User-Agent"] == (
        f"airflow-provider-bm/{__version__} apache-airflow/{airflow.__version__} "
        f"python-requests/{requests.__version__}"
    )


@pytest.mark.parametrize("campaign_uuid", [UUID, UUID.upper(), uuid.UUID(UUID)])
@pytest.mark.parametrize(
    ("fields", "query"),
    [((), ""), ("tasks", "?fields=tasks"), (["tasks", "messages"], "?fields=tasks%2Cmessages"), (None, "")],
)
def test_get_returns_the_campaign(hook, http_stub, campaign_uuid, fields, query):
    answer = campaign(uuid=UUID.upper(), tasks=[{"anything": 1}])
    http_stub.answer("GET", ONE, {"json": answer})
    assert hook.get_campaign(campaign_uuid, fields=fields) == answer | {"uuid": UUID}
    assert http_stub.sent() == [("GET", ONE + query)]
    assert http_stub.requests[0].body is None


@pytest.mark.parametrize("make", [dict, lambda fields: CampaignCreate(**fields)])
@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({}, {"status": "active", "schedule_type": "now"}),
        ({"status": "draft"}, {"status": "draft", "schedule_type": "now"}),
        (
            {"schedule_rrule": datetime(2099, 5, 1, 19, 5, tzinfo=timezone(timedelta(hours=2)))},
            {"status": "active", "schedule_type": "once", "schedule_rrule": FUTURE},
        ),
        ({"recipient_lists": [OTHER, UUID]}, {"status": "active", "schedule_type": "now",
                                              "recipient_lists": f"{OTHER},{UUID}"}),
    ],
)  # fmt: skip
def test_create_sends_the_payload(hook, http_stub, make, arguments, body):
    http_stub.answer("POST", LIST, {"status_code": 201, "json": campaign()})
    assert hook.create_campaign(make(GIVEN | arguments)) == campaign()
    assert http_stub.sent() == [("POST", LIST)]
    assert http_stub.body() == GIVEN | body


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({}, {"status": "active"}),
        ({"status": "draft", "name": "Gale"}, {"status": "draft", "name": "Gale"}),
        ({"template_vars": {"temp": -22, "wind": "100km/h"}},
         {"status": "active", "template_vars": {"temp": "-22", "wind": "100km/h"}}),
    ],
)  # fmt: skip
def test_clone_sends_the_overrides(hook, http_stub, arguments, body):
    http_stub.answer("POST", LIST, {"status_code": 201, "json": campaign()})
    for call in ((OTHER, arguments), (CampaignClone(clone_uuid=OTHER, **arguments), {})):
        assert hook.clone_campaign(call[0], **call[1]) == campaign()
        assert http_stub.body() == {"clone_uuid": OTHER} | body
    assert http_stub.sent() == [("POST", LIST)] * 2


@pytest.mark.parametrize("more", [{"status": "draft"}, {"template_vars": {"temp": "1"}}, {"name": "Gale"}])
def test_clone_given_as_a_model_takes_no_overrides(hook, http_stub, more):
    """Otherwise `status="draft"` could be ignored, and the clone would be sent."""
    with pytest.raises(BMPayloadError, match=next(iter(more))):
        hook.clone_campaign(CampaignClone(clone_uuid=OTHER), **more)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize("make", [dict, lambda fields: CampaignUpdate(**fields)])
@pytest.mark.parametrize(
    ("before", "changes", "body"),
    [
        ({}, {"name": "Gale"}, {"name": "Gale"}),
        ({"status": "draft"}, {"name": "Gale"}, {"status": "draft", "name": "Gale"}),
        ({"status": "draft"}, {"status": "active"}, {}),
        ({"status": "draft"}, {"schedule_type": "now"},
         {"status": "draft", "schedule_type": "now", "schedule_rrule": None}),
        ({"query_type": "segmentation", "query": '{"segmentation":[]}', "status": "draft"},
         {"query_type": "all"}, {"status": "draft", "query": None}),
        ({"webpush_icon": None, "webpush_title": ""}, {"name": "Gale"},
         {"name": "Gale", "webpush_title": ""}),
        ({"status": "finished"}, {"name": "Gale"}, {"status": "finished", "name": "Gale"}),
        ({"status": "stopped"}, {"name": "Gale"}, {"status": "stopped", "name": "Gale"}),
        ({}, {"status": "stopped"}, {"status": "stopped"}),
    ],
)  # fmt: skip
def test_update_reads_merges_and_writes_the_complete_campaign(hook, http_stub, make, before, changes, body):
    http_stub.answer("GET", ONE, {"json": campaign(**before)})
    answer = campaign(name="as answered", status=(writable() | body)["status"])
    http_stub.answer("PUT", ONE, {"json": answer})
    assert hook.update_campaign(UUID, make(changes)) == answer
    assert http_stub.sent() == [("GET", ONE), ("PUT", ONE)]
    assert http_stub.body() == {
        name: value for name, value in (writable() | body).items() if value is not None
    }


def test_replace_does_not_read(hook, http_stub):
    http_stub.answer("PUT", ONE, {"json": campaign()})
    assert hook.update_campaign(UUID, writable(name="Gale"), replace=True) == campaign()
    assert http_stub.sent() == [("PUT", ONE)]
    assert http_stub.body() == writable(name="Gale")


@pytest.mark.parametrize("missing", ["status", "schedule_type", "template", "recipient_lists"])
def test_replace_requires_a_complete_campaign(hook, http_stub, missing):
    changes = writable(schedule_rrule=None) | {missing: None}
    with pytest.raises(BMPayloadError, match=missing):
        hook.update_campaign(UUID, changes, replace=True)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({"schedule_type": "now", "schedule_rrule": None}, {"name": "Gale"}),
        ({"schedule_type": "now", "schedule_rrule": None}, {"status": "active"}),
        ({"schedule_type": "now", "schedule_rrule": FUTURE}, {"template": "Hi"}),
        ({"last_dt": "2026-01-01T00:00:00+00:00"}, {"schedule_type": "now"}),
        ({"status": "finished"}, {"status": "active"}),
        ({"status": "stopped"}, {"status": "active"}),
        ({"status": "stopped"}, {"status": "active", "schedule_rrule": "2099-06-01 00:00:00"}),
        ({"status": "paused, whatever that is"}, {"status": "active"}),
    ],
)
def test_an_update_that_could_send_twice_is_refused(hook, http_stub, before, changes):
    http_stub.answer("GET", ONE, {"json": campaign(**before)})
    with pytest.raises(BMCampaignStateError, match=UUID) as caught:
        hook.update_campaign(UUID, changes)
    assert http_stub.sent() == [("GET", ONE)]
    assert caught.value.campaign == campaign(**before)


@pytest.mark.parametrize(
    ("before", "wanted", "method"),
    [
        ("active", "active", None), ("stopped", "stopped", None),
        ("active", "stopped", "PATCH"), ("stopped", "active", "PATCH"),
        ("draft", "active", "PUT"), ("draft", "stopped", "PATCH"),
    ],
)  # fmt: skip
def test_set_status_uses_put_or_patch_as_the_state_requires(hook, http_stub, before, wanted, method):
    http_stub.answer("GET", ONE, {"json": campaign(status=before)})
    if method:
        http_stub.answer(method, ONE, {"json": campaign(status=wanted)})
    assert hook.set_campaign_status(UUID, wanted)["status"] == wanted
    assert http_stub.sent() == [("GET", ONE)] + ([(method, ONE)] if method else [])
    if method:
        assert http_stub.body() == (writable(status="active") if method == "PUT" else {"status": wanted})


@pytest.mark.parametrize("wanted", ["active", "stopped"])
def test_a_finished_campaign_has_no_other_status(hook, http_stub, wanted):
    last = "2026-01-02T00:00:00+00:00"
    http_stub.answer("GET", ONE, {"json": campaign(status="finished", last_dt=last)})
    with pytest.raises(
        BMCampaignStateError, match=f"has finished .*{last[:10]}.* cannot become {wanted}.*clone"
    ):
        hook.set_campaign_status(UUID, wanted)
    assert http_stub.sent() == [("GET", ONE)]


GONE = {"status_code": 404, "json": {"code": "not_found", "message": "No such campaign"}}


@pytest.mark.parametrize(
    ("replies", "missing_ok", "raises"),
    [
        ([{"status_code": 204}], False, None),
        ([{"status_code": 200, "json": {}}], False, None),
        ([GONE], True, None),
        ([GONE], False, BMNotFoundError),
        ([{"exc": requests.ReadTimeout}, GONE], False, None),
        ([{"status_code": 503}, GONE], False, None),
        ([{"status_code": 429}, GONE], False, BMNotFoundError),
        ([{"exc": requests.ConnectTimeout}, GONE], False, BMNotFoundError),
        ([{"status_code": 401}, GONE], False, BMNotFoundError),
        ([{"status_code": 503}, {"status_code": 429}, GONE], False, None),
    ],
)
def test_delete_with_and_without_missing_ok(hook, http_stub, replies, missing_ok, raises):
    http_stub.answer("DELETE", ONE, *replies)
    if raises is None:
        assert hook.delete_campaign(UUID, missing_ok=missing_ok) is None
    else:
        with pytest.raises(raises):
            hook.delete_campaign(UUID, missing_ok=missing_ok)
    assert http_stub.sent() == [("DELETE", ONE)] * len(replies)
    assert http_stub.requests[-1].body is None


def test_service_uuid_argument_overrides_the_connection(http_stub, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection())
    http_stub.answer("GET", LIST.replace(SERVICE, OTHER), {"json": page()})
    assert list(BMHook(service_uuid=OTHER.upper()).list_campaigns()) == []


def test_missing_service_is_an_error_before_any_request(http_stub, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection().replace(SERVICE, ""))
    for call in (lambda hook: hook.list_campaigns(), lambda hook: hook.create_campaign(GIVEN)):
        with pytest.raises(BMConfigError, match="Service UUID"):
            call(BMHook())
    assert http_stub.mock.call_count == 0


def test_the_connection_is_named_by_bm_conn_id(http_stub, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_STAGING", connection())
    http_stub.answer("GET", LIST, {"json": page()})
    assert list(BMHook("bm_staging").list_campaigns()) == []
    assert BMHook("bm_staging").client.settings.timeouts == (10.0, 30.0)
