"""Invalid arguments fail before any request, even for a token."""

from __future__ import annotations

from datetime import datetime

import pytest

from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError
from airflow_provider_bm.hooks import BMHook
from tests.hooks.http_stub import GIVEN, OTHER, UUID, connection, writable

BAD_IDS = [None, "", "7", f"{UUID}/../x", f"{UUID} ", f"{{{UUID}}}", UUID.replace("-", ""), 7, [UUID], "None"]
BY_ID = {
    "get": lambda hook, uuid: hook.get_campaign(uuid),
    "clone": lambda hook, uuid: hook.clone_campaign(uuid),
    "update": lambda hook, uuid: hook.update_campaign(uuid, {"name": "Gale"}),
    "replace": lambda hook, uuid: hook.update_campaign(uuid, writable(), replace=True),
    "activate": lambda hook, uuid: hook.set_campaign_status(uuid, "active"),
    "stop": lambda hook, uuid: hook.set_campaign_status(uuid, "stopped"),
    "delete": lambda hook, uuid: hook.delete_campaign(uuid, missing_ok=True),
    "another service": lambda hook, uuid: BMHook(service_uuid=uuid or "x").list_campaigns(),
}


@pytest.mark.parametrize("uuid", BAD_IDS)
@pytest.mark.parametrize("name", BY_ID)
def test_invalid_uuid(hook, http_stub, name, uuid):
    with pytest.raises(BMPayloadError, match="UUID"):
        BY_ID[name](hook, uuid)
    assert http_stub.mock.call_count == 0


def test_empty_service_uuid_does_not_fall_back_to_the_connection(hook, http_stub):
    """An empty `{{ var.value.service }}` must not message the contacts of another account."""
    with pytest.raises(BMPayloadError, match="service_uuid"):
        BMHook(service_uuid="").create_campaign(GIVEN)
    assert http_stub.mock.call_count == 0


BAD_FIELDS = [
    ({"name": ""}, "name"),
    ({"sending_type": "fax"}, "sending_type"),
    ({"status": "paused"}, "status"),
    ({"schedule_type": "scheduled", "schedule_rrule": "every day"}, "schedule_rrule"),
    ({"sending_type": "email"}, "template"),
    ({"query": "{}"}, "query"),
    ({"recipient_lists": []}, "recipient_lists"),
    ({"recipient_list": OTHER}, "recipient_list"),
    ({"template": None}, "template"),
]


@pytest.mark.parametrize(
    ("changes", "field"),
    [*BAD_FIELDS, ({"schedule_type": "once"}, "schedule_rrule"), ({"status": "stopped"}, "status")],
)
def test_invalid_new_campaign(hook, http_stub, changes, field):
    with pytest.raises(BMPayloadError, match=field):
        hook.create_campaign(GIVEN | changes)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize(("changes", "field"), BAD_FIELDS)
def test_invalid_replacement(hook, http_stub, changes, field):
    with pytest.raises(BMPayloadError, match=field):
        hook.update_campaign(UUID, writable() | changes, replace=True)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize(
    "overrides",
    [
        {"status": "stopped"},
        {"schedule_rrule": "soon"},
        {"template_vars": "a=b"},
        {"nam": "x"},
        {"sender": ""},
    ],
)
def test_invalid_clone(hook, http_stub, overrides):
    with pytest.raises(BMPayloadError):
        hook.clone_campaign(OTHER, **overrides)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize("changes", [{}, {"name": None}, {"nam": "Gale"}, {"uuid": UUID}, None, "name=Gale"])
@pytest.mark.parametrize("draft_only", [False, True])
def test_invalid_update(http_stub, monkeypatch, draft_only, changes):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(draft_only=draft_only))
    with pytest.raises(BMPayloadError):
        BMHook().update_campaign(UUID, changes)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize("status", ["draft", "finished", "Active", "", None, ["active"]])
def test_invalid_status(hook, http_stub, status):
    with pytest.raises(BMPayloadError, match="status"):
        hook.set_campaign_status(UUID, status)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"sending_type": "fax"}, "sending_type"),
        ({"status": ["active", "paused"]}, "status"),
        ({"status": []}, "status"),
        ({"fields": "task"}, "fields"),
        ({"fields": 7}, "fields"),
        ({"sort": "name;drop"}, "sort"),
        ({"sort": 7}, "sort"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": True}, "page_size"),
        ({"page_size": "10"}, "page_size"),
        ({"filters": {"like(name)": "x"}}, "like"),
        ({"filters": {"eq(name": "x"}}, "eq"),
        ({"filters": {"na me": "x"}}, "na me"),
        ({"filters": {"name": None}}, "name"),
        ({"filters": {"name": True}}, "name"),
        ({"filters": {"eq(name)": ["a", "b"]}}, "eq"),
        ({"filters": {"in(name)": ["a,b", "c"]}}, "comma"),
        ({"filters": {"in(name)": []}}, "name"),
        ({"filters": {"between(x)": [1]}}, "two values"),
        ({"filters": {"isnull(last_dt)": "x"}}, "isnull"),
        ({"filters": {"gte(created_dt)": datetime(2026, 1, 1)}}, "created_dt"),  # noqa: DTZ001
        ({"filters": {"page_number": 3}}, "page_number"),
        ({"filters": {"page_size": 3}}, "page_size"),
        ({"filters": {"sort": "name"}}, "sort"),
        ({"filters": {"fields": "tasks"}}, "fields"),
        ({"filters": {7: "x"}}, "7"),
        ({"filters": "status=active"}, "filters"),
        ({"filters": ["status=active"]}, "filters"),
        ({"filters": [("status",)]}, "filters"),
        ({"filters": 7}, "filters"),
    ],
)
def test_invalid_list_arguments(hook, http_stub, arguments, field):
    with pytest.raises(BMPayloadError, match=field):
        hook.list_campaigns(**arguments)
    assert http_stub.mock.call_count == 0


@pytest.mark.parametrize("extra", [{"api_uri": "x"}, {"timeout": "soon"}, {"draft_only": "maybe"}])
def test_invalid_connection(http_stub, monkeypatch, extra):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", connection(**extra))
    with pytest.raises(BMConfigError, match="'bm_default'.*" + next(iter(extra))):
        BMHook().get_campaign(UUID)
    assert http_stub.mock.call_count == 0
