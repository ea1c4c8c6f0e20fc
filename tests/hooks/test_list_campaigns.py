"""list_campaigns: filters, sort, fields, and pages, which are requested only when needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_bm.exceptions import BMNotFoundError, BMPayloadError, BMResponseError
from tests.hooks.http_stub import LIST, OTHER, UUID, campaign, page

PAGE = [("page_number", "1"), ("page_size", "100")]


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def rows(*numbers: int) -> list[dict[str, object]]:
    return [campaign(uuid_of(number)) for number in numbers]


def numbers(campaigns) -> list[int]:
    return [int(campaign["uuid"][-12:]) for campaign in campaigns]


def queries(http_stub) -> list[list[tuple[str, str]]]:
    return [parse_qsl(urlsplit(request.url).query, keep_blank_values=True) for request in http_stub.requests]


def pages_asked_for(http_stub) -> list[tuple[int, int]]:
    return [(int(dict(query)["page_number"]), int(dict(query)["page_size"])) for query in queries(http_stub)]


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({}, []),
        ({"sending_type": None, "status": None, "filters": None, "fields": None, "sort": None}, []),
        ({"status": "draft", "sending_type": "sms"}, [("sending_type", "sms"), ("status", "draft")]),
        ({"status": ["draft"]}, [("status", "draft")]),
        ({"status": ["draft", "active"]}, [("in(status)", "draft,active")]),
        ({"status": "draft, active"}, [("in(status)", "draft,active")]),
        ({"sort": "-created_dt"}, [("sort", "-created_dt")]),
        ({"sort": ["-created_dt", "name"]}, [("sort", "-created_dt,name")]),
        ({"fields": ["tasks", "messages"]}, [("fields", "tasks,messages")]),
        ({"filters": {"name": "Storm & more=1"}}, [("name", "Storm & more=1")]),
        ({"filters": {"eq(name)": "a,b"}}, [("eq(name)", "a,b")]),
        ({"filters": {"startswith(name)": "Storm [", "neq(status)": "draft"}},
         [("startswith(name)", "Storm ["), ("neq(status)", "draft")]),
        ({"filters": [("contains(name)", "a"), ("contains(name)", "b")]},
         [("contains(name)", "a"), ("contains(name)", "b")]),
        ({"filters": {"uuid": [UUID, OTHER]}}, [("in(uuid)", f"{UUID},{OTHER}")]),
        ({"filters": {"in(uuid)": (UUID, OTHER)}}, [("in(uuid)", f"{UUID},{OTHER}")]),
        ({"filters": {"in(status)": "active,draft"}}, [("in(status)", "active,draft")]),
        ({"filters": {"between(sender)": [1, 2.5]}}, [("between(sender)", "1,2.5")]),
        ({"filters": {"isnull(last_dt)": None}}, [("isnull(last_dt)", "true")]),
        ({"filters": {"isnotempty(last_dt)": True}}, [("isnotempty(last_dt)", "true")]),
        ({"filters": {"gte(created_dt)": datetime(2026, 1, 1, tzinfo=UTC)}},
         [("gte(created_dt)", "2026-01-01T00:00:00+00:00")]),
        ({"filters": {"lt(next_dt)": datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))}},
         [("lt(next_dt)", "2026-01-01T00:00:00+00:00")]),
    ],
)  # fmt: skip
def test_query_parameters_of_the_arguments(hook, http_stub, arguments, query):
    http_stub.answer("GET", LIST, {"json": page()})
    assert list(hook.list_campaigns(**arguments)) == []
    assert queries(http_stub) == [query + PAGE]


def test_all_pages_in_order(hook, http_stub):
    answers = [page(*rows(n), number=n, pages=3, per_page=1) for n in (1, 2, 3)]
    http_stub.answer("GET", LIST, *({"json": answer} for answer in answers))
    assert numbers(hook.list_campaigns(page_size=1, status="active")) == [1, 2, 3]
    assert pages_asked_for(http_stub) == [(1, 1), (2, 1), (3, 1)]
    assert all(("status", "active") in query for query in queries(http_stub))


@pytest.mark.parametrize(("wanted", "asked"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (9, 3)])
def test_pages_are_requested_when_needed(hook, http_stub, wanted, asked):
    answers = [page(*rows(2 * n, 2 * n + 1), number=n, pages=3, per_page=2) for n in (1, 2, 3)]
    http_stub.answer("GET", LIST, *({"json": answer} for answer in answers))
    assert len(list(islice(hook.list_campaigns(page_size=2), wanted))) == min(wanted, 6)
    assert len(http_stub.requests) == asked


def test_smaller_pages_than_requested_are_followed(hook, http_stub):
    """The second page of 50 campaigns is not the second page of 100."""
    http_stub.answer("GET", LIST, *({"json": page(*rows(n), number=n, pages=2, per_page=50)} for n in (1, 2)))
    assert numbers(hook.list_campaigns()) == [1, 2]
    assert pages_asked_for(http_stub) == [(1, 100), (2, 50)]


def test_pages_that_shift_yield_each_campaign_once(hook, http_stub):
    http_stub.answer(
        "GET",
        LIST,
        {"json": page(*rows(1, 2), number=1, pages=2, per_page=2)},
        {"json": page(*rows(2, 3), number=2, pages=3, per_page=2)},  # a campaign was created meanwhile
        {"json": page(*rows(3, 4), number=3, pages=3, per_page=2)},
    )
    assert numbers(hook.list_campaigns(page_size=2)) == [1, 2, 3, 4]


def test_page_without_new_campaigns_does_not_end_the_list(hook, http_stub):
    http_stub.answer(
        "GET", LIST, *({"json": page(*rows(r), number=n, pages=3)} for n, r in ((1, 1), (2, 1), (3, 2)))
    )
    assert numbers(hook.list_campaigns()) == [1, 2]


def test_the_number_of_pages_may_shrink(hook, http_stub):
    http_stub.answer(
        "GET", LIST, {"json": page(*rows(1), number=1, pages=3)}, {"json": page(number=2, pages=1)}
    )
    assert numbers(hook.list_campaigns()) == [1]
    assert len(http_stub.requests) == 2


def test_a_server_that_repeats_a_page_is_an_error(hook, http_stub):
    http_stub.answer("GET", LIST, {"json": page(*rows(1), number=1, pages=9)})
    found = []
    with pytest.raises(BMResponseError, match="asked for page 2 and returned page 1"):
        found.extend(hook.list_campaigns())
    assert len(http_stub.requests) == 2


def test_an_empty_page_in_the_middle_is_an_error(hook, http_stub):
    """A task that stops all active campaigns must not mistake it for the end of the list."""
    http_stub.answer("GET", LIST, {"json": page(*rows(1), pages=3)}, {"json": page(number=2, pages=3)})
    with pytest.raises(BMResponseError, match="page 2 of 3"):
        list(hook.list_campaigns())


@pytest.mark.parametrize("pages", [0, 1])
def test_empty_list(hook, http_stub, pages):
    http_stub.answer("GET", LIST, {"json": page(pages=pages)})
    assert list(hook.list_campaigns()) == []
    assert len(http_stub.requests) == 1


def changed(**pagination: object) -> dict[str, object]:
    changed_page = page(*rows(1))
    changed_page["meta"]["pagination"] |= pagination
    return changed_page


@pytest.mark.parametrize(
    "wrong",
    [
        None, [], "x", {}, {"data": []}, {"data": [], "meta": None}, {"data": [], "meta": {}},
        {"data": [], "meta": {"pagination": None}}, {"data": [], "meta": {"pagination": {}}},
        {**page(), "data": {}}, {**page(), "data": None}, page("x"), page({"uuid": "7", "status": "active"}),
        page({"uuid": UUID}), changed(currentPage=None), changed(currentPage="1"), changed(totalPages=-1),
        changed(totalPages=1.5), changed(perPage=None), changed(totalPages=True),
    ],
)  # fmt: skip
def test_response_with_a_wrong_shape_is_an_error(hook, http_stub, waits, wrong):
    http_stub.answer("GET", LIST, {"json": wrong})
    with pytest.raises(BMResponseError, match="response to GET") as caught:
        list(hook.list_campaigns())
    assert not caught.value.permanent
    assert len(http_stub.requests) > 4


def test_invalid_filter_is_raised_by_the_call_not_by_the_iterator(hook, http_stub):
    listed = hook.list_campaigns()
    http_stub.answer("GET", LIST, {"status_code": 404})
    with pytest.raises(BMNotFoundError):
        next(listed)


def test_campaigns_with_another_status_are_an_error(hook, http_stub):
    """Callers may stop or delete what they get, and the format of the filter is only assumed."""
    http_stub.answer("GET", LIST, {"json": page(*rows(1, 2))})
    with pytest.raises(BMResponseError, match="does not support the filter"):
        list(hook.list_campaigns(status=["draft", "stopped"]))


@pytest.mark.parametrize("operator", ["startswith", "contains", "endswith", "doesnotcontain"])
def test_filter_with_an_empty_value_is_refused(hook, http_stub, operator):
    with pytest.raises(BMPayloadError, match="must not be empty"):
        hook.list_campaigns(filters={f"{operator}(name)": ""})
    assert http_stub.requests == []


@pytest.mark.parametrize(
    "filters", [{"startswith(nmae)": "Storm"}, {"name__startswith": "Storm"}, [("eq(x)", 1)]]
)
def test_filter_without_a_column_is_refused(hook, http_stub, filters):
    """A server that ignores it would return all campaigns, and callers may stop or delete them."""
    with pytest.raises(BMPayloadError, match="column"):
        hook.list_campaigns(filters=filters)
    assert http_stub.requests == []


@pytest.mark.parametrize("value", ["false", "False", "no", 0, False])
@pytest.mark.parametrize("operator", ["isnull", "isnotnull", "isempty", "isnotempty"])
def test_a_filter_that_takes_no_value_refuses_one(hook, http_stub, operator, value):
    with pytest.raises(BMPayloadError, match=f"{operator} takes no value"):
        hook.list_campaigns(filters={f"{operator}(last_dt)": value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"status": "draft"},
        {"status": ["draft", "stopped"]},
        {"sending_type": "email"},
        {"sending_type": ["email", "viber"]},
        {"filters": {"startswith(name)": "Gale"}},
        {"filters": [("gte(created_dt)", "2027-01-01T00:00:00+00:00")]},
    ],
)
def test_a_campaign_that_does_not_match_is_an_error(hook, http_stub, arguments):
    http_stub.answer("GET", LIST, {"json": page(campaign())})
    with pytest.raises(BMResponseError, match=r"'Storm', whose .*it does not support the filter"):
        list(hook.list_campaigns(**arguments))
