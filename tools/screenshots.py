"""Make the screenshots of the documentation: `make screenshots`.

`sandbox.png` is the sandbox's page, `demo.svg` the output of `make demo`, `airflow-*.png` a real Airflow as
`make airflow` starts it. Needs Chromium, and pngquant to make the pictures a third as large. `python -m
tools.screenshots NAME...` makes only some of them.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.contacts import RECIPIENT_LISTS
from tools.airflow_env import ROOT
from tools.demo import DAG_ID, read_days
from tools.sandbox_process import set_the_stage

IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--disable-background-networking", "--disable-gpu", "--no-first-run"]
PORT, SANDBOX_PORT = 8097, 8798


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        sys.exit(f"No browser found: install one of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def page_of(started: Browser, height: int = 900) -> Page:
    return started.new_page(viewport={"width": 1280, "height": height}, color_scheme="light")


def play(sandbox: Sandbox) -> None:
    """Create the content of the screenshot: ten days of the weather alert, and other campaigns."""
    days = [day for day in read_days() if day.why]
    clock, lists = sandbox.clock, sandbox.recipient_lists
    clock.freeze()
    clock.set(datetime.combine(days[0].date, time_of_day(5, 30), UTC))
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
        clock.set(datetime.combine(day.date, time_of_day(6, 0, 4), UTC))
        if day is days[-1]:
            sandbox.fault(method="GET", path="/campaigns", status=503)
        numbers = {"temp": f"{day.temp}C", "wind": f"{day.wind * 3.6:.0f}km/h"}
        alert = {"name": f"Weather alert {day.date}", "status": "active"}
        clone = bm.clone_campaign(draft, template_vars=numbers, **alert)
        bm.get_campaign(str(clone["uuid"]))
        if number < len(days) - 1:
            clock.advance(120)
            bm.get_campaign(str(clone["uuid"]), fields="messages")
    clock.advance(25)
    bm.get_campaign(str(clone["uuid"]))
    sandbox.fault(method="POST", path="/campaigns", lose_reply=True)


def sandbox_page() -> None:
    with Sandbox(execution_seconds=40) as sandbox, browser() as started:
        play(sandbox)
        page = page_of(started, 960)
        page.goto(sandbox.url)
        page.locator(".contacts li").nth(6).click()
        page.locator("#now").hover()
        page.screenshot(path=IMAGES / "sandbox.png")


#: SVG collapses ordinary spaces.
NO_BREAK = "\N{NO-BREAK SPACE}"
#: A terminal, which is dark in both colour schemes.
TERMINAL = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 aria-labelledby="t" font-family="ui-monospace, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">
<title id="t">Output of make demo</title>
<rect width="{width}" height="{height}" rx="10" fill="#14191f"/>
<g>
{lines}
</g>
</svg>
"""


def demo_output() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"make demo failed:\n{done.stdout}")
    lines = done.stdout.split("  Day  ")[1].split("\nNext steps")[0].rstrip().splitlines()
    shown = ["$ make demo", "", "  Day  " + lines[0], *lines[1:]]
    texts = []
    for number, line in enumerate(shown):
        color = "#7ee2a0" if line.startswith(("OK", "$")) else "#ffc66d" if "sent to" in line else "#d7dde4"
        text = html.escape(line).replace(" ", NO_BREAK)
        texts.append(f'<text x="20" y="{34 + 19 * number}" fill="{color}">{text}</text>')
    size = {"width": 40 + 8 * max(map(len, shown)), "height": 34 + 19 * len(shown)}
    (IMAGES / "demo.svg").write_text(TERMINAL.format(lines="\n".join(texts), **size))


@contextlib.contextmanager
def airflow() -> Iterator[str]:
    """Start the same Airflow as `make airflow`, and yield the URL of its UI."""
    with tempfile.TemporaryDirectory() as home, Path(home, "output").open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tools.run_airflow", "--home", home),
                *("--port", str(PORT), "--sandbox-port", str(SANDBOX_PORT)),
            ],
            cwd=ROOT,
            stdout=output,
        )
        try:
            while "Ctrl-C" not in Path(home, "output").read_text():
                if process.poll() is not None:
                    sys.exit(f"Airflow did not start: {Path(home, 'output').read_text()}")
                time.sleep(1)
            yield f"http://localhost:{PORT}"
        finally:
            process.terminate()
            process.wait()


def connection_form(page: Page, url: str) -> None:
    page.goto(f"{url}/connections")
    page.get_by_role("button", name="Edit Connection").first.click()
    form = page.get_by_role("dialog")
    values = {
        "description": "The production account",
        "host": "example.com",
        "login": "airflow",
        "schema": "107ad197-7f21-5416-a60c-a5444d24844e",
    }
    for name, value in values.items():
        form.locator(f"[name={name}]").fill(value)
    page.mouse.move(0, 0)
    form.screenshot(path=IMAGES / "airflow-connection.png")


def task_page(page: Page, url: str) -> None:
    """The page of a task that has sent, with its link to the campaign."""
    call(f"{url}/api/v2/dags/{DAG_ID}", method="PATCH", body={"is_paused": False})
    run = quote("scheduled__2013-12-01T06:00:00+00:00")
    task = f"dagRuns/{run}/taskInstances/send"
    while call(f"{url}/api/v2/dags/{DAG_ID}/{task}").get("state") != "success":
        time.sleep(2)
    page.goto(f"{url}/dags/{DAG_ID}/runs/{run}/tasks/send/details")
    page.get_by_text("BM campaign").wait_for()
    page.screenshot(path=IMAGES / "airflow-task.png")


def approval_page(page: Page, url: str) -> None:
    """What a reviewer sees under Required Actions."""
    api = f"{url}/api/v2"
    staff = RECIPIENT_LISTS["staff"]
    call(f"{api}/variables", method="POST", body={"key": "approval_list", "value": staff})
    call(f"{api}/dags/approval", method="PATCH", body={"is_paused": False})
    body = {"dag_run_id": "friday", "logical_date": "2026-05-01T09:00:00Z"}
    call(f"{api}/dags/approval/dagRuns", method="POST", body=body)
    task = f"{api}/dags/approval/dagRuns/friday/taskInstances/approve"
    while call(task).get("state") not in ("deferred", "awaiting_input"):
        time.sleep(2)
    page.goto(f"{url}/dags/approval/runs/friday/tasks/approve/required_actions")
    page.get_by_role("button", name="Approve").wait_for()
    page.screenshot(path=IMAGES / "airflow-approval.png")


def call(url: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(body).encode() if body else None, {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        if error.code == 404:  # not yet
            return {}
        raise


def airflow_pages() -> None:
    with airflow() as url, browser() as started:
        page = page_of(started)
        page.set_default_timeout(120_000)
        connection_form(page, url)
        task_page(page, url)
        approval_page(page, url)


def reduce_pictures(since: float) -> None:
    """Make the new pictures smaller, without a visible difference."""
    if (pngquant := shutil.which("pngquant")) is None:
        print("pngquant is not installed: the pictures stay three times as large as necessary", flush=True)
        return
    options = ["--force", "--skip-if-larger", "--ext", ".png", "--quality", "80-98", "--speed", "1"]
    # 98 and 99: the picture cannot be made smaller, or not at that quality.
    for picture in (each for each in IMAGES.glob("*.png") if each.stat().st_mtime >= since):
        done = subprocess.run([pngquant, *options, picture], check=False)
        if done.returncode not in (0, 98, 99):
            sys.exit(f"pngquant failed for {picture.name}")


PICTURES: dict[str, Callable[[], None]] = {
    "sandbox": sandbox_page,
    "demo": demo_output,
    "airflow": airflow_pages,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(PICTURES)}")
    began = time.time()
    for name in parser.parse_args().names or PICTURES:
        PICTURES[name]()
        print(f"{name}: done", flush=True)
    reduce_pictures(began)


if __name__ == "__main__":
    main()
