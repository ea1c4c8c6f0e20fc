"""Whether a row contradicts a filter; if that is uncertain, the filter counts as applied."""

from __future__ import annotations

import pytest

from airflow_provider_bm.client.bulk import BulkReader
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.client.query import list_params
from airflow_provider_bm.exceptions import BMPayloadError, BMResponseError
from airflow_provider_bm.hooks import BMHook

UUID = "1592695e-c1b1-11ee-b153-774c9d3a7957"
CAMPAIGN = {
    "uuid": UUID,
    "name": "Storm in Bern",
    "status": "active",
    "sending_type": "sms",
    "created_dt": "2026-11-24T10:00:00+00:00",
    "last_dt": None,
    "webpush_body": "",
    "query": {},
    "webpush_title": 5,
    "template": "10",
}


def check(filters):
    CampaignFilter.of(filters=filters).check(CAMPAIGN)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "active"),
        ("name", "storm in bern"),
        ("eq(name)", " Storm in Bern "),
        ("created_dt", "2026-11-24T11:00:00+01:00"),
        ("created_dt", "2026-11-24T10:00:00.4Z"),
        ("webpush_title", "5.0"),
        ("neq(status)", "draft"),
        ("neq(last_dt)", "2026-11-24T10:00:00Z"),
        # Another case is another value for some servers.
        ("neq(status)", "Active"),
        ("in(status)", ["draft", "ACTIVE"]),
        ("in(created_dt)", ["2026-11-24T12:00:00+02:00"]),
        ("notin(status)", ["draft", "Active"]),
        ("startswith(name)", "STORM"),
        ("contains(name)", "in b"),
        ("endswith(name)", "bern"),
        ("doesnotcontain(name)", "storm"),
        ("doesnotcontain(last_dt)", "2026"),
        ("isnull(last_dt)", None),
        ("isnull(webpush_body)", None),
        ("isempty(query)", True),
        ("isnotnull(name)", ""),
        ("isnotnull(webpush_body)", None),
        ("isnotempty(name)", None),
        ("lt(created_dt)", "2026-11-24T10:00:01Z"),
        ("lte(created_dt)", "2026-11-24T10:00:00Z"),
        ("gt(created_dt)", "2026-11-24T09:59:59Z"),
        ("gte(created_dt)", "2026-11-24T10:00:00Z"),
        # The response has whole seconds.
        ("gt(created_dt)", "2026-11-24T10:00:00.5Z"),
        ("gte(created_dt)", "2026-11-24T10:00:00.999Z"),
        ("lt(webpush_title)", 6),
        ("gte(webpush_title)", "5"),
        ("gt(last_dt)", "2026-11-24T10:00:00Z"),
        # The order of texts depends on the server.
        ("lt(name)", "A"),
        ("gt(name)", "9"),
        ("lt(template)", "9"),
        ("between(created_dt)", ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"]),
        ("between(name)", ["A", "B"]),
        ("notbetween(created_dt)", ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]),
        ("notbetween(created_dt)", ["2020-01-01T00:00:00Z", "2026-11-24T10:00:00Z"]),
        ("notbetween(name)", ["A", "Z"]),
        # Fields that the response does not contain.
        ("sender", "somebody"),
        ("isnotnull(sender)", None),
        ("startswith(sender)", "some"),
    ],
)
def test_row_that_may_match(key, value):
    check({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "draft"),
        ("name", "Storm"),
        ("created_dt", "2026-11-24T10:00:02Z"),
        ("last_dt", "2026-11-24T10:00:00Z"),
        ("webpush_title", 6),
        ("neq(status)", "active"),
        ("in(status)", ["draft", "finished"]),
        ("in(created_dt)", ["2026-11-24T12:00:00+01:00"]),
        ("notin(status)", ["draft", "active"]),
        ("startswith(name)", "Bern"),
        ("startswith(last_dt)", "2026"),
        ("contains(name)", "Zug"),
        ("endswith(name)", "Storm"),
        ("doesnotcontain(name)", "Storm"),
        ("isnull(name)", None),
        ("isempty(created_dt)", None),
        ("isnotnull(last_dt)", None),
        ("isnotempty(webpush_body)", None),
        ("lt(created_dt)", "2026-11-24T09:59:58Z"),
        ("lte(created_dt)", "2026-11-24T09:59:58Z"),
        ("gt(created_dt)", "2026-11-24T10:00:02Z"),
        ("gte(created_dt)", "2026-11-24T10:00:02Z"),
        ("lte(webpush_title)", 4),
        ("gt(webpush_title)", "6"),
        ("between(created_dt)", ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]),
        ("between(webpush_title)", [6, 9]),
        ("notbetween(created_dt)", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]),
        ("notbetween(webpush_title)", "4,6"),
    ],
)
def test_row_that_cannot_match(key, value):
    with pytest.raises(BMResponseError, match="does not support the filter") as caught:
        check({key: value})
    assert key in str(caught.value)
    assert UUID in str(caught.value)
    assert not caught.value.permanent


def test_all_filters_are_checked():
    filters = [("startswith(name)", "Storm"), ("contains(name)", "Zug")]
    with pytest.raises(BMResponseError, match="contains"):
        check(filters)
    CampaignFilter.of(filters=filters[:1], status=["active", "draft"], sending_type="sms").check(CAMPAIGN)
    with pytest.raises(BMResponseError, match="sending_type"):
        CampaignFilter.of(filters=filters[:1], sending_type="email").check(CAMPAIGN)


@pytest.mark.parametrize(
    "key", ["isnull(last_dt)", "isnotnull(name)", "in(status)", "between(created_dt)", "name"]
)
def test_filter_can_be_sent(key):
    value = None if "null" in key else ["active", "draft"] if "(" in key else "Storm"
    listing = CampaignFilter.of(filters={key: value}, fields="messages")
    assert list_params(filters=listing.filters) == list(listing.filters)
    assert listing.fields == ("messages",)


def test_unknown_column_is_rejected():
    """It could not be detected that a server ignores it and lists everything."""
    with pytest.raises(BMPayloadError, match=r"startswith\(nmae\)"):
        CampaignFilter.of(filters={"startswith(nmae)": "Storm"})


def test_unknown_operator_is_rejected():
    with pytest.raises(BMPayloadError, match="looks_like"):
        CampaignFilter.of(filters={"looks_like(name)": "Storm"})


def test_equal_filters_are_one_key():
    one, other = (
        CampaignFilter.of(status="active", filters={"name": "a"}, fields=["tasks"]) for _ in range(2)
    )
    assert one == other
    assert hash(one) == hash(other)


def find(**arguments):
    client = BMHook().client
    try:
        return [uuid for some in BulkReader(client).list(CampaignFilter.of(**arguments)) for uuid in some]
    finally:
        client.close()


def test_lists_of_the_sandbox(sandbox):
    sandbox.clock.freeze()
    running = [sandbox.create(status="active")["uuid"] for _ in range(12)]
    done = [sandbox.create(status="finished")["uuid"] for _ in range(3)]
    assert find(status="finished") == done
    assert find(status=["active", "draft"], filters={"isnotnull(created_dt)": None}) == running
    sandbox.ignore_filters = True
    with pytest.raises(BMResponseError, match="does not support the filter"):
        find(filters={"startswith(name)": "Storm"})
