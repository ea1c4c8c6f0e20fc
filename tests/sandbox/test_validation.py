"""Create, clone, update, status, delete: validation and effects."""

from __future__ import annotations

import json

import pytest

from tests.support.work import little_work


def test_create(api, sandbox):
    reply = api.post(
        query_type="all", webpush_title="", schedule_type="once", schedule_rrule="2026-03-02 17:05:00"
    )
    assert reply.status_code == 201
    body = reply.json()
    assert body == {
        "uuid": body["uuid"],
        "name": "Storm warning",
        "status": "active",
        "sending_type": "sms",
        "schedule_type": "once",
        "schedule_rrule": "2026-03-02 17:05:00",
        "template": "Hello {first_name}",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
        "query_type": "all",
        "created_dt": "2026-03-02T12:00:00+00:00",
        "updated_dt": "2026-03-02T12:00:00+00:00",
        "next_dt": "2026-03-02T17:05:00+00:00",
    }
    assert api.get(body["uuid"].upper()) == body


def test_every_problem_is_reported(api, sandbox):
    reply = api.call(
        "POST", json={"name": 5, "status": "stopped", "template": "", "nonsense": 1, "uuid": "x"}
    )
    problems = api.problems(reply)
    assert problems == {
        "name": "must be a string",
        "status": "must be one of: active, draft",
        "template": "must not be empty",
        "nonsense": "unknown field",
        "uuid": "unknown field",
        "sending_type": "is required",
        "schedule_type": "is required",
        "sender": "is required",
        "recipient_lists": "is required",
    }
    assert len(reply.json()["items"]) == len(problems)
    assert sandbox.campaigns() == []


QUERY = {
    "segmentation": [
        {
            "operator": "OR",
            "rules": [
                {"field": "first_name", "condition": "eq", "value": "John", "operator": "AND"},
                {"field": "last_name", "condition": "eq", "value": "Smith", "operator": "AND"},
            ],
        }
    ]
}


def _query(**rule):
    changed = json.loads(json.dumps(QUERY))
    changed["segmentation"][0]["rules"][1] |= rule
    return json.dumps(changed)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"sending_type": "pigeon"}, "sending_type", "must be one of: sms"),
        ({"status": "finished"}, "status", "must be one of: active, draft"),
        ({"query_type": "some"}, "query_type", "must be one of: all"),
        ({"query_type": ""}, "query_type", "must be one of: all"),
        ({"sender": None}, "sender", "is required"),
        ({"name": "Storm \ud800"}, "name", "UTF-8"),
        ({"schedule_rrule": "2026-03-03 10:00:00"}, "schedule_rrule", "must be absent"),
        ({"schedule_type": "once"}, "schedule_rrule", "is required"),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-02T17:05:00Z"}, "schedule_rrule", "format"),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-32 17:05:00"}, "schedule_rrule", "format"),
        ({"schedule_type": "once", "schedule_rrule": "2026-3-2 17:05:00"}, "schedule_rrule", "format"),
        ({"schedule_type": "once", "schedule_rrule": "2026-03-02 12:00:00"}, "schedule_rrule", "future"),
        ({"schedule_type": "scheduled"}, "schedule_rrule", "is required"),
        ({"schedule_type": "scheduled", "schedule_rrule": "every day"}, "schedule_rrule", "RRULE"),
        ({"schedule_type": "scheduled", "schedule_rrule": "FREQ=OFTEN"}, "schedule_rrule", "RRULE"),
        ({"schedule_type": "scheduled", "schedule_rrule": "FREQ=DAILY;BYHOUR=x"}, "schedule_rrule", "RRULE"),
        ({"schedule_type": "scheduled", "schedule_rrule": "FREQ=DAILY;COUNT"}, "schedule_rrule", "RRULE"),
        ({"sending_type": "email"}, "template", "JSON"),
        ({"sending_type": "viber", "template": '"text"'}, "template", "JSON"),
        ({"sending_type": "viber", "template": '{"a": NaN}'}, "template", "JSON"),
        pytest.param(
            {"sending_type": "viber", "template": '{"a":' + "[" * 50_000}, "template", "JSON", id="deep"
        ),
        ({"recipient_lists": "customers"}, "recipient_lists", "is not a UUID"),
        ({"recipient_lists": "cf9eeb30-c1af-11ee-8073-bf4d6e8c1619"}, "recipient_lists", "there is no"),
        ({"query_type": "segmentation"}, "query", "is required"),
        ({"query_type": "segmentation", "query": "{"}, "query", "not JSON"),
        ({"query_type": "segmentation", "query": "[" * 100_000}, "query", "not JSON"),
        ({"query": json.dumps(QUERY)[:-1] + ', "segmentation": []}'}, "query", "occurs twice"),
        ({"query": "[]"}, "query", "must be a JSON object"),
        ({"query": '{"segmentation": []}'}, "query", "at least one group"),
        ({"query": _query(operator="OR")}, "query", "the same operator as the first"),
        ({"query": _query(field="shoe_size")}, "query", "field must be one of"),
        ({"query": _query(condition="like")}, "query", "condition must be one of"),
        ({"query": _query(value=5)}, "query", "must be a string or an array"),
        ({"query": _query(more="x")}, "query", "unknown property"),
        ({"query": _query(condition="ann_in_days", value="soon")}, "query", "number of days"),
        ({"query": '{"segmentation": [{"operator": "AND", "rules": []}]}'}, "query", "at least one rule"),
        ({"template_vars": {"a": "b"}}, "template_vars", "needs clone_uuid"),
    ],
)
def test_rules_of_the_documentation(api, sandbox, changes, field, message):
    problems = api.problems(api.post(**changes))
    assert list(problems) == [field]
    assert message in problems[field]
    assert sandbox.campaigns() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "draft", "schedule_type": "once", "schedule_rrule": "2020-01-01 00:00:00"},
        {"schedule_type": "scheduled", "schedule_rrule": "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20270101T000000Z"},
        {"schedule_type": "scheduled", "schedule_rrule": "FREQ=WEEKLY;UNTIL=20270101"},
        {
            "schedule_type": "scheduled",
            "schedule_rrule": "DTSTART:20260401T080000Z\nRRULE:FREQ=DAILY;COUNT=3",
        },
        {"query_type": "segmentation", "query": json.dumps(QUERY)},
        {"sending_type": "email", "template": '{"subject": "{first_name}"}'},
    ],
)
def test_valid_payloads(api, changes):
    reply = api.post(**changes)
    assert reply.status_code == 201, reply.text


def test_clone_without_changes(api):
    source = api.post(
        status="draft", template="{temp} and {wind}, {first_name}", webpush_body="{temp}"
    ).json()
    reply = api.call("POST", json={"clone_uuid": source["uuid"], "template_vars": {"temp": "-22C", "x": "y"}})
    assert reply.status_code == 201
    clone = reply.json()
    assert clone["uuid"] != source["uuid"]
    assert clone["name"] == "Storm warning (copy)"
    assert clone["status"] == "active"
    assert clone["template"] == "-22C and {wind}, {first_name}"
    assert clone["webpush_body"] == "-22C"
    assert "clone_uuid" not in clone
    assert "template_vars" not in clone
    assert api.get(source["uuid"]) == source


def test_clone_overrides(api):
    source = api.post(status="draft", schedule_type="once", schedule_rrule="2020-01-01 00:00:00").json()[
        "uuid"
    ]
    assert list(api.problems(api.call("POST", json={"clone_uuid": source}))) == ["schedule_rrule"]
    reply = api.call(
        "POST", json={"clone_uuid": source, "name": "Mine", "schedule_type": "now", "status": "draft"}
    )
    assert reply.status_code == 201, reply.text
    assert (reply.json()["name"], reply.json()["status"]) == ("Mine", "draft")
    assert "schedule_rrule" not in reply.json()
    wrong = api.call("POST", json={"clone_uuid": source, "sender": "", "template_vars": {"a": 1}, "b": 2})
    assert set(api.problems(wrong)) == {"schedule_rrule", "sender", "template_vars", "b"}


def test_clone_cannot_break_json(api):
    source = api.post(status="draft", sending_type="email", template='{"text": "{who}"}').json()["uuid"]
    body = {"clone_uuid": source, "template_vars": {"who": 'a "quoted"\nname'}}
    template = api.call("POST", json=body).json()["template"]
    assert json.loads(template) == {"text": 'a "quoted"\nname'}


NAMES = ["wind speed", "straße", 'a"b', "a\\b", "a/b", "a\nb", "😀", "a.c", " ", "\\u00df"]


@pytest.mark.parametrize("name", NAMES)
def test_clone_fills_any_name(api, name):
    body = {"template_vars": {name: "{first_name}", "first_name": "100km/h"}, "status": "draft"}

    def cloned(template, **changes):
        source = api.post(status="draft", template=template, **changes).json()["uuid"]
        reply = api.call("POST", json=body | {"clone_uuid": source})
        assert reply.status_code == 201, reply.text
        return reply.json()["template"]

    # Each variable is replaced once, whatever its value contains.
    text, filled = f"{{{name}}} {{abc}} {{first_name}}", "{first_name} {abc} 100km/h"
    assert cloned(text) == filled
    parts = {"text": text, "more": {}}
    ascii_, plain = json.dumps(parts), json.dumps(parts, ensure_ascii=False)
    for template in (ascii_, plain, plain.replace("/", "\\/"), ascii_.replace("00df", "00DF"), ascii_ + " "):
        if json.loads(template) == parts:
            assert json.loads(cloned(template, sending_type="email")) == {"text": filled, "more": {}}


def test_clone_preserves_the_rest_of_json(api):
    template = '{"text": "Gr\\u00fcsse, {a}", "who": { }, "{a}": 1}'
    source = api.post(status="draft", sending_type="email", template=template).json()["uuid"]
    body = {"clone_uuid": source, "template_vars": {" ": "x", "a": '"'}}
    expected = '{"text": "Gr\\u00fcsse, \\"", "who": { }, "\\"": 1}'
    assert api.call("POST", json=body).json()["template"] == expected


@pytest.mark.parametrize(
    ("template_vars", "field"),
    [
        ({"who": ""}, "template"),  # nothing is left of it
        ({"{who}": "Ada"}, "template_vars"),
        ({"": "Ada"}, "template_vars"),
        ({"who": "\ud800"}, "template_vars"),
        ({"\ud800": "Ada"}, "template_vars"),
    ],
)
def test_clone_with_wrong_variables(api, sandbox, template_vars, field):
    source = api.post(status="draft", template="{who}").json()["uuid"]
    reply = api.call("POST", json={"clone_uuid": source, "template_vars": template_vars})
    assert list(api.problems(reply)) == [field]
    assert len(sandbox.campaigns()) == 1


def test_clone_of_an_unknown_campaign(api):
    body = {"clone_uuid": "1592695e-c1b1-11ee-b153-774c9d3a7957", "status": "stopped"}
    assert set(api.problems(api.call("POST", json=body))) == {"clone_uuid", "status"}


def test_update_is_the_whole_campaign(api, sandbox):
    created = api.post(status="draft", query_type="all").json()
    sandbox.clock.advance(60)
    reply = api.call("PUT", f"/{created['uuid']}", json=api.payload(status="draft", name="New"))
    assert reply.status_code == 200
    assert reply.json()["name"] == "New"
    assert "query_type" not in reply.json()
    assert reply.json()["created_dt"] == created["created_dt"]
    assert reply.json()["updated_dt"] == "2026-03-02T12:01:00+00:00"
    problems = api.problems(
        api.call("PUT", f"/{created['uuid']}", json={"name": "N", "clone_uuid": created["uuid"]})
    )
    assert problems["clone_uuid"] == "unknown field"
    assert problems["sender"] == "is required"
    assert api.get(created["uuid"]) == reply.json()


@pytest.mark.parametrize("status", ["active", "stopped", "finished", "draft"])
def test_update_takes_any_status(api, status):
    created = api.post(status="draft").json()["uuid"]
    assert api.call("PUT", f"/{created}", json=api.payload(status=status)).json()["status"] == status


def test_status(api):
    created = api.post().json()["uuid"]
    for status in ("active", "stopped", "stopped", "active"):
        reply = api.call("PATCH", f"/{created}", json={"status": status})
        assert (reply.status_code, reply.json()["status"]) == (200, status)
    for body in (
        {"status": "finished"},
        {"status": "draft"},
        {"status": None},
        {},
        {"status": "active", "a": "b"},
    ):
        assert api.problems(api.call("PATCH", f"/{created}", json=body))


@pytest.mark.parametrize("status", ["draft", "finished"])
def test_status_of_draft_and_finished_cannot_be_toggled(api, sandbox, status):
    created = sandbox.create(status=status)["uuid"]
    for wanted in ("active", "stopped"):
        assert list(api.problems(api.call("PATCH", f"/{created}", json={"status": wanted}))) == ["status"]
    assert api.get(created)["status"] == status


def test_delete(api, sandbox):
    created = api.post(status="draft").json()["uuid"]
    reply = api.call("DELETE", f"/{created}")
    assert (reply.status_code, reply.content) == (204, b"")
    assert "Content-Length" not in reply.headers
    for method in ("DELETE", "GET", "PUT", "PATCH"):
        assert api.call(method, f"/{created}").status_code == 404
    assert sandbox.campaigns() == []
    assert api.names() == []


def test_unknown_parameters(api):
    created = api.post(status="draft").json()["uuid"]
    assert list(api.problems(api.call("GET", f"/{created}?page_size=1"))) == ["page_size"]
    assert list(api.problems(api.call("GET", f"/{created}?fields=tasks,secrets"))) == ["fields"]
    assert list(api.problems(api.call("DELETE", f"/{created}?force=1"))) == ["force"]
    for query in ("fields=", "fields=tasks,", "fields=tasks&fields=messages"):
        assert list(api.problems(api.call("GET", f"/{created}?{query}"))) == ["fields"]


@pytest.mark.parametrize(
    "rule",
    [
        "DTSTART:00010101T000000Z\nRRULE:FREQ=SECONDLY;COUNT=1000000",
        "DTSTART;TZID=Europe/Zurich:19000101T000000\nRRULE:FREQ=MINUTELY;COUNT=100000",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=MINUTELY;INTERVAL=1000000;BYHOUR=3;BYMINUTE=7",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_rules_without_a_future_occurrence_are_rejected_soon(api, rule):
    with little_work():
        reply = api.post(schedule_type="scheduled", schedule_rrule=rule)
    assert list(api.problems(reply)) == ["schedule_rrule"]
