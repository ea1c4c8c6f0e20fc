"""Data of campaigns and messages for the page."""

from __future__ import annotations

import argparse
import json
import shlex
import time

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.__main__ import banner
from airflow_provider_bm.sandbox.page.view import View
from tests.sandbox.page.helpers import ask, names

STAFF = 40


def test_overview(api, sandbox):
    api.post(name="Sent", sending_type="email", template='{"body": "Hello"}')
    sandbox.clock.advance(4)
    view = ask(sandbox)
    assert view["clock"] == {"now": "2026-03-02T12:00:04.000+00:00", "speed": 1, "frozen": True}
    assert (view["counts"]["all"], view["counts"]["active"], view["messages"]) == (1, 1, 16)
    (row,) = view["rows"]
    assert row == view["selected"]
    assert (row["status"], row["state"], row["sent"], row["total"]) == ("active", "sending", 16, STAFF)
    assert (row["channel"], row["schedule"], row["runs"]) == ("email", "at once", 1)
    assert [(request["method"], request["status"]) for request in view["requests"]] == [
        ("POST", 201),
        ("POST", 200),
    ]
    sandbox.clock.advance(60)
    (row,) = ask(sandbox)["rows"]
    assert (row["status"], row["state"], row["sent"]) == ("finished", "done", STAFF)


def test_overview_identifies_the_sandbox(sandbox):
    with Sandbox() as other:
        assert ask(sandbox)["sandbox"] == ask(sandbox)["sandbox"] != ask(other)["sandbox"]


def test_unchanged_overview_is_not_sent_again(api, sandbox):
    sandbox.create(name="Long")
    seen = ask(sandbox)["tag"]
    sandbox.clock.advance(1)
    assert ask(sandbox, seen=seen) == {"clock": ask(sandbox)["clock"], "unchanged": True}
    assert "rows" in ask(sandbox, seen=seen, search="Short")
    api.call("GET")
    view = ask(sandbox, seen=seen)
    assert view["tag"] != seen
    assert names(view) == ["Long"]


def test_commands_to_connect_and_create(sandbox):
    view = ask(sandbox, "connection")
    assert view["connection"] in banner(sandbox)
    assert json.loads(shlex.split(view["connection"])[1].partition("=")[2]) == sandbox.connection()
    assert run_curl(view["example"])["uuid"] == sandbox.campaigns()[0]["uuid"]
    with Sandbox(host="0.0.0.0", client_secret="s3cr3t-of-mine") as other:
        login = {"auth": ("sandbox", "s3cr3t-of-mine"), "timeout": 10}
        view = requests.get(f"{other.url}/_sandbox/page/connection", **login).json()
        assert "s3cr3t-of-mine" not in str(view)
        run_curl(view["example"].replace("YOUR_CLIENT_SECRET", "s3cr3t-of-mine"))
        assert len(other.campaigns()) == 1


def run_curl(command):
    """Send the request of a curl command, since curl may not be installed."""
    given = argparse.ArgumentParser()
    for option in ("-X", "-H", "-d", "-u"):
        given.add_argument(option)
    given.add_argument("url")
    name, *options = shlex.split(command)
    found = given.parse_args(options)
    assert name == "curl"
    header = dict([found.H.split(": ")])
    login = tuple(found.u.split(":")) if found.u else None
    reply = requests.request(found.X, found.url, data=found.d, headers=header, auth=login, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_pages_filters_search_and_order(sandbox):
    for number in range(40):
        status = ("draft", "finished")[number % 2]
        sandbox.create(name=f"Campaign {number:02}", status=status)
    assert names(ask(sandbox)) == [f"Campaign {number:02}" for number in range(39, 24, -1)]
    assert names(ask(sandbox, page="3")) == [f"Campaign {number:02}" for number in range(9, -1, -1)]
    beyond = ask(sandbox, page="9")
    assert (beyond["page"], beyond["pages"], beyond["first"], beyond["found"]) == (3, 3, 31, 40)
    assert names(ask(sandbox, status="draft", sort="name"))[:2] == ["Campaign 00", "Campaign 02"]
    assert names(ask(sandbox, search="pAIGN 07")) == ["Campaign 07"]
    uuid = sandbox.campaigns()[7]["uuid"]
    assert names(ask(sandbox, search=uuid[:13].upper())) == ["Campaign 07"]
    assert names(ask(sandbox, search="(")) == []
    later = sandbox.create(
        name="Later", status="active", schedule_type="once", schedule_rrule="2026-03-04 06:00:00"
    )
    sooner = sandbox.create(
        name="Sooner", status="active", schedule_type="once", schedule_rrule="2026-03-03 06:00:00"
    )
    view = ask(sandbox, sort="next")
    assert names(view)[:2] == ["Sooner", "Later"]
    assert view["next_dt"] == sooner["next_dt"] < later["next_dt"]
    sandbox.clock.advance(86400)
    assert names(ask(sandbox, sort="last"))[0] == "Sooner"


@pytest.mark.parametrize(
    "query", ["page=x", "sort=colour", "colour=blue", "page=" + "9" * 5000, "until=x", "failed=perhaps"]
)
def test_invalid_queries_are_rejected(sandbox, query):
    assert requests.get(f"{sandbox.url}/_sandbox/page/overview?{query}", timeout=10).status_code == 400


def test_latest_execution_is_selected_by_default(sandbox):
    first = sandbox.create(name="First", status="active")
    sandbox.create(name="Draft", status="draft")
    assert ask(sandbox)["selected"]["name"] == "First"
    sandbox.clock.advance(60)
    sandbox.create(name="Second", status="active")
    assert ask(sandbox)["selected"]["name"] == "Second"
    assert ask(sandbox, selected=first["uuid"])["selected"]["name"] == "First"
    assert ask(sandbox, selected="nothing")["selected"] is None


def test_messages_of_a_campaign(sandbox):
    created = sandbox.create(name="Storm", status="active", template="Stay in, {first_name} {unknown}.")
    sandbox.clock.advance(4)
    view = ask(sandbox, "campaign", uuid=created["uuid"])
    assert (view["found"], view["total"], view["recipients"]) == (16, STAFF, ["staff"])
    sent = sandbox.messages(created["uuid"])
    assert [(message["to"], message["sent_dt"]) for message in view["messages"]] == [
        (message["to"], message["sent_dt"]) for message in sent
    ]
    message = view["messages"][3]
    for search in (message["contact"].upper(), message["to"], f"in, {message['contact'].split()[0]}"):
        found = ask(sandbox, "campaign", uuid=created["uuid"], search=search)["messages"]
        assert message in found
        assert len(found) < 16


def test_update_with_a_frozen_clock_changes_the_version(sandbox):
    created = sandbox.create(name="Draft", template="One")
    before = ask(sandbox)
    sandbox.update_campaign(created["uuid"], status="draft", template="Two")
    assert ask(sandbox)["selected"] != before["selected"]


def test_the_content_of_one_message_at_a_time(sandbox):
    created = sandbox.create(name="Storm", status="active", template="Stay in, {first_name}.")
    sandbox.clock.advance(4)
    sent = sandbox.messages(created["uuid"])
    view = ask(sandbox, "campaign", uuid=created["uuid"])
    assert (view["shown"]["number"], view["shown"]["text"]) == (0, [sent[0]["text"]])
    shown = ask(sandbox, "campaign", uuid=created["uuid"], message="3")["shown"]
    assert shown == {**view["messages"][3], **shown}
    assert (shown["text"], shown["sender"], shown["channel"]) == ([sent[3]["text"]], "+41587000000", "sms")
    # The selected message is on another page, so the first one is selected.
    assert ask(sandbox, "campaign", uuid=created["uuid"], message="16")["shown"]["number"] == 0
    found = ask(sandbox, "campaign", uuid=created["uuid"], message="3", search=sent[5]["to"])
    assert (found["shown"]["number"], len(found["messages"])) == (5, 1)


def test_times_of_messages_after_a_pause(sandbox):
    created = sandbox.create(status="active")["uuid"]
    sandbox.clock.advance(4)
    sandbox.stop_campaign(created)
    sandbox.clock.advance(3600)
    sandbox.start_campaign(created)
    sandbox.clock.advance(60)
    view = ask(sandbox, "campaign", uuid=created)
    times = [message["sent_dt"][11:19] for message in view["messages"]]
    assert (times[0], times[15], times[16], times[-1]) == ("12:00:00", "12:00:04", "13:00:04", "13:00:10")
    assert [message["sent_dt"] for message in sandbox.messages(created)] == [
        message["sent_dt"] for message in view["messages"]
    ]


def test_long_names_and_addresses_are_truncated(sandbox):
    lists = [sandbox.add_recipient_list(f"{number}" + "n" * 10**4, []) for number in range(50)]
    long = sandbox.add_recipient_list(
        "mine",
        [{"uuid": f"{number}" + "u" * 10**4, "first_name": "F" * 10**5} for number in range(50)],
    )
    created = sandbox.create(
        status="active",
        sending_type="webpush",
        sender="S" * 10**5,
        recipient_lists=",".join([long, *lists]),
    )
    sandbox.clock.advance(60)
    view = ask(sandbox, "campaign", uuid=created["uuid"])
    assert (len(view["messages"]), len(view["recipients"]), view["more_recipients"]) == (50, 20, 31)
    assert len(json.dumps(view)) < 100_000
    assert ask(sandbox, "campaign", uuid=created["uuid"], message="7")["shown"]["number"] == 7


def test_large_template_does_not_block_other_requests(sandbox):
    template = json.dumps({f"k{number}": {"a": "v" * 50} for number in range(10_000)} | {"text": "Hi"})
    created = sandbox.create(sending_type="rbm", template=template)
    held = []
    lock, view = sandbox.store.lock, View(sandbox)
    sandbox.store.lock = TimedLock(lock, held)
    began = time.thread_time()
    assert view.campaign(created["uuid"])["shown"]["text"] == ["Hi"]
    took = time.thread_time() - began
    assert sum(held) < took / 2


class TimedLock:
    """A lock that records how much work is done while it is locked."""

    def __init__(self, lock, held):
        self._lock, self._held = lock, held

    def __enter__(self):
        self._lock.__enter__()
        self._began = time.thread_time()

    def __exit__(self, *error):
        self._held.append(time.thread_time() - self._began)
        return self._lock.__exit__(*error)


def test_pages_of_messages(sandbox):
    created = sandbox.create(status="active", recipient_lists=sandbox.recipient_lists["customers"])
    sandbox.clock.advance(60)
    total = ask(sandbox, "campaign", uuid=created["uuid"])["total"]
    seen = []
    for number in range(1, -(-total // 50) + 1):
        seen += ask(sandbox, "campaign", uuid=created["uuid"], page=str(number))["messages"]
    assert [message["to"] for message in seen] == [
        message["to"] for message in sandbox.messages(created["uuid"])
    ]


def test_each_execution_of_a_campaign(sandbox):
    created = sandbox.create(
        status="active", schedule_type="scheduled", schedule_rrule="FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0"
    )
    preview = ask(sandbox, "campaign", uuid=created["uuid"])
    assert (preview["run"], preview["preview_dt"]) == ("preview", "2026-03-03T06:00:00+00:00")
    assert len(preview["messages"]) == STAFF
    for _ in range(3):
        assert requests.post(f"{sandbox.url}/_sandbox/page/next", timeout=10).status_code == 200
    view = ask(sandbox, "campaign", uuid=created["uuid"])
    days = [(run["started_dt"][:10], run["sent"], run["state"]) for run in view["runs"]]
    assert days == [
        ("2026-03-05", 0, "sending"),
        ("2026-03-04", STAFF, "done"),
        ("2026-03-03", STAFF, "done"),
    ]
    assert (view["run"], view["messages"]) == (view["runs"][0]["uuid"], [])
    earlier = ask(sandbox, "campaign", uuid=created["uuid"], run=view["runs"][2]["uuid"])
    assert earlier["messages"][0]["sent_dt"].startswith("2026-03-03T06:00:00")
    assert ask(sandbox, "campaign", uuid=created["uuid"], run="preview")["run"] == "preview"
    assert sandbox.clock.now().isoformat() == "2026-03-05T06:00:00+00:00"


def test_preview_sends_nothing(sandbox):
    rule = {"field": "first_name", "condition": "eq", "value": "Nobody", "operator": "AND"}
    query = json.dumps({"segmentation": [{"operator": "OR", "rules": [rule]}]})
    created = sandbox.create(status="draft", template="For {first_name}")
    fitting = sandbox.create(status="draft", query_type="segmentation", query=query)
    view = ask(sandbox, "campaign", uuid=created["uuid"])
    assert (view["run"], view["total"], len(view["messages"])) == ("preview", STAFF, STAFF)
    assert view["shown"]["text"] == [f"For {view['shown']['contact'].split()[0]}"]
    assert ask(sandbox, "campaign", uuid=fitting["uuid"])["messages"] == []
    assert sandbox.messages() == sandbox.executions() == []
    assert ask(sandbox)["messages"] == 0


def test_messages_of_a_deleted_campaign_remain(api, sandbox):
    created = api.post(name="Gone").json()["uuid"]
    sandbox.clock.advance(60)
    api.call("DELETE", f"/{created}")
    view = ask(sandbox)
    assert (view["counts"]["all"], view["counts"]["deleted"], view["messages"]) == (0, 1, STAFF)
    assert names(view) == []
    assert names(ask(sandbox, status="deleted")) == ["Gone"]
    shown = ask(sandbox, "campaign", uuid=created)
    assert (shown["row"]["status"], shown["found"], shown["can_preview"]) == ("deleted", STAFF, False)
    assert ask(sandbox, "campaign", uuid=created, run="preview")["run"] == shown["run"]


def test_several_services(sandbox):
    other = sandbox.add_service()
    sandbox.create(name="First")
    created = sandbox.create(name="There", service_uuid=other)
    sandbox.create(name="Last")
    assert names(ask(sandbox)) == ["Last", "There", "First"]
    assert ask(sandbox, "campaign", uuid=created["uuid"])["service_uuid"] == other


def test_advance_to_the_next_execution(sandbox):
    reply = requests.post(f"{sandbox.url}/_sandbox/page/next", timeout=10)
    assert reply.status_code == 400
    assert "No campaign" in reply.json()["message"]


def test_search_matches_the_text_as_read(sandbox):
    created = sandbox.create(
        status="active", sending_type="viber", template=r'{"text": "Gr\u00fcezi\n{first_name}"}'
    )
    sandbox.clock.advance(10)
    for search, found in (("grÜezi", True), (r"gr\u00fcezi", True), ("gruezi", False)):
        assert bool(ask(sandbox, "campaign", uuid=created["uuid"], search=search)["messages"]) == found
