"""The sandbox's page in a real browser, at the desk of somebody who tries out campaigns."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.contacts import RECIPIENT_LISTS

STAFF = 40
CUSTOMERS = RECIPIENT_LISTS["customers"]
EVIL = "<script>window.broken = 1</script>"
WORSE = '"><img src=x onerror="window.broken = 2">'


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose time stands still at noon."""
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    with Sandbox(start=start, execution_seconds=10, token_lifetime=10**9) as running:
        running.clock.freeze()
        running.clock.set(start)
        yield running


@pytest.fixture
def page(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    """A fresh tab. Nothing that the page does may go elsewhere, fail, or be stopped by its policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(5000)
    asked, wrong = [], []

    def note(error: str) -> None:
        if not error.startswith("Failed to load resource"):  # an error's status: the page says what it means
            wrong.append(error)

    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: note(message.text) if message.type == "error" else None)
    tab.add_init_script(
        "window.longTasks = [];"
        "new PerformanceObserver((list) => list.getEntries().forEach((one) => longTasks.push(one.duration)))"
        ".observe({type: 'longtask', buffered: true});"
    )
    yield tab
    context.close()
    assert {urlsplit(url).netloc for url in asked} <= {urlsplit(sandbox.url).netloc}
    assert not wrong


def rows(page: Page):
    return page.locator("#rows tr")


def phone(page: Page):
    return page.get_by_role("article", name="The message as a phone shows it")


def client(sandbox: Sandbox) -> tuple[requests.Session, str]:
    """A client of the API, with a token."""
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
    session = requests.Session()
    token = session.post(sandbox.token_url, data=form, timeout=10).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session, f"{sandbox.api_url}/services/{sandbox.service_uuid}/campaigns"


def test_what_was_sent_to_whom_and_when(page, sandbox):
    sandbox.create(name="Storm", status="active", template="Stay in, {first_name}. {unknown}")
    sandbox.clock.advance(60)
    sent = sandbox.messages()
    page.goto(sandbox.url)
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(re.compile("Storm.*finished.*40 / 40"))
    expect(phone(page)).to_contain_text(sent[0]["text"])
    expect(phone(page)).to_contain_text("Mon, 2 Mar 2026, 12:00:00 UTC")
    expect(phone(page).locator("mark")).to_have_text("{unknown}")
    page.get_by_role("button", name=sent[4]["to"]).click()
    expect(phone(page)).to_contain_text(sent[4]["text"])
    expect(phone(page)).to_contain_text(sent[4]["to"])
    page.get_by_role("searchbox", name="Search messages").fill(sent[9]["to"])
    expect(page.locator(".contacts li")).to_have_count(1)
    expect(phone(page)).to_contain_text(sent[9]["text"])


def test_other_channels_and_what_would_be_sent(page, sandbox):
    push = sandbox.create(
        name="Push", sending_type="webpush", webpush_title="Storm ahead", webpush_body="Stay in, {first_name}"
    )
    template = '{"subject": "Storm", "body": "Dear {first_name}", "footer": "bye"}'
    mail = sandbox.create(name="Mail", sending_type="email", template=template)
    page.goto(f"{sandbox.url}/#{push['uuid']}")
    expect(page.locator(".note")).to_have_text(re.compile(r"Not sent\..* 40 messages"))
    expect(phone(page).locator("strong").nth(1)).to_have_text("Storm ahead")
    expect(phone(page)).to_contain_text(re.compile("Stay in, [A-Z]"))
    page.get_by_role("link", name="Mail").click()
    assert page.url.endswith(mail["uuid"])
    drafts = page.get_by_role("button", name="draft 2")
    drafts.click()
    expect(drafts).to_have_attribute("aria-pressed", "true")
    expect(phone(page)).to_contain_text(re.compile("Storm.*Dear [A-Z][a-z]+.*footer.*bye", re.DOTALL))
    expect(phone(page)).to_contain_text("@example.com")
    assert sandbox.messages() == []


def test_it_is_live(page, sandbox):
    page.goto(sandbox.url)
    expect(page.locator("#no-rows")).to_contain_text("No campaign yet")
    session, url = client(sandbox)
    body = {
        "name": "Live",
        "status": "active",
        "sending_type": "sms",
        "schedule_type": "now",
        "template": "Hello",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
    }
    assert session.post(url, json=body, timeout=10).status_code == 201
    expect(rows(page)).to_contain_text(re.compile("Live.*sending.*0 / 40"))
    expect(page.get_by_role("progressbar", name="Messages sent")).to_be_visible()
    sandbox.clock.advance(5)
    expect(rows(page)).to_contain_text("20 / 40")
    expect(page.locator(".contacts li")).to_have_count(20)
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 20)
    sandbox.clock.advance(5)
    expect(rows(page)).to_contain_text("finished")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    first = page.locator("#request-rows li").first
    expect(first).to_contain_text(re.compile("POST.*/campaigns.*201"))
    first.locator("summary").click()
    expect(first.get_by_role("group", name="Body")).to_contain_text('"template": "Hello"')
    assert session.post(url, json={**body, "sender": ""}, timeout=10).status_code == 400
    page.get_by_role("button", name="Show 1 newer").click()
    first = page.locator("#request-rows li").first
    expect(first).to_contain_text("400")
    first.locator("summary").click()
    expect(first.get_by_role("group", name="Error")).to_have_text("sender: must not be empty")


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


def test_the_fault_switch(page, sandbox):
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


def test_the_fault_switch_one_by_one(page, sandbox):
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


def test_a_sandbox_that_is_away(page, sandbox):
    page.add_init_script(
        "const timeout = AbortSignal.timeout.bind(AbortSignal);"
        "AbortSignal.timeout = (milliseconds) => timeout(milliseconds / 20);"
    )
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(sandbox.url)
    status = page.get_by_role("status")
    for nobody in (lambda route: route.fulfill(status=200, body="<html>"), lambda route: None):
        page.route("**/_sandbox/page/overview*", nobody)
        expect(status).to_contain_text("What is shown is old.")
        page.unroute("**/_sandbox/page/overview*")
        expect(status).to_have_text("The sandbox answers again.")
    page.route("**/_sandbox/page/overview*", lambda route: route.abort())
    expect(status).to_contain_text("does not answer")
    asked.clear()
    page.wait_for_timeout(2500)
    assert len(asked) < 4


def test_another_sandbox_in_its_place(page, sandbox):
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


def test_a_defect_of_the_page_is_no_trouble_of_the_sandbox(browser, sandbox):
    with browser.new_context() as context:
        page = context.new_page()
        wrong = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.route("**/page/overview*", lambda route: route.fulfill(json={"clock": {"now": "2026-03-02"}}))
        page.goto(sandbox.url)
        expect(page.get_by_role("status")).to_contain_text("The page failed: ")
        assert "TypeError" in wrong[0]


def test_a_campaign_that_goes_meanwhile(page, sandbox):
    gone = sandbox.create(name="Gone")

    def delete(route):
        if sandbox.campaigns():
            sandbox.delete_campaign(gone["uuid"])
        route.continue_()

    page.route(re.compile(r"page/campaign\?"), delete)
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => new MutationObserver((all) => {"
        "window.said = (window.said ?? '') + document.getElementById('status').textContent;"
        "}).observe(document.getElementById('status'), {childList: true}));"
    )
    page.goto(f"{sandbox.url}/#{gone['uuid']}")
    expect(page.locator("#no-detail")).to_have_text("This campaign is not there any more.")
    expect(rows(page)).to_have_count(0)
    assert page.evaluate("window.said") is None


def test_a_request_is_read_while_others_come_in(page, sandbox):
    session, url = client(sandbox)
    page.goto(sandbox.url)
    sandbox.fault("POST", delay=1.5)
    slow = threading.Thread(target=lambda: session.post(url, json={}, timeout=10))
    slow.start()
    row = page.locator("#request-rows li", has_text="POST").filter(has_text="campaigns")
    expect(row.locator(".code")).to_have_text("…")
    row.locator("summary").click()
    expect(row.get_by_role("group", name="Path")).to_be_visible()
    before = row.bounding_box()["y"]
    slow.join()
    # What it ended in is there without opening it again.
    expect(row.get_by_role("group", name="Error")).to_contain_text("name: ")
    expect(row.locator(".code")).to_have_text("400")
    for number in range(40):
        session.get(url if number % 10 else f"{url}/nothing", timeout=10)
    newer = page.get_by_role("button", name="Show 40 newer")
    expect(newer).to_be_visible()
    assert row.bounding_box()["y"] == before
    newer.click()
    expect(page.locator("#request-rows li")).to_have_count(25)
    expect(row).to_have_count(0)
    page.get_by_label("failed only").check()
    expect(page.locator("#request-rows .code")).to_have_text(["404"] * 4 + ["400"])


def test_nested_content_can_be_read(page, sandbox):
    card = {
        "title": "Storm",
        "media": {"height": "TALL", "contentInfo": {"fileUrl": "https://example.com/a.png"}},
    }
    template = {"contentMessage": {"richCard": {"carouselCard": {"cardContents": [card, {}]}}}}
    sandbox.create(sending_type="rbm", template=json.dumps(template | {"x": list(range(60))}))
    page.goto(sandbox.url)
    address = phone(page).get_by_text("https://example.com/a.png")
    expect(address).to_be_visible()
    assert address.bounding_box()["width"] > 100
    expect(phone(page)).to_contain_text("… and 12 more")
    assert page.evaluate("document.querySelector('.bubble').scrollWidth <= 200")
    sandbox.create(sending_type="viber", template="{}")
    expect(phone(page)).to_contain_text("(no text)")


def test_what_nobody_would_see(page, sandbox):
    made = sandbox.create(name="\u200b", sender="\u202e12345", template="{first_name} {last_name}")
    sandbox.create(name="gnp.\u202elive")
    page.goto(sandbox.url)
    page.get_by_role("link", name=made["uuid"]).click()
    expect(page.get_by_role("link", name="gnp.U+202Elive")).to_be_visible()
    expect(page.locator(".facts").first).to_contain_text("U+202E12345 by sms")
    assert "\u202e" not in page.evaluate("document.body.textContent")
    lists = sandbox.add_recipient_list("mine", [{"mobile": "+41790000001", "first_name": "{unknown}"}])
    sandbox.update_campaign(made["uuid"], recipient_lists=lists)
    expect(phone(page).locator(".bubble")).to_have_text("{unknown} no last_name")
    expect(phone(page).locator("mark")).to_have_text("no last_name")


def test_it_says_how_to_start(page, sandbox):
    page.goto(sandbox.url)
    expect(page.locator("#connection")).to_contain_text("AIRFLOW_CONN_BM_DEFAULT=")
    expect(page.locator("#connection")).to_contain_text(f"{sandbox.url}/news/v1")
    page.get_by_role("button", name="Copy: put a campaign in").click()
    expect(page.get_by_role("status")).to_contain_text(re.compile("Copied|Selected"))
    made = sandbox.create(name="Storm", status="active")
    expect(page.locator("#connect")).to_be_hidden()
    sandbox.clock.advance(60)
    sandbox.delete_campaign(made["uuid"])
    expect(page.locator("#no-rows")).to_contain_text("No campaign any more.")
    expect(page.get_by_role("button", name="all but deleted 0")).to_be_visible()


def test_following_the_latest(page, sandbox):
    def run(name):
        made = sandbox.create(name=name, status="active")
        sandbox.clock.advance(60)
        return made["uuid"]

    def shown(name):
        expect(page.locator("#messages-title")).to_have_text(name)

    first = run("First")
    page.goto(sandbox.url)
    shown("First")
    expect(page.locator("#following")).to_be_visible()
    # To come by is not to choose.
    contacts = page.locator(".contacts button")
    contacts.first.focus()
    page.keyboard.press("ArrowDown")
    expect(phone(page)).to_contain_text(contacts.nth(1).locator(".address").inner_text())
    run("Second")
    shown("Second")
    page.get_by_role("link", name="First").click()
    shown("First")
    assert page.url.endswith(first)
    page.go_back()
    shown("Second")
    contacts.nth(3).click()
    run("Third")
    expect(page.get_by_role("link", name="Third")).to_be_visible()
    shown("Second")
    page.get_by_role("button", name="Follow the latest").click()
    shown("Third")
    assert "#" not in page.url
    # All of a row can be clicked.
    rows(page).filter(has_text="First").locator("td").nth(2).click()
    shown("First")
    page.get_by_role("link", name="Skip to the faults").press("Enter")
    expect(page.locator("#faults")).to_be_focused()
    assert page.url.endswith(first)


def test_nothing_jumps(page, sandbox):
    page.goto(sandbox.url)
    expect(page.locator("#connection")).to_contain_text("AIRFLOW")
    places = []

    def look():
        page.wait_for_timeout(600)
        places.append(page.locator("#fault-buttons").bounding_box()["y"])

    look()
    sandbox.create(name="Starts", status="active")
    for seconds in (0, 2, 60):
        sandbox.clock.advance(seconds)
        look()
    sandbox.create(name="Draft", schedule_type="once", schedule_rrule="2026-03-04 06:00:00", status="active")
    look()
    assert max(places) - min(places) <= 4, places


def test_equal_words_are_said_again(page, sandbox):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(sandbox.url)
    page.evaluate(
        "() => { window.said = []; new MutationObserver((all) => all.forEach((one) =>"
        " one.addedNodes.forEach((words) => said.push(words.textContent))))"
        ".observe(document.getElementById('status'), {childList: true}); }"
    )
    page.locator("#faults").scroll_into_view_if_needed()
    for times in (1, 2):
        page.get_by_role("button", name="503", exact=True).click()
        expect(page.locator("#fault-rows li")).to_have_count(times)
        page.wait_for_timeout(200)
        expect(page.locator("#status bdi")).to_be_in_viewport(ratio=1)
    assert page.evaluate("said") == ["In force: 503: not carried out."] * 2


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


def test_what_is_chosen_is_seen_in_any_colours(page, sandbox):
    for number in range(2):
        sandbox.create(name=f"Campaign {number}", status="active")
        sandbox.clock.advance(5)
    page.emulate_media(forced_colors="active")
    page.goto(sandbox.url)
    expect(page.locator(".contacts button")).to_have_count(20)

    edges = "(all) => [...document.querySelectorAll(all)].map((one) => getComputedStyle(one).borderLeftColor)"
    for selector in ("#rows th", ".contacts button", "#statuses button"):
        chosen, other = page.evaluate(edges, selector)[:2]
        assert chosen != other, selector
    bar = page.get_by_role("progressbar").bounding_box()
    ends = [bar["x"] + 4, bar["x"] + bar["width"] - 14]
    done, rest = (page.screenshot(clip={**bar, "x": end, "width": 10}) for end in ends)
    assert done != rest


def test_hostile_content_is_text(page, sandbox):
    sandbox.create(name=EVIL, status="active", template=WORSE, sender=EVIL)
    template = json.dumps({"subject": WORSE, "body": EVIL, WORSE: EVIL})
    mail = sandbox.create(
        name=WORSE, status="active", sending_type="email", template=template, sender="javascript:broken=3"
    )
    sandbox.fault(path=WORSE, status=503, headers={"X": EVIL})
    sandbox.clock.advance(60)
    session, url = client(sandbox)
    session.post(f"{url}/{EVIL}", json={"name": WORSE}, params={"x": EVIL}, timeout=10)
    page.goto(f"{sandbox.url}/#{EVIL}")
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_role("link", name=EVIL)).to_be_visible()
    page.get_by_role("link", name=EVIL).click()
    expect(page.get_by_role("heading", name=EVIL)).to_be_visible()
    expect(phone(page)).to_contain_text(WORSE)
    expect(page.locator("#fault-rows")).to_contain_text(WORSE)
    page.locator("#request-rows summary").first.click()
    expect(page.locator("#request-rows pre").last).to_contain_text("onerror")
    page.get_by_role("link", name=WORSE).click()
    expect(phone(page)).to_contain_text(EVIL)
    page.get_by_text("As it was submitted").click()
    expect(page.locator(".source")).to_contain_text("javascript:broken=3")
    # The sandbox's own errors say back what was wrong.
    page.route("**/_sandbox/clock", lambda route: route.fulfill(status=400, json={"message": EVIL}))
    page.get_by_role("button", name="+1 min").click()
    expect(page.get_by_role("status")).to_have_text(EVIL)
    assert mail["uuid"] in page.url
    assert page.evaluate("window.broken") is None
    assert page.locator("main img, main script, main iframe").count() == 0


def test_scripts_of_others_do_not_run(browser, sandbox):
    """Even if a text became markup, the policy would stop it."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(sandbox.url)
        refused = page.evaluate(
            """() => {
                const script = document.createElement("script");
                const image = new Image();
                return [
                    () => { script.textContent = "window.broken = 1"; },
                    () => { image.setAttribute("onerror", "window.broken = 2"); },
                    () => { document.body.innerHTML += "<b>bold</b>"; },
                    () => { setTimeout("window.broken = 3"); },
                ].map((attempt) => { try { attempt(); return false; } catch { return true; } });
            }"""
        )
        assert refused == [True] * 4
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.append("window.broken = 4");
                document.body.append(script);
            }"""
        )
        page.wait_for_timeout(100)
        assert page.evaluate("window.broken") is None


def test_another_site_cannot_get_at_it(browser, sandbox):
    """Another port is another origin: what this machine serves elsewhere is no friend either."""
    sandbox.create(name="Mine")
    with Sandbox() as other, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{other.url}/_sandbox/health")  # no page of ours, and no policy
        tried = page.evaluate(
            """async (url) => {
                const json = {"Content-Type": "application/json"};
                const attempts = [
                    ["/_sandbox/messages", {}],
                    ["/_sandbox/reset", {method: "POST", mode: "no-cors"}],
                    ["/_sandbox/reset", {method: "POST", headers: json, body: "{}"}],
                    ["/_sandbox/campaigns", {mode: "no-cors"}],
                ];
                const read = async ([path, options]) => (await fetch(url + path, options)).text();
                return Promise.all(attempts.map((attempt) => read(attempt).catch(() => "")));
            }""",
            sandbox.url,
        )
    assert tried == [""] * 4
    assert [campaign["name"] for campaign in sandbox.campaigns()] == ["Mine"]


def test_with_the_keyboard_alone(page, sandbox):
    for number in range(3):
        sandbox.create(name=f"Campaign {number}", status="active")
        sandbox.clock.advance(60)
    page.goto(sandbox.url)
    expect(rows(page)).to_have_count(3)

    def focused(expression="document.activeElement.textContent"):
        return page.evaluate(expression)

    page.keyboard.press("Tab")
    assert focused() == "Skip to the campaigns"
    expect(page.get_by_role("link", name="Skip to the campaigns")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert focused("document.activeElement.id") == "campaigns"
    for _ in range(20):
        page.keyboard.press("Tab")
        assert focused("getComputedStyle(document.activeElement).outlineStyle") != "none", focused()
        if focused() == "Campaign 2":
            break
    page.keyboard.press("ArrowDown")
    assert focused() == "Campaign 1"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Campaign 1")).to_be_visible()
    # What comes in meanwhile does not take the focus away.
    sandbox.create(name="Campaign 3", status="active")
    expect(rows(page)).to_have_count(4)
    assert focused() == "Campaign 1"
    # If its row goes, it stays in the table.
    session, url = client(sandbox)
    (gone,) = sandbox.campaigns(name="Campaign 1")
    session.delete(f"{url}/{gone['uuid']}", timeout=10)
    expect(rows(page)).to_have_count(3)
    assert focused("document.activeElement.closest('#rows') !== null")
    page.get_by_role("button", name="+1 day").focus()
    page.keyboard.press("Space")
    expect(page.locator("#now")).to_contain_text("3 Mar 2026")
    contacts = page.locator(".contacts button")
    contacts.first.focus()
    page.keyboard.press("ArrowDown")
    expect(contacts.nth(1)).to_be_focused()
    expect(phone(page)).to_contain_text(contacts.nth(1).locator(".address").inner_text())
    # Nothing is a trap: from the last thing on the page the focus gets out.
    page.locator("#clear-faults, #fault-buttons button").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_long_lists_are_one_stop_each(page, sandbox):
    for number in range(20):
        sandbox.create(name=f"Campaign {number}", status="active", recipient_lists=CUSTOMERS)
    sandbox.clock.advance(60)
    session, url = client(sandbox)
    for _ in range(25):
        session.get(url, timeout=10)
    page.goto(sandbox.url)
    expect(page.locator(".contacts button")).to_have_count(50)
    focused = "document.activeElement.textContent"
    stops = 0
    while page.keyboard.press("Tab") or page.evaluate("document.activeElement !== document.body"):
        stops += 1
        assert stops < 60
    assert stops < 45
    # From the end of a page to the next one, and back.
    links, contacts = page.locator("#rows a"), page.locator(".contacts button")
    links.first.focus()
    page.keyboard.press("End")
    assert page.evaluate(focused) == "Campaign 5"
    page.keyboard.press("ArrowDown")
    expect(rows(page)).to_have_count(5)
    expect(links.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(rows(page)).to_have_count(15)
    expect(links.last).to_be_focused()
    # When a new campaign pushes the row off, the focus stays at the end.
    sandbox.create(name="Newest")
    expect(rows(page).first).to_contain_text("Newest")
    assert page.evaluate(focused) == "Campaign 6"
    contacts.first.focus()
    page.keyboard.press("End")
    last = page.evaluate(focused)
    page.keyboard.press("ArrowDown")
    expect(page.locator(".who .pager")).to_contain_text("51–100 of 1,500")
    expect(contacts.first).to_be_focused()
    assert page.evaluate(focused) != last


def test_on_a_phone(page, sandbox):
    page.set_viewport_size({"width": 390, "height": 844})
    for number in range(15):
        sandbox.create(name=f"Campaign {number} with a name as long as those of others", status="active")
    sandbox.clock.advance(60)
    page.goto(sandbox.url)
    first = rows(page).first
    expect(first.get_by_text("40 / 40").first).to_be_in_viewport(ratio=1)
    expect(first.get_by_text("at once, last 12:00")).to_be_in_viewport(ratio=1)
    messages = page.get_by_role("heading", name="Campaign 0 with")
    expect(messages).not_to_be_in_viewport()
    page.get_by_role("link", name="Campaign 0 with").press("Enter")
    expect(messages).to_be_in_viewport()
    expect(page.locator("#messages")).to_be_focused()
    for width in (320, 390, 640, 800):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_ten_thousand_campaigns(page, sandbox):
    for number in range(10_000):
        sandbox.create(name=f"Campaign {number:05}", status=("draft", "active", "finished")[number % 3])
    began = time.monotonic()
    page.goto(sandbox.url)
    expect(page.locator("#rows-pager")).to_contain_text("of 10,000")
    loaded = time.monotonic() - began
    expect(rows(page).first).to_contain_text("Campaign 09999")
    page.get_by_role("button", name="Next campaigns").click()
    expect(rows(page).first).to_contain_text("Campaign 09984")
    page.get_by_role("searchbox", name="Search campaigns").fill("n 07777")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name=re.compile("^draft")).click()
    expect(page.locator("#no-rows")).to_have_text("No campaign fits.")
    page.get_by_role("searchbox", name="Search campaigns").fill("")
    expect(page.locator("#rows-pager")).to_contain_text("of 3,334")
    page.get_by_role("button", name="+1 h").click()
    expect(page.locator("#totals")).to_contain_text("133,320 messages")
    page.wait_for_timeout(1500)  # a few updates
    longest = page.evaluate("Math.max(0, ...longTasks)")
    elements = page.evaluate("document.querySelectorAll('*').length")
    size = page.evaluate(
        "Math.max(...performance.getEntriesByType('resource').map((one) => one.decodedBodySize))"
    )
    print(
        f"10,000 campaigns: there after {loaded:.2f} s, {elements} elements, longest task {longest:.0f} ms, "
        f"largest answer {size} bytes"
    )
    assert rows(page).count() <= 15
    assert elements < 2000
    assert size < 100_000
