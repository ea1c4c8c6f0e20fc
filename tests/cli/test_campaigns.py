"""`list` and `stop`."""

from __future__ import annotations

import io
import sys

import pytest


@pytest.fixture
def campaigns(sandbox):
    daily = {
        "status": "active",
        "schedule_type": "scheduled",
        "schedule_rrule": "FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
    }
    return [
        sandbox.create(name="[1234567890123456] Storm\nwarning", **daily),
        sandbox.create(name="Frost", **daily),
        sandbox.create(name="Flood", status="draft"),
    ]


def test_list_shows_a_table(run, campaigns):
    done = run("list")
    heading, *rows = done.out.splitlines()
    assert done.code == 0
    assert heading.split() == ["UUID", "NAME", "STATUS", "CHANNEL", "CREATED", "LAST", "NEXT"]
    assert {row.split()[0] for row in rows} == {each["uuid"] for each in campaigns}
    assert "Storm warning" in done.out


def test_list_prints_one_json_array(run, campaigns):
    done = run("list", "--output", "json", "--status", "draft")
    assert done.code == 0
    assert [each["uuid"] for each in done.json()] == [campaigns[2]["uuid"]]


def test_list_reports_that_there_are_more(run, campaigns):
    done = run("list", "--limit", "2", "--output", "json")
    assert len(done.json()) == 2
    assert "more than 2" in done.err


def test_empty_lists(run, sandbox):
    assert run("list").out == "No campaigns.\n"
    assert run("list", "-o", "json").json() == []


def test_stop_named_campaigns(run, sandbox, campaigns):
    done = run("stop", campaigns[0]["uuid"])
    assert done.code == 0
    assert [each["status"] for each in sandbox.campaigns()] == ["stopped", "active", "draft"]


def test_stop_continues_after_a_failure(run, sandbox, campaigns):
    unknown = "00000000-0000-4000-8000-000000000000"
    done = run("stop", unknown, campaigns[1]["uuid"], "--output", "json")
    assert done.code == 1
    assert done.json()[0]["status"].startswith("NOT STOPPED: HTTP 404")
    assert done.json()[1]["status"] == "stopped"


@pytest.mark.parametrize(
    ("answer", "code", "status"), [("y\n", 0, "stopped"), ("\n", 1, "active"), ("", 1, "active")]
)
def test_stop_all_asks_first(run, sandbox, campaigns, monkeypatch, answer, code, status):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    done = run("stop", "--all")
    assert done.code == code
    assert "Stop these 2 campaigns?" in done.err
    assert [each["status"] for each in sandbox.campaigns()] == [status, status, "draft"]


def test_stop_all_with_yes_does_not_ask(run, sandbox, campaigns):
    assert run("stop", "--all", "--yes").code == 0
    assert [each["status"] for each in sandbox.campaigns()] == ["stopped", "stopped", "draft"]
    assert run("stop", "--all", "--yes").out == "No campaign is active.\n"


@pytest.mark.parametrize("arguments", [["stop"], ["stop", "--all", "00000000-0000-4000-8000-000000000000"]])
def test_stop_needs_campaigns_or_all(run, sandbox, arguments):
    done = run(*arguments)
    assert done.code == 1
    assert "pass the UUIDs of campaigns, or --all" in done.err


def test_errors_are_one_line_without_a_traceback(run, sandbox):
    done = run("stop", "none")
    assert done.code == 1
    assert done.err.startswith("error: Invalid")
    assert "Traceback" not in done.err
    done = run("list", "--conn-id", "nowhere")
    assert done.code == 1
    assert "nowhere" in done.err


def test_wrong_usage_is_not_the_exit_code_of_something_to_send(run):
    assert run("list", "--limit", "many").code == 1
    assert run("nothing").code == 1
