"""Make docs/images/sandbox.png: `python -m tests.sandbox.browser.screenshot [--dark] [FILE]`.

Shows ten real days of the weather alert, as `make demo` runs them, and some campaigns beside it.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from playwright.sync_api import sync_playwright

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.sandbox import Sandbox
from tests.sandbox.browser.conftest import FLAGS, NAMES
from tools.demo import read_days
from tools.sandbox_process import set_the_stage

IMAGE = Path(__file__).parents[3] / "docs" / "images" / "sandbox.png"


def play(sandbox: Sandbox) -> None:
    """What happened until the screenshot is taken."""
    days = [day for day in read_days() if day.why]
    clock, lists = sandbox.clock, sandbox.recipient_lists
    clock.freeze()
    clock.set(datetime.combine(days[0].date, time(5, 30), UTC))
    draft = set_the_stage(sandbox)["weather_alert_draft"]
    sender, sms = "+41587000000", {"status": "active", "sending_type": "sms"}
    bm = BMClient(
        BMSettings(
            api_url=sandbox.api_url,
            token_url=sandbox.token_url,
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
            service_uuid=sandbox.service_uuid,
        )
    )
    bm.create_campaign(
        {
            **sms,
            "name": "Roads in the north",
            "schedule_type": "scheduled",
            "schedule_rrule": "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=8;BYMINUTE=30;BYSECOND=0",
            "template": "Hello {first_name}. The pass is open, with snow chains.",
            "sender": sender,
            "recipient_lists": lists["region-north"],
        }
    )
    survey = {
        "name": "How did we warn you?",
        "status": "active",
        "sending_type": "email",
        "schedule_type": "once",
        "schedule_rrule": f"{days[-1].date + timedelta(days=2)} 09:00:00",
        "template": '{"subject": "Two minutes, {first_name}?", "body": "Tell us how we warned you."}',
        "sender": "news@example.com",
        "recipient_lists": lists["staff"],
    }
    bm.create_campaign(survey)
    outage = {"schedule_type": "now", "sender": sender, "recipient_lists": lists["region-east"]}
    stopped = bm.create_campaign(
        {**sms, **outage, "name": "Power cut, east", "template": "{first_name}, power is back at nine."}
    )
    clock.advance(20)
    bm.set_campaign_status(str(stopped["uuid"]), "stopped")
    for number, day in enumerate(days):
        clock.set(datetime.combine(day.date, time(6, 0, 4), UTC))
        if day is days[-1]:
            sandbox.fault(method="GET", path="/campaigns", status=503)
        numbers = {"temp": f"{day.temp}C", "wind": f"{day.wind * 3.6:.0f}km/h"}
        alert = {"name": f"Weather alert {day.date}", "status": "active"}
        made = bm.clone_campaign(draft, template_vars=numbers, **alert)
        bm.get_campaign(str(made["uuid"]))
        if number < len(days) - 1:
            clock.advance(120)
            bm.get_campaign(str(made["uuid"]), fields="messages")
    clock.advance(25)
    bm.get_campaign(str(made["uuid"]))
    sandbox.fault(method="POST", path="/campaigns", lose_reply=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=IMAGE)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    options.file.parent.mkdir(parents=True, exist_ok=True)
    with Sandbox(execution_seconds=40) as sandbox, sync_playwright() as playwright:
        play(sandbox)
        path = next(filter(None, map(shutil.which, NAMES)))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(
            viewport={"width": 1280, "height": 960}, color_scheme="dark" if options.dark else "light"
        )
        page.goto(sandbox.url)
        page.locator(".contacts li").nth(6).click()
        page.locator("#now").hover()
        page.screenshot(path=options.file)
        browser.close()
    print(options.file)


if __name__ == "__main__":
    main()
