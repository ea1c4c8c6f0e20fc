"""The page in a real browser: attacks by campaigns' content and by other web pages."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from airflow_provider_bm.sandbox import Sandbox
from tests.sandbox.browser.helpers import EVIL, WORSE, client, phone, rows


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
    # The sandbox's error messages quote invalid values.
    page.route("**/_sandbox/clock", lambda route: route.fulfill(status=400, json={"message": EVIL}))
    page.get_by_role("button", name="+1 min").click()
    expect(page.get_by_role("status")).to_have_text(EVIL)
    assert mail["uuid"] in page.url
    assert page.evaluate("window.broken") is None
    assert page.locator("main img, main script, main iframe").count() == 0


def test_policy_blocks_injected_scripts(browser, sandbox):
    """Even if a text became markup, the content security policy would block its scripts."""
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


def test_other_origins_have_no_access(browser, sandbox):
    """Another port is another origin, which is not trusted either."""
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
