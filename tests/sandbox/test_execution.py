"""Executions: when campaigns are executed, stopped and resumed, and whom they message."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from airflow_provider_bm.sandbox import SandboxClient
from tests.support.work import little_work

NOON = "2026-03-02T12:00:00+00:00"


def test_campaign_without_a_schedule_executes_now(api, sandbox):
    created = api.post().json()
    assert (created["status"], created["last_dt"]) == ("active", NOON)
    assert "next_dt" not in created
    uuid = created["uuid"]
    assert sandbox.executions() == [{"campaign_uuid": uuid, "dt": NOON, "contacts": 40}]
    assert sandbox.messages() == []
    sandbox.clock.advance(5)
    assert len(sandbox.messages()) == 20
    assert api.get(uuid)["status"] == "active"
    sandbox.clock.advance(4.999)
    assert (len(sandbox.messages()), api.get(uuid)["status"]) == (39, "active")
    sandbox.clock.advance(0.001)
    assert (len(sandbox.messages()), api.get(uuid)["status"]) == (40, "finished")
    sandbox.clock.advance(10**6)
    assert len(sandbox.messages()) == 40
    assert len(sandbox.executions()) == 1
    assert api.get(uuid)["last_dt"] == NOON


def test_message_has_recipient_text_and_time(api, sandbox):
    uuid = api.post(template="Dear {first_name} {nick_name}, {unknown}").json()["uuid"]
    sandbox.clock.advance(10)
    message = sandbox.messages(campaign_uuid=uuid)[0]
    assert message["text"].startswith("Dear ")
    assert message["text"].endswith(", {unknown}")
    assert "{first_name}" not in message["text"]
    assert {name: message[name] for name in ("campaign_uuid", "campaign_name", "channel", "sender")} == {
        "campaign_uuid": uuid,
        "campaign_name": "Storm warning",
        "channel": "sms",
        "sender": "+41587000000",
    }
    assert message["to"].startswith("+4155500")
    assert message["sent_dt"] == "2026-03-02T12:00:00.250+00:00"
    assert sandbox.messages(to=message["to"]) == [message]
    assert sandbox.messages(campaign_uuid="x") == []


@pytest.mark.parametrize(("channel", "part"), [("email", "@example.com"), ("whatsapp", "+4155500")])
def test_json_channels(api, sandbox, channel, part):
    api.post(sending_type=channel, template='{"text": "Hi {first_name}"}')
    sandbox.clock.advance(10)
    message = sandbox.messages()[0]
    assert part in message["to"]
    assert json.loads(message["text"])["text"].startswith("Hi ")
    assert "{" not in json.loads(message["text"])["text"]


def test_webpush_fields_are_in_the_message(api, sandbox):
    api.post(sending_type="webpush", webpush_title="{last_name}")
    sandbox.clock.advance(10)
    message = sandbox.messages()[0]
    assert message["to"] == message["contact_uuid"]
    assert message["webpush_title"] not in ("", "{last_name}")


def test_each_contact_gets_one_message(api, sandbox):
    lists = sandbox.recipient_lists
    api.post(recipient_lists=f"{lists['staff']}, {lists['customers']},{lists['region-north']}")
    sandbox.clock.advance(10)
    to = [message["to"] for message in sandbox.messages()]
    assert len(to) == len(set(to)) == sandbox.executions()[0]["contacts"]
    assert 1500 < len(to) < 2000


def test_once_campaign_executes_at_its_time(api, sandbox):
    uuid = api.post(schedule_type="once", schedule_rrule="2026-03-02 12:10:00").json()["uuid"]
    assert api.get(uuid)["next_dt"] == "2026-03-02T12:10:00+00:00"
    sandbox.clock.advance(599)
    assert sandbox.executions() == []
    sandbox.clock.advance(1)
    campaign = api.get(uuid)
    assert (campaign["status"], campaign["last_dt"]) == ("active", "2026-03-02T12:10:00+00:00")
    assert "next_dt" not in campaign
    sandbox.clock.advance(10)
    assert api.get(uuid)["status"] == "finished"
    assert len(sandbox.executions()) == 1


def test_scheduled_campaign_executes_by_its_rule(api, sandbox):
    rule = "FREQ=DAILY;BYHOUR=8;BYMINUTE=30;BYSECOND=0;COUNT=3"
    uuid = api.post(schedule_type="scheduled", schedule_rrule=rule).json()["uuid"]
    assert api.get(uuid)["next_dt"] == "2026-03-03T08:30:00+00:00"
    sandbox.clock.advance(timedelta(days=1))
    campaign = api.get(uuid)
    assert campaign["last_dt"] == "2026-03-03T08:30:00+00:00"
    assert campaign["next_dt"] == "2026-03-04T08:30:00+00:00"
    assert campaign["status"] == "active"
    sandbox.clock.advance(timedelta(days=30))
    campaign = api.get(uuid)
    assert (campaign["status"], campaign["last_dt"]) == ("finished", "2026-03-05T08:30:00+00:00")
    assert "next_dt" not in campaign
    assert [run["dt"][:10] for run in sandbox.executions()] == ["2026-03-03", "2026-03-04", "2026-03-05"]
    assert len(sandbox.messages()) == 120


def test_rule_without_dtstart_starts_at_creation(api, sandbox):
    # RFC 5545: DTSTART is the first of the set, and COUNT counts it.
    uuid = api.post(schedule_type="scheduled", schedule_rrule="FREQ=HOURLY;COUNT=2").json()["uuid"]
    campaign = api.get(uuid)
    assert (campaign["last_dt"], campaign["next_dt"]) == (NOON, "2026-03-02T13:00:00+00:00")


EVERY_SECOND = {"schedule_type": "scheduled", "schedule_rrule": "FREQ=SECONDLY"}


@pytest.mark.parametrize("remote", [False, True])
def test_clock_cannot_pass_too_many_executions(api, sandbox, remote):
    clock = SandboxClient(sandbox.url).clock if remote else sandbox.clock
    before = sandbox.clock.now()
    uuid = api.post(**EVERY_SECOND).json()["uuid"]
    for move in (lambda: clock.advance(365 * 86_400), lambda: clock.set(before + timedelta(days=1))):
        with pytest.raises(ValueError, match=r"executed more than 10000 times: advance in smaller steps"):
            move()
    assert sandbox.clock.now() == before
    clock.advance(3600)
    assert len(sandbox.executions(uuid)) == 3601
    sandbox.stop_campaign(uuid)
    clock.advance(365 * 86_400)
    assert len(sandbox.executions(uuid)) == 3601


def test_small_steps_can_pass_many_executions(api, sandbox):
    """The sandbox is not read in between."""
    uuid = api.post(**EVERY_SECOND).json()["uuid"]
    for _ in range(5):
        sandbox.clock.advance(3000)
    assert len(sandbox.executions(uuid)) == 15_001


def test_rule_stopped_for_too_long_cannot_be_resumed(api, sandbox):
    uuid = api.post(**EVERY_SECOND).json()["uuid"]
    sandbox.stop_campaign(uuid)
    sandbox.clock.advance(365 * 86_400)
    api.session.close()  # so that a thread of the server's begins, whose work is counted
    with little_work():
        assert list(api.problems(api.call("PATCH", f"/{uuid}", json={"status": "active"}))) == ["status"]
    assert api.call("PUT", f"/{uuid}", json=api.payload(**EVERY_SECOND)).json()["status"] == "active"


def test_rule_with_a_time_zone(api):
    # Summer time begins on 29 March in Zurich; the API returns UTC.
    rule = "DTSTART;TZID=Europe/Zurich:20260328T090000\nRRULE:FREQ=DAILY;COUNT=2"
    uuid = api.post(schedule_type="scheduled", schedule_rrule=rule).json()["uuid"]
    assert api.get(uuid)["next_dt"] == "2026-03-28T08:00:00+00:00"
    api.sandbox.clock.advance(timedelta(days=26))
    assert api.get(uuid)["next_dt"] == "2026-03-29T07:00:00+00:00"


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;UNTIL=20200101T000000Z",
        "DTSTART:20260301T080000Z\nRRULE:FREQ=DAILY;COUNT=1",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_rule_in_the_past_is_rejected(api, sandbox, rule):
    """The campaign would be finished at once without having sent anything."""
    schedule = {"schedule_type": "scheduled", "schedule_rrule": rule}
    assert api.problems(api.post(**schedule)) == {"schedule_rrule": "must have a time in the future"}
    draft = api.post(status="draft", **schedule)
    assert draft.status_code == 201
    uuid = draft.json()["uuid"]
    assert api.call("PUT", f"/{uuid}", json=api.payload(**schedule)).status_code == 400
    assert api.call("POST", json={"clone_uuid": uuid}).status_code == 400
    assert [campaign["status"] for campaign in sandbox.campaigns()] == ["draft"]


@pytest.mark.parametrize(
    "schedule",
    [
        {"schedule_type": "once", "schedule_rrule": "2026-03-02 12:10:00"},
        {
            "schedule_type": "scheduled",
            "schedule_rrule": "DTSTART:20260302T121000Z\nRRULE:FREQ=DAILY;COUNT=1",
        },
    ],
)
@pytest.mark.parametrize("stopped", [False, True])
def test_saving_during_the_last_execution_is_accepted(api, sandbox, schedule, stopped):
    uuid = api.post(**schedule).json()["uuid"]
    sandbox.clock.advance(605)
    if stopped:
        sandbox.stop_campaign(uuid)
    reply = api.call("PUT", f"/{uuid}", json=api.payload(name="New", **schedule))
    assert reply.status_code == 200, reply.text
    assert (reply.json()["name"], reply.json()["status"]) == ("New", "active")
    sandbox.clock.advance(5)
    assert (len(sandbox.executions()), len(sandbox.messages())) == (1, 40)
    assert api.get(uuid)["status"] == "finished"
    assert api.call("PUT", f"/{uuid}", json=api.payload(**schedule)).status_code == 400


def test_draft_waits_for_activation(api, sandbox):
    uuid = api.post(status="draft").json()["uuid"]
    sandbox.clock.advance(1000)
    assert sandbox.executions() == []
    api.call("PUT", f"/{uuid}", json=api.payload(status="active"))
    assert [run["dt"] for run in sandbox.executions()] == ["2026-03-02T12:16:40+00:00"]


def test_stop_and_resume(api, sandbox):
    uuid = api.post().json()["uuid"]
    sandbox.clock.advance(5)
    api.call("PATCH", f"/{uuid}", json={"status": "stopped"})
    sandbox.clock.advance(1000)
    assert len(sandbox.messages()) == 20
    assert api.get(uuid)["status"] == "stopped"
    api.call("PATCH", f"/{uuid}", json={"status": "active"})
    assert len(sandbox.messages()) == 20
    sandbox.clock.advance(2.5)
    assert len(sandbox.messages()) == 30
    sandbox.clock.advance(2.5)
    messages = sandbox.messages()
    assert len({message["to"] for message in messages}) == len(messages) == 40
    assert messages[19]["sent_dt"] == "2026-03-02T12:00:05.000+00:00"
    assert messages[20]["sent_dt"] == "2026-03-02T12:16:45.250+00:00"
    assert api.get(uuid)["status"] == "finished"
    assert len(sandbox.executions()) == 1


def test_stopped_campaign_skips_executions(api, sandbox):
    uuid = api.post(schedule_type="scheduled", schedule_rrule="FREQ=HOURLY;BYMINUTE=30;BYSECOND=0").json()[
        "uuid"
    ]
    stopped = api.call("PATCH", f"/{uuid}", json={"status": "stopped"}).json()
    assert "next_dt" not in stopped
    sandbox.clock.advance(timedelta(hours=5))
    resumed = api.call("PATCH", f"/{uuid}", json={"status": "active"}).json()
    assert resumed["next_dt"] == "2026-03-02T17:30:00+00:00"
    assert sandbox.executions() == []


def test_overdue_once_campaign_cannot_be_resumed(api, sandbox):
    uuid = api.post(schedule_type="once", schedule_rrule="2026-03-02 12:10:00").json()["uuid"]
    api.call("PATCH", f"/{uuid}", json={"status": "stopped"})
    sandbox.clock.advance(300)
    api.call("PATCH", f"/{uuid}", json={"status": "active"})
    assert api.get(uuid)["next_dt"] == "2026-03-02T12:10:00+00:00"
    api.call("PATCH", f"/{uuid}", json={"status": "stopped"})
    sandbox.clock.advance(300)
    assert api.call("PATCH", f"/{uuid}", json={"status": "active"}).status_code == 400
    sandbox.clock.advance(300)
    assert sandbox.executions() == []


def test_overdue_rule_cannot_be_resumed(api, sandbox):
    schedule = {"schedule_type": "scheduled", "schedule_rrule": "FREQ=HOURLY;BYMINUTE=30;BYSECOND=0;COUNT=1"}
    uuid = api.post(**schedule).json()["uuid"]
    api.call("PATCH", f"/{uuid}", json={"status": "stopped"})
    sandbox.clock.advance(3600)
    assert list(api.problems(api.call("PATCH", f"/{uuid}", json={"status": "active"}))) == ["status"]
    assert (api.get(uuid)["status"], sandbox.executions()) == ("stopped", [])
    assert api.call("PUT", f"/{uuid}", json=api.payload(status="stopped", **schedule)).status_code == 200
    assert api.call("PATCH", f"/{uuid}", json={"status": "active"}).status_code == 400
    # Counted from now, it has a time.
    saved = api.call("PUT", f"/{uuid}", json=api.payload(**schedule)).json()
    assert (saved["status"], saved["next_dt"]) == ("active", "2026-03-02T13:30:00+00:00")


@pytest.mark.parametrize("seconds", [0, 5, 100])
def test_saving_an_active_now_campaign_sends_again(api, sandbox, seconds):
    # On purpose: "now runs as soon as saved". Clients must not count on the opposite.
    uuid = api.post().json()["uuid"]
    sandbox.clock.advance(seconds)
    assert api.call("PUT", f"/{uuid}", json=api.payload()).status_code == 200
    sandbox.clock.advance(100)
    assert len(sandbox.executions()) == 2
    assert len(sandbox.messages()) == 80
    assert api.get(uuid)["status"] == "finished"


def test_saving_a_schedule_unchanged_keeps_its_count(api, sandbox):
    schedule = {"schedule_type": "scheduled", "schedule_rrule": "FREQ=HOURLY;BYMINUTE=30;BYSECOND=0;COUNT=2"}
    uuid = api.post(**schedule).json()["uuid"]
    sandbox.clock.advance(timedelta(hours=1))
    saved = api.call("PUT", f"/{uuid}", json=api.payload(name="New", **schedule)).json()
    assert saved["next_dt"] == "2026-03-02T13:30:00+00:00"
    sandbox.clock.advance(timedelta(days=1))
    assert len(sandbox.executions()) == 2
    assert {message["campaign_name"] for message in sandbox.messages()} == {"Storm warning", "New"}


def test_saving_a_new_schedule_replaces_the_old(api, sandbox):
    uuid = api.post(schedule_type="once", schedule_rrule="2026-03-02 12:10:00").json()["uuid"]
    moved = api.payload(schedule_type="once", schedule_rrule="2026-03-02 13:00:00")
    assert api.call("PUT", f"/{uuid}", json=moved).json()["next_dt"] == "2026-03-02T13:00:00+00:00"
    sandbox.clock.advance(timedelta(days=1))
    assert [run["dt"] for run in sandbox.executions()] == ["2026-03-02T13:00:00+00:00"]


@pytest.mark.parametrize("status", ["draft", "finished", "stopped"])
def test_saving_as_inactive_ends_sending(api, sandbox, status):
    uuid = api.post().json()["uuid"]
    sandbox.clock.advance(5)
    api.call("PUT", f"/{uuid}", json=api.payload(status=status))
    sandbox.clock.advance(100)
    assert len(sandbox.messages()) == 20
    assert api.get(uuid)["status"] == status


def test_deleting_ends_sending(api, sandbox):
    uuid = api.post().json()["uuid"]
    sandbox.clock.advance(5)
    api.call("DELETE", f"/{uuid}")
    sandbox.clock.advance(100)
    assert len(sandbox.messages(uuid)) == 20
    assert len(sandbox.executions(uuid)) == 1


def test_optional_fields(api, sandbox):
    uuid = api.post().json()["uuid"]
    sandbox.clock.advance(5)
    campaign = api.get(uuid, fields="tasks,messages")
    assert campaign["tasks"] == [
        {"uuid": campaign["tasks"][0]["uuid"], "started_dt": NOON, "total": 40, "sent": 20}
    ]
    assert campaign["messages"] == sandbox.messages()
    sandbox.clock.advance(50)
    listed = api.call("GET", "?fields=tasks").json()["data"][0]
    assert listed["tasks"][0]["finished_dt"] == "2026-03-02T12:00:10+00:00"
    assert listed["tasks"][0]["sent"] == 40
    assert "messages" not in listed
    assert "tasks" not in api.get(uuid)


def test_outcome_does_not_depend_on_when_it_is_read(api, sandbox):
    def run_in_steps(step):
        sandbox.reset()
        sandbox.clock.freeze()
        sandbox.clock.set(datetime.fromisoformat(NOON))
        rule = "FREQ=SECONDLY;INTERVAL=7;COUNT=5"  # executions overlap
        api.login().post(schedule_type="scheduled", schedule_rrule=rule)
        for _ in range(0, 60, step):
            sandbox.clock.advance(step)
            sandbox.campaigns()
            sandbox.messages()
        return [(m["to"], m["text"], m["sent_dt"][14:]) for m in sandbox.messages()], sandbox.campaigns()[0][
            "status"
        ]

    assert run_in_steps(1) == run_in_steps(60)
    assert run_in_steps(60)[1] == "finished"


def test_segmentation_selects_contacts(api, sandbox):
    rules = [
        {"field": "language", "condition": "eq", "value": "de", "operator": "AND"},
        {"field": "region", "condition": "in", "value": ["north", "south"], "operator": "AND"},
    ]
    query = json.dumps({"segmentation": [{"operator": "OR", "rules": rules}]})
    customers = sandbox.recipient_lists["customers"]
    api.post(
        recipient_lists=customers, query_type="segmentation", query=query, template="{language} {region}"
    )
    sandbox.clock.advance(10)
    assert {message["text"] for message in sandbox.messages()} == {"de north", "de south"}
    assert sandbox.executions()[0]["contacts"] == len(sandbox.messages()) > 50


def test_campaigns_are_executed_in_order_of_time(api, sandbox):
    rules = {
        "FREQ=HOURLY;BYMINUTE=0;BYSECOND=0;COUNT=3": ("12:00", "13:00", "14:00"),
        "FREQ=HOURLY;BYMINUTE=30;BYSECOND=0;COUNT=3": ("12:30", "13:30", "14:30"),
        "FREQ=HOURLY;INTERVAL=2;BYMINUTE=30;BYSECOND=0;COUNT=2": ("12:30", "14:30"),
    }
    created = [api.post(schedule_type="scheduled", schedule_rrule=rule).json()["uuid"] for rule in rules]
    sandbox.clock.advance(86_400)
    # Of executions at the same time, that of the older campaign is first.
    expected = sorted((dt, number) for number, dts in enumerate(rules.values()) for dt in dts)
    executions = [
        (execution["dt"][11:16], created.index(execution["campaign_uuid"]))
        for execution in sandbox.executions()
    ]
    assert executions == expected
    assert [campaign["status"] for campaign in sandbox.campaigns()] == ["finished"] * 3
