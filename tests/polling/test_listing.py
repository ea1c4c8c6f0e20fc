"""Whether a server has understood a filter: lenient in doubt, strict where it plainly has not."""

from __future__ import annotations

import pytest

from airflow_provider_bm.client.bulk import BulkReader
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.client.query import list_params
from airflow_provider_bm.exceptions import BMPayloadError, BMResponseError
from airflow_provider_bm.hooks import BMHook
from tests.polling.helpers import active, finished

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
        # The answer has whole seconds.
        ("gt(created_dt)", "2026-11-24T10:00:00.5Z"),
        ("gte(created_dt)", "2026-11-24T10:00:00.999Z"),
        ("lt(webpush_title)", 6),
        ("gte(webpush_title)", "5"),
        ("gt(last_dt)", "2026-11-24T10:00:00Z"),
        # How text is ordered is the server's affair.
        ("lt(name)", "A"),
        ("gt(name)", "9"),
        ("lt(template)", "9"),
        ("between(created_dt)", ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]),
        ("notbetween(created_dt)", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]),
        # What the answer does not show, the server may know.
        ("sender", "somebody"),
        ("isnotnull(sender)", None),
        ("startswith(sender)", "some"),
    ],
)
def test_in_doubt_it_has(key, value):
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
    ],
)
def test_it_plainly_has_not(key, value):
    with pytest.raises(BMResponseError, match="does not know the filter") as caught:
        check({key: value})
    assert key in str(caught.value)
    assert UUID in str(caught.value)
    assert not caught.value.permanent


def test_each_of_several_filters_counts():
    filters = [("startswith(name)", "Storm"), ("contains(name)", "Zug")]
    with pytest.raises(BMResponseError, match="contains"):
        check(filters)
    CampaignFilter.of(filters=filters[:1], status=["active", "draft"], sending_type="sms").check(CAMPAIGN)
    with pytest.raises(BMResponseError, match="sending_type"):
        CampaignFilter.of(filters=filters[:1], sending_type="email").check(CAMPAIGN)


@pytest.mark.parametrize(
    "key", ["isnull(last_dt)", "isnotnull(name)", "in(status)", "between(created_dt)", "name"]
)
def test_what_was_checked_once_can_be_asked_for(key):
    value = None if "null" in key else ["active", "draft"] if "(" in key else "Storm"
    listing = CampaignFilter.of(filters={key: value}, fields="messages")
    assert list_params(filters=listing.filters) == list(listing.filters)
    assert listing.fields == ("messages",)


def test_a_column_that_no_campaign_has_is_refused():
    """A server that ignores what it does not know would list everything, and nobody could see it."""
    with pytest.raises(BMPayloadError, match=r"startswith\(nmae\)"):
        CampaignFilter.of(filters={"startswith(nmae)": "Storm"})


def test_a_filter_that_no_server_understands_is_refused():
    with pytest.raises(BMPayloadError, match="looks_like"):
        CampaignFilter.of(filters={"looks_like(name)": "Storm"})


def test_the_same_is_one_key():
    one, other = (
        CampaignFilter.of(status="active", filters={"name": "a"}, fields=["tasks"]) for _ in range(2)
    )
    assert one == other
    assert hash(one) == hash(other)


def find(**arguments):
    client = BMHook().client
    try:
        return [uuid for some in BulkReader(client).find(CampaignFilter.of(**arguments)) for uuid in some]
    finally:
        client.close()


def test_it_is_found_what_was_asked_for(frozen, wire):
    running, done = active(frozen, 12), finished(frozen, 3)
    assert find(status="finished") == done
    assert find(status=["active", "draft"], filters={"isnotnull(created_dt)": None}) == running
    frozen.ignore_filters = True
    with pytest.raises(BMResponseError, match="does not know the filter"):
        find(filters={"startswith(name)": "Storm"})
