"""The page in a real browser: clock, faults, and a sandbox that does not respond."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from airflow_provider_bm.sandbox import Sandbox
from tests.sandbox.browser.helpers import client, rows


def test_the_clock(page, sandbox):
    rule = "FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0"
    sandbox.create(name="Daily", status="active", schedule_type="scheduled", schedule_rrule=rule)
    page.goto(sandbox.url)
    expect(page.locator("#pace")).to_have_text("frozen")
    expect(rows(page)).to_contain_text(re.compile("daily at 06:00.*3 Mar 06:00"))
    page.get_by_role("button", name="+1 h").click()
    expect(page.locator("#now")).to_contain_text("13:00:00")
    expect(page.get_by_role("status")).to_have_text("Clock moved on by 1 hour.")
    page.get_by_role("button", name="To next, 3 Mar 06:00").click()
    expect(page.locator("#now")).to_have_text("Tue, 3 Mar 2026, 06:00:00")
    expect(rows(page)).to_contain_text("0 / 40")
    page.get_by_role("button", name="+1 min").click()
    expect(rows(page)).to_contain_text(re.compile("4 Mar 06:00.*40 / 40"))
    page.get_by_label("Speed").select_option("3600")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#pace")).to_have_text("running ×3,600")
    assert (sandbox.clock.speed, sandbox.clock.frozen) == (3600, False)
    page.get_by_role("button", name="Freeze").click()
    expect(page.locator("#pace")).to_have_text("frozen")
    assert sandbox.clock.frozen


def test_script_faults(page, sandbox):
    session, url = client(sandbox)
    page.goto(sandbox.url)
    page.get_by_role("button", name="503").click()
    in_force = page.get_by_role("list", name="Faults in force").get_by_role("listitem")
    expect(in_force).to_contain_text(re.compile("next call → 503.*hit 0 calls"))
    assert [session.get(url, timeout=10).status_code for _ in range(2)] == [503, 200]
    expect(in_force).to_contain_text("used up, hit 1 call")
    page.get_by_label("How many calls").select_option("every call")
    page.get_by_label("Which calls").select_option("POST")
    for name in ("Lost reply", "429", "Slow", "Down 5 s", "Revoke token"):
        page.get_by_role("button", name=name).click()
    expect(in_force).to_have_count(6)
    lost, limited, slow, down, revoked = sandbox.faults()[1:]
    assert (lost["method"], lost["times"], lost["lose_reply"]) == ("POST", None, True)
    assert (limited["status"], limited["headers"]) == (429, {"Retry-After": "5"})
    assert (slow["delay"], down["refuse"], revoked["revoke_token"]) == (10, 5, True)
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#no-faults")).to_be_visible()
    assert sandbox.faults() == []


def test_remove_single_faults(page, sandbox):
    session, url = client(sandbox)
    sandbox.fault(status=500, path="first")
    sandbox.fault(status=503)
    session.get(url, timeout=10)
    sandbox.fault(status=429)
    page.goto(sandbox.url)
    in_force = page.get_by_role("list", name="Faults in force").get_by_role("listitem")
    expect(in_force).to_have_text([re.compile("first.*500"), re.compile("429"), re.compile("503.*used up")])
    expect(page.get_by_text("the first in the list hits it")).to_be_visible()
    in_force.nth(0).get_by_role("button", name="Remove").press("Enter")
    expect(in_force).to_have_text([re.compile("429"), re.compile("503.*used up")])
    expect(in_force.nth(0).get_by_role("button")).to_be_focused()
    page.get_by_role("button", name="Clear used-up").click()
    expect(in_force).to_have_count(1)
    assert [fault["status"] for fault in sandbox.faults()] == [429]


def test_sandbox_does_not_respond(page, sandbox):
    page.add_init_script(
        "const timeout = AbortSignal.timeout.bind(AbortSignal);"
        "AbortSignal.timeout = (milliseconds) => timeout(milliseconds / 20);"
    )
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(sandbox.url)
    status = page.get_by_role("status")
    for no_sandbox in (lambda route: route.fulfill(status=200, body="<html>"), lambda route: None):
        page.route("**/_sandbox/page/overview*", no_sandbox)
        expect(status).to_contain_text("The page shows an earlier state.")
        page.unroute("**/_sandbox/page/overview*")
        expect(status).to_have_text("The sandbox answers again.")
    page.route("**/_sandbox/page/overview*", lambda route: route.abort())
    expect(status).to_contain_text("does not answer")
    asked.clear()
    page.wait_for_timeout(2500)
    assert len(asked) < 4


def test_sandbox_is_replaced_by_another(page, sandbox):
    def start(running, name):
        session, url = client(running)
        session.post(url, json={"name": name}, timeout=10)
        return running.create(name=name, status="active")

    page.goto(f"{sandbox.url}/#{start(sandbox, 'Old')['uuid']}")
    first = page.locator("#request-rows li").first
    first.locator("summary").click()
    expect(first).to_contain_text('"name": "Old"')
    page.context.set_offline(True)
    sandbox.stop()
    with Sandbox(port=sandbox.port) as other:
        start(other, "New")
        page.context.set_offline(False)
        expect(page.get_by_role("heading", name="New")).to_be_visible()
        assert "#" not in page.url
        first.locator("summary").click()
        expect(first).to_contain_text('"name": "New"')


def test_page_reports_its_own_errors(browser, sandbox):
    with browser.new_context() as context:
        page = context.new_page()
        wrong = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.route("**/page/overview*", lambda route: route.fulfill(json={"clock": {"now": "2026-03-02"}}))
        page.goto(sandbox.url)
        expect(page.get_by_role("status")).to_contain_text("The page failed: ")
        assert "TypeError" in wrong[0]


def test_the_speed_by_keyboard(page, sandbox):
    page.goto(sandbox.url)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.get_by_label("Speed").focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_role("status")).to_have_text("Speed: 3,600 seconds a second.")
    assert len(sent) == 1
    sandbox.clock.speed = 5.5
    expect(page.locator("#pace")).to_have_text("frozen")
    page.get_by_role("button", name="+1 h").focus()
    expect(page.get_by_label("Speed")).to_have_value("5.5")
    sandbox.clock.speed = 60
    expect(page.get_by_label("Speed")).to_have_value("60")
    assert page.locator("#speed option").count() == 4
