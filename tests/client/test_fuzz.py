"""Random extras, filters and replies cause documented errors only."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
import requests_mock
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.client.connection import EXTRAS, settings_of
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.exceptions import BMConfigError, BMError, BMPayloadError

pytestmark = pytest.mark.slow
UUID: Final = "1592695e-c1b1-11ee-b153-774c9d3a7957"
SECRET: Final = "fuzz-secret-7c41"
CAMPAIGN: Final = {
    "uuid": UUID,
    "name": "Storm",
    "status": "active",
    "sending_type": "sms",
    "schedule_type": "now",
    "template": "Hello",
    "sender": "+41587000000",
    "recipient_lists": UUID,
    "created_dt": "2026-11-24T10:00:00+00:00",
    "updated_dt": "2026-11-24T10:00:00+00:00",
    "next_dt": None,
    "last_dt": None,
}
SETTINGS: Final = BMSettings(
    api_url="http://127.0.0.1:1/news/v1",
    token_url="http://127.0.0.1:1/token",
    client_id="client",
    client_secret=SECRET,
    service_uuid=UUID,
)
unhurried = settings(deadline=None, database=None, max_examples=300)

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "true", "y", "[]", "{}", '{"a":1,"a":2}', "[" * 2000, "1e999", "nan", UUID]),
    st.sampled_from(["http://127.0.0.1:99999/x", "http://[::1", "https://a@b/", "127.0.0.1:1", "9" * 5000]),
    st.sampled_from(["2026-11-24T10:00:00+00:00", "9999-12-31T23:59:59-12:00", "0000-00-00", "active"]),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def error_of(call: Callable[[], object]) -> BMError | None:
    """Return the documented error of a call. Any other fails the test."""
    try:
        call()
    except BMError as error:
        return error
    return None


@dataclass
class Connection:
    """An Airflow connection."""

    extra: str | None
    host: str | None = "example.com"
    login: str | None = "client"
    password: str | None = SECRET
    schema: str | None = UUID
    port: int | None = None
    conn_id: str = "bm_default"


@unhurried
@given(
    extra=st.dictionaries(st.sampled_from([*EXTRAS, *(f"extra__bm__{name}" for name in EXTRAS)]), json_values)
    .map(json.dumps)
    .filter(lambda text: len(text) < 20_000)
    | texts,
    host=st.none() | texts,
    schema=st.none() | texts,
)
def test_connections(extra, host, schema):
    error = error_of(lambda: settings_of(Connection(extra, host=host, schema=schema)))
    if error is not None:
        assert isinstance(error, BMConfigError)
        assert "bm_default" in str(error)
        assert SECRET not in str(error)


@unhurried
@given(
    filters=st.dictionaries(
        st.one_of(
            texts,
            st.builds(
                "{}({})".format,
                st.sampled_from(["eq", "neq", "in", "notin", "lt", "gte", "contains", "isnull", "startwith"]),
                st.sampled_from(["name", "status", "created_dt", "last_dt", "query", "nmae", ""]),
            ),
        ),
        json_values | st.binary(max_size=3) | st.builds(object),
        max_size=3,
    ),
    row=st.dictionaries(st.sampled_from(sorted(CAMPAIGN)), json_values),
)
def test_filters(filters, row):
    with contextlib.suppress(BMPayloadError):
        campaigns = CampaignFilter.of(filters=filters)
        with contextlib.suppress(BMError):
            campaigns.check(CAMPAIGN | row)


bodies = st.one_of(
    st.binary(max_size=20),
    json_values.map(json.dumps).map(str.encode),
    st.dictionaries(st.sampled_from(sorted(CAMPAIGN)), json_values).map(
        lambda changes: json.dumps(CAMPAIGN | changes).encode()
    ),
    st.dictionaries(st.sampled_from(["data", "meta", "pagination", "total", "errors", "error"]), json_values)
    .map(lambda parts: {"data": [CAMPAIGN], "meta": {"pagination": {"total": 1}}} | parts)
    .map(json.dumps)
    .map(str.encode),
)
headers = st.dictionaries(
    st.sampled_from(
        ["Date", "Retry-After", "Content-Type", "Location", "Content-Length", "WWW-Authenticate"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
    | st.sampled_from(
        ["Tue, 24 Nov 99999 10:00:00 GMT", "-1", "1e999", "application/problem+json", "9" * 5000]
    ),
)
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 409, 418, 429, 500, 503, 599])
calls = st.sampled_from(
    [
        lambda client: client.get_campaign(UUID),
        lambda client: client.get_campaign(UUID, fields=["messages", "tasks"]),
        lambda client: list(client.list_campaigns(status="active")),
        lambda client: client.create_campaign(
            {key: CAMPAIGN[key] for key in ("name", "sending_type", "template", "sender", "recipient_lists")}
        ),
        lambda client: client.clone_campaign(UUID, template_vars={"temp": "-3"}),
        lambda client: client.update_campaign(UUID, {"name": "Other"}),
        lambda client: client.set_campaign_status(UUID, "stopped"),
        lambda client: client.delete_campaign(UUID),
    ]
)


@unhurried
@given(call=calls, status=statuses, body=bodies, header=headers, of_token=st.booleans())
@example(lambda client: client.get_campaign(UUID), 200, b"", {"Content-Length": "x"}, False)
def test_replies(call, status, body, header, of_token):
    forget_tokens()
    token = {"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}
    with requests_mock.Mocker() as server:
        server.register_uri(
            requests_mock.ANY, requests_mock.ANY, content=body, status_code=status, headers=header
        )
        if of_token:
            server.get(f"{SETTINGS.api_url}/services/{UUID}/campaigns/{UUID}", json=CAMPAIGN)
            server.post(SETTINGS.token_url, content=body, status_code=status, headers=header)
        else:
            server.post(SETTINGS.token_url, json=token)
        client = BMClient(SETTINGS, sleep=lambda seconds: None)
        error = error_of(lambda: call(client))
        client.close()
    forget_tokens()
    if error is not None:
        assert str(error)
        assert SECRET not in str(error)
