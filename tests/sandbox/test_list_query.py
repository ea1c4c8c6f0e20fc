"""Lists: filters of the URL Filtering Guidelines, sort, paging."""

from __future__ import annotations

import pytest
from requests.compat import quote

UUID = "aaaaaaaa-0000-4000-8000-00000000000{}"


@pytest.fixture
def four(sandbox):
    """Campaigns A to D, an hour apart."""
    created = [
        {"name": "A", "status": "draft", "sender": "10", "webpush_title": "x"},
        {"name": "B", "status": "finished", "sender": "9", "last_dt": "2026-03-02T10:00:00+00:00"},
        {"name": "C", "status": "stopped", "sender": "100", "sending_type": "viber"},
        {"name": "D", "sender": "9", "last_dt": "2026-03-02T11:30:00+00:00", "status": "finished"},
    ]
    for number, fields in enumerate(created):
        sandbox.create(uuid=UUID.format(number), created_dt=f"2026-03-02T0{number}:00:00Z", **fields)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "ABCD"),
        ("status=draft", "A"),
        ("sending_type=viber", "C"),
        ("name=B", "B"),
        ("eq(name)=B", "B"),
        ("neq(name)=B", "ACD"),
        ("in(status)=draft,stopped", "AC"),
        ("notin(status)=draft,stopped", "BD"),
        ("isnull(last_dt)=", "AC"),
        ("isnull(last_dt)=true", "AC"),
        ("isnotnull(last_dt)=", "BD"),
        ("isempty(webpush_title)=", "BCD"),
        ("isnotempty(webpush_title)=", "A"),
        ("eq(webpush_title)=y", ""),
        ("neq(webpush_title)=y", "ABCD"),
        ("startswith(sender)=10", "AC"),
        ("endswith(sender)=0", "AC"),
        ("contains(template)=Hello {f", "ABCD"),
        ("doesnotcontain(template)={", ""),
        ("lt(sender)=10", "BD"),
        ("lte(sender)=10", "ABD"),
        ("gt(sender)=10", "C"),
        ("gte(sender)=10", "AC"),
        ("between(sender)=10,100", "AC"),
        ("notbetween(sender)=10,100", "BD"),
        ("gte(created_dt)=2026-03-02T02:00:00Z", "CD"),
        ("gt(created_dt)=2026-03-02T03:00:00+02:00", "CD"),
        ("eq(created_dt)=2026-03-02T01:00:00Z", "B"),
        ("gt(created_dt)=2026-03-02T00:00:00Z&lt(created_dt)=2026-03-02T02:00:00Z", "B"),
        ("between(created_dt)=2026-03-02T01:00:00Z,2026-03-02T02:00:00Z", "BC"),
        ("lt(last_dt)=2026-03-02T11:00:00Z", "B"),
        ("status=finished&gt(sender)=5&neq(name)=B", "D"),
        (f"in(uuid)={UUID.format(3)},{UUID.format(1)},{UUID.format(3).upper()}", "BD"),
        (f"uuid={UUID.format(3)}&name=A", ""),
        ("sort=-created_dt", "DCBA"),
        ("sort=sender,-name", "ACDB"),
        ("sort=last_dt,name", "ACBD"),
        ("sort=-last_dt&status=finished", "DB"),
    ],
)
def test_filters_and_sort(api, four, query, names):
    encoded = "&".join(
        f"{quote(k, safe='()')}={quote(v)}"
        for k, v in (pair.split("=", 1) for pair in query.split("&") if pair)
    )
    assert "".join(api.names("?" + encoded)) == names


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("nonsense=1", "nonsense"),
        ("like(name)=A", "like(name)"),
        ("eq(shoe)=1", "eq(shoe)"),
        ("eq(name=1", "eq(name"),
        ("status=asleep", "status"),
        ("in(status)=draft,asleep", "in(status)"),
        ("schedule_type=sometimes", "schedule_type"),
        ("in(schedule_type)=once,sometimes", "in(schedule_type)"),
        ("eq(query_type)=some", "eq(query_type)"),
        ("uuid=x", "uuid"),
        (f"in(uuid)={UUID.format(1)},x", "in(uuid)"),
        ("notin(uuid)=", "notin(uuid)"),
        ("gt(created_dt)=yesterday", "gt(created_dt)"),
        ("between(sender)=1", "between(sender)"),
        ("lt(created_dt)=2026-W10-1", "lt(created_dt)"),
        ("lt(created_dt)=20260302", "lt(created_dt)"),
        ("lt(created_dt)=0001-01-01T00:00:00%2B14:00", "lt(created_dt)"),
        ("in(created_dt)=2026-03-02,9999-12-31T23:59:59-01:00", "in(created_dt)"),
        ("status=draft&status=active", "status"),
        ("sort=shoe", "sort"),
        ("sort=", "sort"),
        ("sort=name,", "sort"),
        ("sort=name&sort=-uuid", "sort"),
        ("fields=", "fields"),
        ("fields=tasks,,messages", "fields"),
        ("fields=tasks&fields=messages", "fields"),
        ("fields=shoes", "fields"),
        ("page_number=0", "page_number"),
        ("page_number=-1", "page_number"),
        ("page_size=many", "page_size"),
        ("page_size=", "page_size"),
        ("page_size=1&page_size=2", "page_size"),
    ],
)
def test_wrong_parameters(api, query, name):
    assert list(api.problems(api.call("GET", "?" + query))) == [name]


def test_every_wrong_parameter_is_an_item(api):
    assert set(api.problems(api.call("GET", "?a=1&sort=b&page_size=c"))) == {"a", "sort", "page_size"}


def test_pages(api, sandbox):
    for number in range(23):
        sandbox.create(name=f"{number:02d}")
    first = api.call("GET", "?status=draft").json()
    pagination = first["meta"]["pagination"]
    links = pagination.pop("links")
    assert pagination == {"total": 23, "count": 10, "perPage": 10, "currentPage": 1, "totalPages": 3}
    assert set(links) == {"first", "last", "next"}
    seen, page = [], api.call("GET", "?status=draft").json()
    while True:
        seen += [campaign["name"] for campaign in page["data"]]
        following = page["meta"]["pagination"]["links"].get("next")
        if following is None:
            break
        page = api.session.get(following).json()
    assert seen == [f"{number:02d}" for number in range(23)]
    assert page["meta"]["pagination"]["links"]["last"] == links["last"]
    assert api.session.get(page["meta"]["pagination"]["links"]["prev"]).json()["data"][0]["name"] == "10"
    beyond = api.call("GET", "?page_number=9&page_size=5").json()
    assert beyond["data"] == []
    assert beyond["meta"]["pagination"]["count"] == 0
    assert beyond["meta"]["pagination"]["totalPages"] == 5


@pytest.mark.parametrize(
    ("headers", "start"),
    [
        ({"Host": "bm.example.internal:81"}, "http://bm.example.internal:81/news/v1/services/"),
        (
            {"Host": "bm.example.com", "X-Forwarded-Proto": "https"},
            "https://bm.example.com/news/v1/services/",
        ),
        ({"Host": "a/b?c"}, "http://127.0.0.1:"),
    ],
)
def test_page_links_use_the_host_of_the_request(api, sandbox, headers, start):
    for _ in range(2):
        sandbox.create()
    page = api.call("GET", "?page_size=1", headers=headers).json()
    assert page["meta"]["pagination"]["links"]["next"].startswith(start)


def test_page_size_is_capped(api, sandbox):
    for _ in range(101):
        sandbox.create()
    page = api.call("GET", "?page_size=5000").json()
    assert len(page["data"]) == page["meta"]["pagination"]["perPage"] == 100


def test_filters_can_be_ignored_to_test_clients(api, four, sandbox):
    sandbox.ignore_filters = True
    assert "".join(api.names("?in(uuid)=x&name=B&uuid=y&neq(nonsense)=1")) == "ABCD"
    assert "".join(api.names("?status=draft&sort=-name")) == "A"
    sandbox.reset()
    assert api.login().names() == []


@pytest.mark.parametrize("operator", ["isnull", "isnotnull", "isempty", "isnotempty"])
@pytest.mark.parametrize("value", ["false", "0", "1", "x", "true,true"])
def test_operators_without_a_value_take_none(api, operator, value):
    """The value false would otherwise have the opposite of the intended effect."""
    problems = api.problems(api.call("GET", f"?{operator}(last_dt)={value}"))
    assert problems == {f"{operator}(last_dt)": f"{operator} takes no value: true, or nothing; not {value!r}"}
