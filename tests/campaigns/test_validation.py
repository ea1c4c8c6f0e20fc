from __future__ import annotations

import pytest

from airflow_provider_bm.campaigns import (
    CampaignCreate,
    CampaignUpdate,
    check_complete,
    merge_changes,
    writable,
)
from airflow_provider_bm.campaigns.constants import STATUSES
from tests.campaigns.samples import LIST_A, LIST_B, QUERY, problems_of, required, whole


def test_writable_returns_the_campaign_fields_of_a_response() -> None:
    response = whole(uuid=LIST_A, next_dt=None, query=None, created_dt="2024", tasks=[], webpush_title="")
    assert writable(response) == whole(webpush_title="")
    odd = {"recipient_lists": [LIST_A, LIST_B], "query": {"segmentation": []}, "name": 5}
    assert writable(odd) == {
        "name": "5",
        "recipient_lists": f"{LIST_A},{LIST_B}",
        "query": '{"segmentation":[]}',
    }


def test_a_response_that_is_written_back_stays_the_same() -> None:
    campaign = CampaignCreate(**required(query=QUERY, schedule_rrule="FREQ=DAILY")).to_payload()
    assert check_complete(writable(campaign | {"uuid": LIST_A})) == campaign
    for status in STATUSES:
        assert check_complete(whole(status=status, query_type="", query=""))["status"] == status


@pytest.mark.parametrize("name", sorted(whole()))
def test_required_fields_of_a_complete_campaign(name: str) -> None:
    payload = whole()
    del payload[name]
    assert list(problems_of(lambda: check_complete(payload))) == [name]


def test_a_complete_campaign_is_checked_across_fields() -> None:
    assert list(problems_of(lambda: check_complete(whole(sending_type="email")))) == ["template"]
    assert list(problems_of(lambda: check_complete(whole(query_type="segmentation")))) == ["query"]
    assert list(problems_of(lambda: check_complete(whole(query_type="segmentation", query="")))) == ["query"]
    assert list(problems_of(lambda: check_complete(whole(uuid=LIST_A)))) == ["uuid"]


#: A campaign as a person may have made it in the console.
MADE_BY_HAND = whole(
    uuid=LIST_A,
    name="  Storm \n warning ",
    sender="",
    template="Hi {first_name}  ",
    recipient_lists=f"{LIST_A.upper()} , {LIST_B}",
    schedule_type="scheduled",
    schedule_rrule="FREQ=DAILY;BYHOUR=8;BYEASTER=0;",
    query_type="segmentation",
    query='{ "segmentation": "something newer" }',
    webpush_title="\ud83d",
    sending_type="sms",
) | {"sender": "+41"}


@pytest.mark.parametrize("changes", [{"name": "New"}, {"status": "active"}, {"template": "Bye"}])
def test_merging_leaves_other_fields_as_they_came(changes: dict[str, str]) -> None:
    merged = merge_changes(MADE_BY_HAND, CampaignUpdate(**changes).to_payload())  # type: ignore[arg-type]
    assert merged == {**writable(MADE_BY_HAND), **changes}
    assert "uuid" not in merged


@pytest.mark.parametrize(
    ("campaign", "changes", "fields"),
    [
        ({}, {"schedule_type": "once"}, ["schedule_rrule"]),
        ({"schedule_type": "once"}, {"name": "x"}, ["schedule_rrule"]),
        ({"schedule_type": "scheduled", "schedule_rrule": " "}, {"name": "x"}, ["schedule_rrule"]),
        ({"schedule_rrule": "2024-05-01 17:05:00"}, {"schedule_type": "scheduled"}, ["schedule_rrule"]),
        ({"query_type": "segmentation"}, {"name": "x"}, ["query"]),
        ({"query_type": "segmentation", "query": ""}, {"status": "active"}, ["query"]),
        ({}, {"query_type": "segmentation"}, ["query"]),
        ({"query": "{}"}, {"query_type": "segmentation"}, ["query.segmentation"]),
        ({}, {"sending_type": "email"}, ["template"]),
        ({"sending_type": "email"}, {"template": "Hi"}, ["template"]),
        ({"sender": None}, {"status": "active"}, ["sender"]),
        ({"recipient_lists": " "}, {"status": "active"}, ["recipient_lists"]),
    ],
)
def test_merging_checks_what_decides_who_gets_what(
    campaign: dict[str, str], changes: dict[str, str], fields: list[str]
) -> None:
    update = CampaignUpdate(**changes).to_payload()  # type: ignore[arg-type]
    assert list(problems_of(lambda: merge_changes(whole(**campaign), update))) == fields


def test_merging_drops_what_a_change_replaces() -> None:
    campaign = whole(
        schedule_type="once", schedule_rrule="2024-05-01 17:05:00", query_type="segmentation", query="{}"
    )
    assert merge_changes(campaign, {"schedule_type": "now", "query_type": "all"}) == whole(query_type="all")
    unused = whole(schedule_rrule="2024-05-01 17:05:00", query_type="all", query="{}")
    assert merge_changes(unused, {"name": "x"}) == unused | {"name": "x"}
