"""Actions of a person at the console: locally, and through the remote client."""

from __future__ import annotations

import pytest

from airflow_provider_bm.sandbox import SandboxClient


@pytest.fixture(params=["here", "remote"])
def console(request, sandbox):
    """The sandbox itself, or its remote client."""
    return sandbox if request.param == "here" else SandboxClient(sandbox.url)


def test_start_and_stop(console, sandbox):
    created = console.create(name="Storm")["uuid"]
    assert console.start_campaign(created)["status"] == "active"
    sandbox.clock.advance(5)
    assert console.stop_campaign(created)["status"] == console.stop_campaign(created)["status"] == "stopped"
    sandbox.clock.advance(100)
    assert len(sandbox.messages()) == 20
    assert console.start_campaign(created)["status"] == console.start_campaign(created)["status"] == "active"
    sandbox.clock.advance(5)
    assert len(sandbox.messages()) == 40
    assert sandbox.campaigns()[0]["status"] == "finished"
    # A finished campaign can be started again, as in the BM console.
    console.start_campaign(created)
    sandbox.clock.advance(10)
    assert len(sandbox.messages()) == 80


def test_update(console, sandbox):
    created = console.create(name="Storm", query_type="all")["uuid"]
    changed = console.update_campaign(created.upper(), template="New {first_name}", query_type=None)
    assert (changed["name"], changed["template"]) == ("Storm", "New {first_name}")
    assert "query_type" not in changed
    assert sandbox.campaigns() == [changed]


def test_delete(console, sandbox):
    created = console.create(status="active")["uuid"]
    sandbox.clock.advance(10)
    console.delete_campaign(created)
    assert sandbox.campaigns() == []
    assert len(sandbox.messages(created)) == 40


def test_campaigns_of_any_service(console, sandbox):
    other = sandbox.add_service()
    created = console.create(service_uuid=other)["uuid"]
    assert console.start_campaign(created)["status"] == "active"


def test_impossible_changes_are_errors(console, sandbox):
    unknown = "aaaaaaaa-0000-4000-8000-000000000000"
    draft = console.create()["uuid"]
    missed = console.create(status="active", schedule_type="once", schedule_rrule="2026-03-02 13:00:00")[
        "uuid"
    ]
    console.stop_campaign(missed)
    sandbox.clock.advance(3600)
    for wrong, message in (
        (lambda: console.start_campaign(unknown), f"there is no campaign {unknown}"),
        (lambda: console.delete_campaign(unknown), "there is no campaign"),
        (lambda: console.stop_campaign(draft), "a draft campaign cannot be stopped"),
        (lambda: console.start_campaign(missed), "its time has passed"),
        (lambda: console.update_campaign(draft, colour="blue"), "colour: unknown field"),
        (lambda: console.update_campaign(draft, name=None), "name: is required"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
    assert [campaign["status"] for campaign in sandbox.campaigns()] == ["draft", "stopped"]
