"""The page in a real browser: campaigns and messages."""

from __future__ import annotations

import json
import re
import threading
import time

from playwright.sync_api import expect

from tests.sandbox.browser.helpers import client, phone, rows


def test_messages_with_recipient_and_time(page, sandbox):
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


def test_channels_and_previews(page, sandbox):
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


def test_updates_without_a_reload(page, sandbox):
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


def test_campaign_deleted_meanwhile(page, sandbox):
    gone = sandbox.create(name="Gone")

    def delete(route):
        if sandbox.campaigns():
            sandbox.delete_campaign(gone["uuid"])
        route.continue_()

    page.route(re.compile(r"page/campaign\?"), delete)
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => new MutationObserver((all) => {"
        "window.announced = (window.announced ?? '') + document.getElementById('status').textContent;"
        "}).observe(document.getElementById('status'), {childList: true}));"
    )
    page.goto(f"{sandbox.url}/#{gone['uuid']}")
    expect(page.locator("#no-detail")).to_have_text("This campaign does not exist any more.")
    expect(rows(page)).to_have_count(0)
    assert page.evaluate("window.announced") is None


def test_open_request_stays_in_place(page, sandbox):
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
    # Its result is shown without opening it again.
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
    assert page.evaluate("document.querySelector('.bubble').scrollWidth <= 280")
    sandbox.create(sending_type="viber", template="{}")
    expect(phone(page)).to_contain_text("(no text)")


def test_values_without_a_variable_are_marked(page, sandbox):
    lists = sandbox.add_recipient_list("mine", [{"mobile": "+41790000001", "first_name": "{unknown}"}])
    sandbox.create(recipient_lists=lists, name=" ", template="{first_name} {last_name}")
    page.goto(sandbox.url)
    expect(phone(page).locator(".bubble")).to_have_text("{unknown} no last_name")
    expect(phone(page).locator("mark")).to_have_text("no last_name")
    # A name of white space is shown as the UUID.
    expect(page.get_by_role("link", name=sandbox.campaigns()[0]["uuid"])).to_be_visible()


def test_contacts_who_opted_out_are_counted(page, sandbox):
    contacts = [{"mobile": "+41790000001"}, {"mobile": "+41790000002", "opt_status": "out"}]
    sandbox.create(recipient_lists=sandbox.add_recipient_list("mine", contacts))
    page.goto(sandbox.url)
    expect(page.locator(".facts").first).to_contain_text("mine: 1 contact, 1 opted out and get nothing")


def test_empty_page_explains_how_to_start(page, sandbox):
    page.goto(sandbox.url)
    expect(page.locator("#connection")).to_contain_text("AIRFLOW_CONN_BM_DEFAULT=")
    expect(page.locator("#connection")).to_contain_text(f"{sandbox.url}/news/v1")
    page.get_by_role("button", name="Copy: create a campaign").click()
    expect(page.get_by_role("status")).to_contain_text(re.compile("Copied|Selected"))
    created = sandbox.create(name="Storm", status="active")
    expect(page.locator("#connect")).to_be_hidden()
    sandbox.clock.advance(60)
    sandbox.delete_campaign(created["uuid"])
    expect(page.locator("#no-rows")).to_contain_text("All campaigns were deleted.")
    expect(page.get_by_role("button", name="all but deleted 0")).to_be_visible()


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
    expect(page.locator("#no-rows")).to_have_text("No campaign matches.")
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
