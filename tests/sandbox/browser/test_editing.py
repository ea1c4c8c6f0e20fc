"""The page in a real browser: people write, edit, start, stop and delete campaigns."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.sandbox.browser.helpers import phone, rows


@pytest.fixture
def editor(page):
    return page.get_by_role("dialog")


def test_write_and_start_a_campaign(page, sandbox, editor):
    page.goto(sandbox.url)
    page.get_by_role("button", name="New campaign").click()
    editor.get_by_label("Name").fill("Storm")
    editor.get_by_label("Sender").fill("+41587000000")
    editor.get_by_label("Template").fill("Stay in, {first_name}.")
    editor.get_by_role("button", name="Start").click()
    # No list is selected: the sandbox returns an error, and the form keeps its values.
    expect(editor.get_by_role("alert")).to_have_text("recipient_lists: must not be empty")
    editor.get_by_label("staff").check()
    editor.get_by_label("region-north").check()
    editor.get_by_role("button", name="Start").click()
    expect(editor).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("Saved and started.")
    (campaign,) = sandbox.campaigns()
    assert page.url.endswith(campaign["uuid"])
    lists = sandbox.recipient_lists
    assert campaign["recipient_lists"] == f"{lists['staff']},{lists['region-north']}"
    assert "query_type" not in campaign
    sandbox.clock.advance(60)
    expect(phone(page)).to_contain_text("Stay in, ")


def test_write_a_scheduled_webpush_draft(page, sandbox, editor):
    page.goto(sandbox.url)
    page.get_by_role("button", name="New campaign").click()
    editor.get_by_label("Name").fill("Push")
    editor.get_by_label("Channel").select_option("webpush")
    editor.get_by_label("Title").fill("Storm ahead")
    editor.get_by_label("Sender").fill("news")
    editor.get_by_label("Template").fill("text")
    editor.get_by_label("staff").check()
    editor.get_by_label("Schedule").select_option("scheduled")
    editor.get_by_label("Time or rule").fill("FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0")
    editor.get_by_role("button", name="Save as draft").click()
    expect(rows(page)).to_contain_text(re.compile("Push.*draft.*daily at 06:00"))
    (campaign,) = sandbox.campaigns()
    assert (campaign["webpush_title"], campaign["status"]) == ("Storm ahead", "draft")
    assert "webpush_icon" not in campaign


def test_edit_start_stop_and_delete(page, sandbox, editor):
    rule = {"field": "city", "condition": "eq", "value": "Bern", "operator": "AND"}
    campaign = sandbox.create(
        name="Storm",
        template="x" * 20_000,
        query=json.dumps({"segmentation": [{"operator": "OR", "rules": [rule]}]}),
        query_type="all",
        schedule_type="once",
        schedule_rrule="2026-03-02 18:00:00",
    )
    page.goto(sandbox.url)
    page.get_by_role("button", name="Edit").click()
    expect(editor.get_by_label("Time or rule")).to_have_value("2026-03-02 18:00:00")
    editor.get_by_label("Name").fill("Storm in the north")
    editor.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Storm in the north")).to_be_visible()
    (edited,) = sandbox.campaigns()
    ignored = ("name", "updated_dt")
    assert {**edited, **dict.fromkeys(ignored)} == {**campaign, **dict.fromkeys(ignored)}
    badge = page.locator(".facts .badge").first
    page.get_by_role("button", name="Start", exact=True).click()
    expect(badge).to_have_text("active")
    page.get_by_role("button", name="Edit").click()
    expect(editor.get_by_role("alert")).to_contain_text("It is active.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(badge).to_have_text("stopped")
    page.get_by_role("button", name="Delete").click()
    assert sandbox.campaigns()
    page.get_by_role("button", name="Really delete?").click()
    expect(rows(page)).to_have_count(0)
    assert sandbox.campaigns() == []


def test_uuid_can_be_copied(page, sandbox):
    uuid = sandbox.create()["uuid"]
    page.goto(sandbox.url)
    expect(page.get_by_text(uuid, exact=True).first).to_be_visible()
    page.get_by_role("button", name="Copy: UUID").click()
    expect(page.get_by_role("status")).to_contain_text(re.compile("Copied|Selected"))
    if "Selected" in page.get_by_role("status").inner_text():
        assert page.evaluate("getSelection().toString()") == uuid


def test_draft_and_finished_look_different(page, sandbox):
    sandbox.create(status="draft")
    sandbox.create(status="finished")
    page.goto(sandbox.url)
    expect(rows(page)).to_have_count(2)
    styles = [
        badge.evaluate(
            "(node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).outlineStyle]"
        )
        for badge in page.locator("#rows .badge").all()
    ]
    assert styles[0] != styles[1]
