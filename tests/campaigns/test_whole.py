from __future__ import annotations

import pytest

from airflow_provider_bm.campaigns import CampaignCreate, check_complete, writable
from airflow_provider_bm.campaigns.constants import STATUSES
from tests.campaigns.samples import LIST_A, LIST_B, QUERY, problems_of, required, whole


def test_writable_takes_the_campaign_fields_of_a_response() -> None:
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
def test_a_whole_campaign_needs(name: str) -> None:
    payload = whole()
    del payload[name]
    assert list(problems_of(lambda: check_complete(payload))) == [name]


def test_a_whole_campaign_is_checked_across_what_was_merged() -> None:
    assert list(problems_of(lambda: check_complete(whole(sending_type="email")))) == ["template"]
    assert list(problems_of(lambda: check_complete(whole(query_type="segmentation")))) == ["query"]
    assert list(problems_of(lambda: check_complete(whole(query_type="segmentation", query="")))) == ["query"]
    assert list(problems_of(lambda: check_complete(whole(uuid=LIST_A)))) == ["uuid"]
