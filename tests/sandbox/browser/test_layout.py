"""The page in a real browser: keyboard, phone, wide screens, and a stable layout."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.sandbox.browser.helpers import client, phone, rows


def test_following_the_latest(page, sandbox):
    def run(name):
        created = sandbox.create(name=name, status="active")
        sandbox.clock.advance(60)
        return created["uuid"]

    def shown(name):
        expect(page.locator("#messages-title")).to_have_text(name)

    first = run("First")
    page.goto(sandbox.url)
    shown("First")
    expect(page.locator("#following")).to_be_visible()
    run("Second")
    shown("Second")
    page.get_by_role("link", name="First").click()
    shown("First")
    assert page.url.endswith(first)
    page.go_back()
    shown("Second")
    page.locator(".contacts button").nth(3).click()
    run("Third")
    expect(page.get_by_role("link", name="Third")).to_be_visible()
    shown("Second")
    page.get_by_role("button", name="Follow the latest").click()
    shown("Third")
    assert "#" not in page.url
    # The whole row can be clicked.
    rows(page).filter(has_text="First").locator("td").nth(2).click()
    shown("First")
    page.get_by_role("link", name="Skip to the faults").press("Enter")
    expect(page.locator("#faults")).to_be_focused()
    assert page.url.endswith(first)


def test_layout_is_stable(page, sandbox):
    page.goto(sandbox.url)
    expect(page.locator("#connection")).to_contain_text("AIRFLOW")
    places = []

    def check():
        page.wait_for_timeout(600)
        places.append(page.locator("#fault-buttons").bounding_box()["y"])

    check()
    sandbox.create(name="Starts", status="active")
    for seconds in (0, 2, 60):
        sandbox.clock.advance(seconds)
        check()
    sandbox.create(name="Draft", schedule_type="once", schedule_rrule="2026-03-04 06:00:00", status="active")
    check()
    assert max(places) - min(places) <= 4, places


def test_the_same_status_is_announced_again(page, sandbox):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(sandbox.url)
    page.evaluate(
        "() => { window.announced = []; new MutationObserver((all) => all.forEach((one) =>"
        " one.addedNodes.forEach((words) => announced.push(words.textContent))))"
        ".observe(document.getElementById('status'), {childList: true}); }"
    )
    page.locator("#faults").scroll_into_view_if_needed()
    for times in (1, 2):
        page.get_by_role("button", name="503", exact=True).click()
        expect(page.locator("#fault-rows li")).to_have_count(times)
        page.wait_for_timeout(200)
        expect(page.locator("#status bdi")).to_be_in_viewport(ratio=1)
    assert page.evaluate("announced") == ["In force: 503: not applied."] * 2


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
    page.keyboard.press("Tab")
    assert focused() == "Campaign 1"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Campaign 1")).to_be_visible()
    # A new campaign does not take the focus away.
    sandbox.create(name="Campaign 3", status="active")
    expect(rows(page)).to_have_count(4)
    assert focused() == "Campaign 1"
    # If its row disappears, the focus stays in the table.
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
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(phone(page)).to_contain_text(contacts.nth(1).locator(".address").inner_text())
    # The focus can leave the page.
    page.locator("#clear-faults, #fault-buttons button").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_on_a_phone(page, sandbox):
    page.set_viewport_size({"width": 390, "height": 844})
    for number in range(15):
        sandbox.create(name=f"Campaign {number} with a name as long as those of others", status="active")
    sandbox.clock.advance(60)
    page.goto(sandbox.url)
    # The table scrolls sideways, not the page.
    expect(rows(page).first.locator(".badge")).to_be_in_viewport(ratio=1)
    messages = page.get_by_role("heading", name="Campaign 0 with")
    expect(messages).not_to_be_in_viewport()
    page.get_by_role("link", name="Campaign 0 with").press("Enter")
    expect(messages).to_be_in_viewport()
    expect(page.locator("#messages")).to_be_focused()
    for width in (320, 390, 640, 800):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_wide_screens_have_three_columns(page, sandbox):
    page.set_viewport_size({"width": 1920, "height": 1000})
    sandbox.create(name="Storm", status="active")
    page.goto(sandbox.url)
    boxes = [
        page.locator(name).bounding_box() for name in ("#campaigns", "#messages", "#requests", "#faults")
    ]
    campaigns, messages, requests, faults = boxes
    assert campaigns["x"] < messages["x"] < requests["x"] == faults["x"]
    assert requests["y"] < faults["y"]
    assert requests["x"] + requests["width"] > 1850
