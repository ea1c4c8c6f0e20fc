"""Reading many campaigns with few requests, although servers may ignore filters or omit campaigns."""

from __future__ import annotations

import uuid

import pytest
import requests_mock

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.bulk import BulkReader
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.client.outbound_guard import allow_everything
from airflow_provider_bm.exceptions import BMError, BMResponseError

LISTS = r"/campaigns$"


@pytest.fixture
def reader(sandbox):
    sandbox.clock.freeze()
    settings = BMSettings(
        api_url=sandbox.api_url,
        token_url=sandbox.token_url,
        client_id=sandbox.client_id,
        client_secret=sandbox.client_secret,
        service_uuid=sandbox.service_uuid,
        timeout=5,
    )
    client = BMClient(settings, sleep=lambda _: None)
    yield BulkReader(client)
    client.close()


@pytest.fixture
def uuids(reader, sandbox):
    return [sandbox.create(status="active")["uuid"] for _ in range(9)]


def read(reader, uuids, fields=()):
    return {key: value for some in reader.read(uuids, fields) for key, value in some.items()}


def lists(sandbox):
    return len([request for request in sandbox.requests("GET") if request["path"].endswith("/campaigns")])


def singles(sandbox):
    return sorted(request["path"].rpartition("/")[2] for request in sandbox.requests("GET", "/campaigns/"))


def page(rows):
    pagination = {"total": len(rows), "count": len(rows), "perPage": 100, "currentPage": 1, "totalPages": 1}
    return {"data": rows, "meta": {"pagination": {**pagination, "links": {}}}}


def test_all_campaigns_are_read_with_one_request(reader, sandbox, uuids):
    assert list(read(reader, uuids)) == uuids
    assert (lists(sandbox), singles(sandbox)) == (1, [])


@pytest.mark.parametrize("position", ["before", "after"])
def test_server_that_ignores_the_filter_is_asked_once(reader, sandbox, position):
    """The second page is not requested, since the list would be all campaigns of the service."""

    def create(status, count):
        return [sandbox.create(status=status)["uuid"] for _ in range(count)]

    if position == "before":
        create("finished", 30)
    wanted = create("active", 5)
    if position == "after":
        create("finished", 30)
    sandbox.ignore_filters = True
    for _ in range(3):
        assert set(read(reader, wanted)) == set(wanted)
    assert lists(sandbox) == 1
    assert set(singles(sandbox)) <= set(wanted)


@pytest.mark.parametrize("status", [400, 403])
def test_server_that_refuses_the_filter_is_asked_once(reader, sandbox, uuids, status):
    sandbox.fault(method="GET", path=LISTS, times=None, status=status)
    for _ in range(3):
        assert set(read(reader, uuids)) == set(uuids)
    assert lists(sandbox) == 1
    assert singles(sandbox) == sorted(3 * uuids)


def test_campaigns_that_a_list_lacks_are_read_one_by_one(reader, sandbox, uuids):
    body = page(sandbox.campaigns()[:6])
    sandbox.fault(method="GET", path=LISTS, times=None, status=200, body=body)
    for _ in range(3):
        assert set(read(reader, uuids)) == set(uuids)
    missing = set(uuids) - {row["uuid"] for row in body["data"]}
    assert singles(sandbox) == sorted(3 * [*missing])
    # The list contains more campaigns than it lacks, so it is still used.
    assert lists(sandbox) == 3


@pytest.mark.parametrize(("times", "used"), [(None, 2), (1, 4)])
def test_lists_are_not_used_after_two_that_lack_most_campaigns(reader, sandbox, uuids, times, used):
    few = page(sandbox.campaigns()[:3])
    sandbox.fault(method="GET", path=LISTS, times=times, status=200, body=few)
    for _ in range(4):
        assert set(read(reader, uuids)) == set(uuids)
    assert lists(sandbox) == used


@pytest.mark.parametrize(
    "effect",
    [
        {"status": 500},
        {"status": 504},
        {"status": 408},
        {"garbage": True},
        {"html": True, "status": 200},
        {"body": "[]"},
    ],
)
def test_list_that_fails_is_read_one_by_one(reader, sandbox, uuids, effect):
    sandbox.fault(method="GET", path=LISTS, times=None, **effect)
    for _ in range(3):
        assert set(read(reader, uuids)) == set(uuids)
    tried = lists(sandbox)
    assert set(read(reader, uuids)) == set(uuids)
    assert lists(sandbox) == tried, "lists are given up"


def test_lists_with_fields_are_abandoned_for_these_fields_only(reader, sandbox, uuids):
    sandbox.fault(method="GET", path=LISTS, times=10, status=504)
    for _ in range(3):
        assert len(read(reader, uuids, ("messages",))) == 9
    before = lists(sandbox)
    assert len(read(reader, uuids)) == 9
    assert lists(sandbox) == before + 1


@pytest.mark.parametrize("status", [502, 503, 429, 401])
def test_error_of_the_server_is_raised(reader, sandbox, uuids, status):
    sandbox.fault(method="GET", times=None, status=status)
    with pytest.raises(BMError, match=str(status)):
        read(reader, uuids)
    assert not singles(sandbox)


def test_three_failing_campaigns_in_a_row_are_an_error_of_the_server(reader, sandbox, uuids):
    sandbox.fault(method="GET", path=LISTS, times=None, status=400)
    for bad in uuids[:3]:
        sandbox.fault(method="GET", path=bad, times=None, status=500)
    with pytest.raises(BMError, match="HTTP 500"):
        read(reader, uuids)
    # Campaigns that failed are read last the next time.
    found = []
    with pytest.raises(BMError, match="HTTP 500"):
        found += [uuid for some in reader.read(uuids) for uuid in some]
    for some in _until_error(reader.read(uuids)):
        found += some
    assert {*uuids[3:]} <= {*found}


def _until_error(found):
    try:
        yield from found
    except BMError:
        return


def test_list_of_a_service_that_does_not_exist(reader, sandbox, uuids):
    sandbox.fault(method="GET", path=LISTS, status=404)
    with pytest.raises(BMResponseError, match="is the Service UUID right"):
        read(reader, uuids)


@pytest.mark.parametrize("fields", [(), ("tasks", "messages")])
@pytest.mark.parametrize("length", [0, 1, 20, 44])
def test_url_is_not_too_long_wherever_the_api_is(fields, length):
    settings = BMSettings(
        api_url=f"https://bm{'x' * length}.example.com/news/v1",
        token_url="https://bm.example.com/token",
        client_id="id",
        client_secret="not-a-real-secret",
        service_uuid=str(uuid.uuid4()),
    )
    client = BMClient(settings, sleep=lambda _: None)
    with allow_everything(), requests_mock.Mocker() as mock:
        mock.post(settings.token_url, json={"access_token": "not-a-real-token"})
        mock.get(requests_mock.ANY, status_code=503)
        with pytest.raises(BMError, match="503"):
            read(BulkReader(client), [str(uuid.uuid4()) for _ in range(60)], fields)
    client.close()
    # A page number of three digits would fit as well.
    assert 1900 < len(mock.last_request.url) + 2 <= 2000


def test_campaign_that_contradicts_itself_in_a_list_is_read_by_itself(reader, sandbox, uuids):
    rows = sandbox.campaigns()
    body = page([*rows, rows[3] | {"status": "finished"}, rows[4]])
    sandbox.fault(method="GET", path=LISTS, times=None, status=200, body=body)
    found = read(reader, uuids)
    assert {campaign["status"] for campaign in found.values()} == {"active"}
    assert singles(sandbox) == [rows[3]["uuid"]]
    listed = {uuid: row for rows in reader.list(CampaignFilter.of()) for uuid, row in rows.items()}
    assert listed == found
    assert singles(sandbox) == [rows[3]["uuid"]] * 2
