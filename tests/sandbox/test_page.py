"""The page at `/`: what it is served, what it is told, and who may have it. tests/browser/ looks at it."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import threading
import time
from pathlib import Path

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox, page
from airflow_provider_bm.sandbox.__main__ import banner
from airflow_provider_bm.sandbox.page.content import content
from airflow_provider_bm.sandbox.page.marks import Marks
from airflow_provider_bm.sandbox.page.view import View
from airflow_provider_bm.sandbox.page.words import schedule_in_words

FILES = sorted(page.files())
STAFF = 40


def ask(sandbox, name="overview", **parameters):
    reply = requests.get(f"{sandbox.url}/_sandbox/page/{name}", params=parameters, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def names(view):
    return [row["name"] for row in view["rows"]]


def wait_until(true):
    for _ in range(200):
        if true():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")


# The files


@pytest.mark.parametrize("path", FILES)
def test_files(sandbox, path):
    reply = requests.get(sandbox.url + path, timeout=10)
    assert reply.status_code == 200
    policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.]+\.\w+/", reply.text), "another host"
    assert requests.head(sandbox.url + path, timeout=10).headers["Content-Length"] == str(len(reply.content))
    assert requests.post(sandbox.url + path, timeout=10).status_code == 405


def test_all_scripts_are_fetched_at_once():
    scripts = {path for path in FILES if path.endswith(".js")}
    html = page.files()["/"].body.decode()
    assert set(re.findall(r'(?:href|src)="(/_sandbox/page/\w+\.js)"', html)) == scripts


def test_no_style_is_left_out():
    styles = sorted(Path(page.__file__).parent.glob("*.css"))
    assert sorted(page.STYLES) == [each.stem for each in styles]
    assert page.files()[f"{page.FOLDER}style.css"].body.decode().startswith(styles[1].read_text())


@pytest.mark.parametrize("path", ["page", "page/", "page/view.py", "page/../sandbox.py", "page/nothing.js"])
def test_no_other_files(sandbox, path):
    request = requests.Request("GET", f"{sandbox.url}/_sandbox/{path}").prepare()
    request.url = f"{sandbox.url}/_sandbox/{path}"  # requests would tidy it up
    with requests.Session() as session:
        assert session.send(request, timeout=10).status_code == 404


def test_the_command_says_where_it_is(sandbox):
    assert f"In your browser: {sandbox.url}/\n" in banner(sandbox)


def test_a_secret_of_ones_own_is_not_printed():
    with Sandbox(client_secret="s3cr3t-of-mine") as sandbox:
        assert "s3cr3t-of-mine" not in banner(sandbox)
        assert "YOUR_CLIENT_SECRET" in banner(sandbox)


def test_the_page_is_no_request_of_the_api(sandbox):
    sandbox.fault(drop=True, times=None)
    assert requests.get(f"{sandbox.url}/", timeout=10).status_code == 200
    assert requests.get(f"{sandbox.url}/favicon.ico", timeout=10).status_code == 200
    assert ask(sandbox)["faults"][0]["seen"] == 0
    assert sandbox.requests() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_read(theme):
    css = (Path(page.__file__).parent / "colours.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", {"light": light, "dark": dark}[theme]))

    def luminance(name):
        text = colours[name][1:]
        parts = [
            int(part * (2 if len(text) == 3 else 1), 16) / 255
            for part in re.findall("." * (len(text) // 3), text)
        ]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one, other):
        darker, lighter = sorted((luminance(one), luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    backs = ("panel", "back", "sunken", "chosen", "bubble")
    pairs = [(text, back) for text in ("text", "muted") for back in backs]
    pairs += [(name, f"{name}-back") for name in ("good", "warn", "bad")]
    pairs += [(name, "panel") for name in ("accent", "good", "warn", "bad")]
    pairs += [("accent", "chosen"), ("on-accent", "accent")]
    # WCAG 2, AA for text of usual size
    assert not {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5}
    # and for what has to be seen to be used, or to be told from the rest
    pairs = [("edge", back) for back in ("panel", "back", "chosen")]
    pairs += [("accent", back) for back in ("panel", "line", "chosen")]
    assert not {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 3}


# Access


@pytest.mark.parametrize("path", ["/", "/_sandbox/page/page.js", "/_sandbox/messages", "/_sandbox/health"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("localhost:{port}", 200),
        ("bm.localhost", 200),
        ("host.docker.internal:{port}", 200),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("evil-localhost", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_a_sites_name_that_leads_here(sandbox, path, host, status):
    headers = {"Host": host.format(port=sandbox.port)}
    assert requests.get(sandbox.url + path, headers=headers, timeout=10).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        # Another port of this machine: its page is of the same site, and not of the sandbox.
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_sites_do_not_read_it(sandbox, headers, status):
    reply = requests.get(f"{sandbox.url}/_sandbox/messages", headers=headers, timeout=10)
    assert reply.status_code == status
    assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://evil.example:{port}", "Host": "evil.example:{port}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_do_not_steer_it(sandbox, headers):
    sandbox.fault(status=503)
    sent = {name: value.format(port=sandbox.port) for name, value in headers.items()}
    for call in (requests.post, requests.delete):
        assert call(f"{sandbox.url}/_sandbox/faults", json={}, headers=sent, timeout=10).status_code == 403
    assert len(sandbox.faults()) == 1


def test_other_sites_get_no_token(api, sandbox):
    for origin in ("http://evil.example", f"http://evil.example:{sandbox.port}", sandbox.url, "null"):
        form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
        headers = {"Origin": origin, "Host": origin.partition("//")[2] or "127.0.0.1"}
        reply = requests.post(sandbox.token_url, data=form, headers=headers, timeout=10)
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
    assert api.call("GET", headers={"Origin": "http://evil.example"}).status_code == 403
    assert api.call("GET").status_code == 200
    assert [request["status"] for request in sandbox.requests()] == [200, 403, 403, 403, 403, 403, 200]


def test_beyond_loopback_the_page_asks_for_a_login():
    with Sandbox(host="0.0.0.0", client_secret="my own") as sandbox:
        url = sandbox.url.replace("0.0.0.0", "127.0.0.1")
        for path in FILES:
            reply = requests.get(url + path, timeout=10)
            assert reply.status_code == 401
            assert reply.headers["WWW-Authenticate"].startswith("Basic ")
        login = {"auth": ("sandbox", "my own"), "timeout": 10}
        assert "<title>" in requests.get(url, **login).text
        # It may have a name there, and the page steers it from its own origin.
        own = {"Host": "bm.example:8765", "Origin": "http://bm.example:8765"}
        assert requests.post(f"{url}/_sandbox/clock", json={}, headers=own, **login).status_code == 200
        foreign = own | {"Origin": "http://evil.example"}
        assert requests.post(f"{url}/_sandbox/clock", json={}, headers=foreign, **login).status_code == 403


# What it is told


def test_overview(api, sandbox):
    api.post(name="Sent", sending_type="email", template='{"body": "Hello"}')
    sandbox.clock.advance(4)
    view = ask(sandbox)
    assert view["clock"] == {"now": "2026-03-02T12:00:04.000+00:00", "speed": 1, "frozen": True}
    assert (view["counts"]["all"], view["counts"]["active"], view["messages"]) == (1, 1, 16)
    (row,) = view["rows"]
    assert row == view["selected"]
    assert (row["status"], row["state"], row["sent"], row["total"]) == ("active", "sending", 16, STAFF)
    assert (row["channel"], row["schedule"], row["runs"]) == ("email", "at once", 1)
    assert [(one["method"], one["status"]) for one in view["requests"]] == [("POST", 201), ("POST", 200)]
    sandbox.clock.advance(60)
    (row,) = ask(sandbox)["rows"]
    assert (row["status"], row["state"], row["sent"]) == ("finished", "done", STAFF)


def test_another_sandbox_in_its_place_can_be_told(sandbox):
    with Sandbox() as other:
        assert ask(sandbox)["sandbox"] == ask(sandbox)["sandbox"] != ask(other)["sandbox"]


def test_what_the_page_has_is_not_sent_again(api, sandbox):
    sandbox.create(name="Long")
    seen = ask(sandbox)["tag"]
    sandbox.clock.advance(1)
    assert ask(sandbox, seen=seen) == {"clock": ask(sandbox)["clock"], "unchanged": True}
    assert "rows" in ask(sandbox, seen=seen, search="Short")
    api.call("GET")
    view = ask(sandbox, seen=seen)
    assert view["tag"] != seen
    assert names(view) == ["Long"]


def test_how_to_connect(sandbox):
    view = ask(sandbox, "connection")
    assert view["connection"] in banner(sandbox)
    assert json.loads(shlex.split(view["connection"])[1].partition("=")[2]) == sandbox.connection()
    assert run_curl(view["example"])["uuid"] == sandbox.campaigns()[0]["uuid"]
    with Sandbox(host="0.0.0.0", client_secret="s3cr3t-of-mine") as other:
        login = {"auth": ("sandbox", "s3cr3t-of-mine"), "timeout": 10}
        view = requests.get(f"{other.url}/_sandbox/page/connection", **login).json()
        assert "s3cr3t-of-mine" not in str(view)
        run_curl(view["example"].replace("YOUR_CLIENT_SECRET", "s3cr3t-of-mine"))
        assert len(other.campaigns()) == 1


def run_curl(command):
    """Do what curl would do, which not every machine has."""
    given = argparse.ArgumentParser()
    for option in ("-X", "-H", "-d", "-u"):
        given.add_argument(option)
    given.add_argument("url")
    name, *options = shlex.split(command)
    found = given.parse_args(options)
    assert name == "curl"
    header = dict([found.H.split(": ")])
    login = tuple(found.u.split(":")) if found.u else None
    reply = requests.request(found.X, found.url, data=found.d, headers=header, auth=login, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_pages_filters_search_and_order(sandbox):
    for number in range(40):
        status = ("draft", "finished")[number % 2]
        sandbox.create(name=f"Campaign {number:02}", status=status)
    assert names(ask(sandbox)) == [f"Campaign {number:02}" for number in range(39, 24, -1)]
    assert names(ask(sandbox, page="3")) == [f"Campaign {number:02}" for number in range(9, -1, -1)]
    beyond = ask(sandbox, page="9")
    assert (beyond["page"], beyond["pages"], beyond["first"], beyond["found"]) == (3, 3, 31, 40)
    assert names(ask(sandbox, status="draft", sort="name"))[:2] == ["Campaign 00", "Campaign 02"]
    assert names(ask(sandbox, search="pAIGN 07")) == ["Campaign 07"]
    uuid = sandbox.campaigns()[7]["uuid"]
    assert names(ask(sandbox, search=uuid[:13].upper())) == ["Campaign 07"]
    assert names(ask(sandbox, search="(")) == []
    later = sandbox.create(
        name="Later", status="active", schedule_type="once", schedule_rrule="2026-03-04 06:00:00"
    )
    sooner = sandbox.create(
        name="Sooner", status="active", schedule_type="once", schedule_rrule="2026-03-03 06:00:00"
    )
    view = ask(sandbox, sort="next")
    assert names(view)[:2] == ["Sooner", "Later"]
    assert view["next_dt"] == sooner["next_dt"] < later["next_dt"]
    sandbox.clock.advance(86400)
    assert names(ask(sandbox, sort="last"))[0] == "Sooner"


@pytest.mark.parametrize(
    "query", ["page=x", "sort=colour", "colour=blue", "page=" + "9" * 5000, "until=x", "failed=perhaps"]
)
def test_wrong_questions(sandbox, query):
    assert requests.get(f"{sandbox.url}/_sandbox/page/overview?{query}", timeout=10).status_code == 400


def test_it_follows_what_was_executed_last(sandbox):
    first = sandbox.create(name="First", status="active")
    sandbox.create(name="Draft", status="draft")
    assert ask(sandbox)["selected"]["name"] == "First"
    sandbox.clock.advance(60)
    sandbox.create(name="Second", status="active")
    assert ask(sandbox)["selected"]["name"] == "Second"
    assert ask(sandbox, selected=first["uuid"])["selected"]["name"] == "First"
    assert ask(sandbox, selected="nothing")["selected"] is None


def test_messages_of_a_campaign(sandbox):
    made = sandbox.create(name="Storm", status="active", template="Stay in, {first_name} {unknown}.")
    sandbox.clock.advance(4)
    view = ask(sandbox, "campaign", uuid=made["uuid"])
    assert (view["found"], view["total"], view["recipients"]) == (16, STAFF, ["staff"])
    sent = sandbox.messages(made["uuid"])
    assert [(one["to"], one["sent_dt"]) for one in view["messages"]] == [
        (one["to"], one["sent_dt"]) for one in sent
    ]
    one = view["messages"][3]
    for search in (one["contact"].upper(), one["to"], f"in, {one['contact'].split()[0]}"):
        found = ask(sandbox, "campaign", uuid=made["uuid"], search=search)["messages"]
        assert one in found
        assert len(found) < 16


def test_an_update_is_seen_while_the_clock_stands_still(sandbox):
    made = sandbox.create(name="Draft", template="One")
    before = ask(sandbox)
    sandbox.update_campaign(made["uuid"], status="draft", template="Two")
    assert ask(sandbox)["selected"] != before["selected"]


def test_the_content_of_one_message_at_a_time(sandbox):
    made = sandbox.create(name="Storm", status="active", template="Stay in, {first_name}.")
    sandbox.clock.advance(4)
    sent = sandbox.messages(made["uuid"])
    view = ask(sandbox, "campaign", uuid=made["uuid"])
    assert (view["shown"]["number"], view["shown"]["text"]) == (0, [sent[0]["text"]])
    shown = ask(sandbox, "campaign", uuid=made["uuid"], message="3")["shown"]
    assert shown == {**view["messages"][3], **shown}
    assert (shown["text"], shown["sender"], shown["channel"]) == ([sent[3]["text"]], "+41587000000", "sms")
    # Not on this page any more: then the first one is.
    assert ask(sandbox, "campaign", uuid=made["uuid"], message="16")["shown"]["number"] == 0
    found = ask(sandbox, "campaign", uuid=made["uuid"], message="3", search=sent[5]["to"])
    assert (found["shown"]["number"], len(found["messages"])) == (5, 1)


def test_times_of_messages_after_a_pause(sandbox):
    made = sandbox.create(status="active")["uuid"]
    sandbox.clock.advance(4)
    sandbox.stop_campaign(made)
    sandbox.clock.advance(3600)
    sandbox.start_campaign(made)
    sandbox.clock.advance(60)
    view = ask(sandbox, "campaign", uuid=made)
    times = [one["sent_dt"][11:19] for one in view["messages"]]
    assert (times[0], times[15], times[16], times[-1]) == ("12:00:00", "12:00:04", "13:00:04", "13:00:10")
    assert [one["sent_dt"] for one in sandbox.messages(made)] == [one["sent_dt"] for one in view["messages"]]


def test_names_and_addresses_of_any_length(sandbox):
    lists = [sandbox.add_recipient_list(f"{number}" + "n" * 10**4, []) for number in range(50)]
    long = sandbox.add_recipient_list(
        "mine",
        [{"uuid": f"{number}" + "u" * 10**4, "first_name": "F" * 10**5} for number in range(50)],
    )
    made = sandbox.create(
        status="active",
        sending_type="webpush",
        sender="S" * 10**5,
        recipient_lists=",".join([long, *lists]),
    )
    sandbox.clock.advance(60)
    view = ask(sandbox, "campaign", uuid=made["uuid"])
    assert (len(view["messages"]), len(view["recipients"]), view["more_recipients"]) == (50, 20, 31)
    assert len(json.dumps(view)) < 100_000
    assert ask(sandbox, "campaign", uuid=made["uuid"], message="7")["shown"]["number"] == 7


def test_a_large_template_does_not_keep_the_others_waiting(sandbox):
    template = json.dumps({f"k{number}": {"a": "v" * 50} for number in range(10_000)} | {"text": "Hi"})
    made = sandbox.create(sending_type="rbm", template=template)
    held = []
    lock, view = sandbox.store.lock, View(sandbox)
    sandbox.store.lock = TimedLock(lock, held)
    began = time.perf_counter()
    assert view.campaign(made["uuid"])["shown"]["text"] == ["Hi"]
    took = time.perf_counter() - began
    assert sum(held) < took / 2


class TimedLock:
    """Notes for how long a lock was held."""

    def __init__(self, lock, held):
        self._lock, self._held = lock, held

    def __enter__(self):
        self._lock.__enter__()
        self._began = time.perf_counter()

    def __exit__(self, *error):
        self._held.append(time.perf_counter() - self._began)
        return self._lock.__exit__(*error)


def test_pages_of_messages(sandbox):
    made = sandbox.create(status="active", recipient_lists=sandbox.recipient_lists["customers"])
    sandbox.clock.advance(60)
    total = ask(sandbox, "campaign", uuid=made["uuid"])["total"]
    seen = []
    for number in range(1, -(-total // 50) + 1):
        seen += ask(sandbox, "campaign", uuid=made["uuid"], page=str(number))["messages"]
    assert [one["to"] for one in seen] == [one["to"] for one in sandbox.messages(made["uuid"])]


def test_each_execution_of_a_campaign(sandbox):
    made = sandbox.create(
        status="active", schedule_type="scheduled", schedule_rrule="FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0"
    )
    preview = ask(sandbox, "campaign", uuid=made["uuid"])
    assert (preview["run"], preview["preview_dt"]) == ("preview", "2026-03-03T06:00:00+00:00")
    assert len(preview["messages"]) == STAFF
    for _ in range(3):
        assert requests.post(f"{sandbox.url}/_sandbox/page/next", timeout=10).status_code == 200
    view = ask(sandbox, "campaign", uuid=made["uuid"])
    days = [(run["started_dt"][:10], run["sent"], run["state"]) for run in view["runs"]]
    assert days == [
        ("2026-03-05", 0, "sending"),
        ("2026-03-04", STAFF, "done"),
        ("2026-03-03", STAFF, "done"),
    ]
    assert (view["run"], view["messages"]) == (view["runs"][0]["uuid"], [])
    earlier = ask(sandbox, "campaign", uuid=made["uuid"], run=view["runs"][2]["uuid"])
    assert earlier["messages"][0]["sent_dt"].startswith("2026-03-03T06:00:00")
    assert ask(sandbox, "campaign", uuid=made["uuid"], run="preview")["run"] == "preview"
    assert sandbox.clock.now().isoformat() == "2026-03-05T06:00:00+00:00"


def test_a_preview_sends_nothing(sandbox):
    rule = {"field": "first_name", "condition": "eq", "value": "Nobody", "operator": "AND"}
    query = json.dumps({"segmentation": [{"operator": "OR", "rules": [rule]}]})
    made = sandbox.create(status="draft", template="For {first_name}")
    fitting = sandbox.create(status="draft", query_type="segmentation", query=query)
    view = ask(sandbox, "campaign", uuid=made["uuid"])
    assert (view["run"], view["total"], len(view["messages"])) == ("preview", STAFF, STAFF)
    assert view["shown"]["text"] == [f"For {view['shown']['contact'].split()[0]}"]
    assert ask(sandbox, "campaign", uuid=fitting["uuid"])["messages"] == []
    assert sandbox.messages() == sandbox.executions() == []
    assert ask(sandbox)["messages"] == 0


def test_what_a_deleted_campaign_sent_is_still_there(api, sandbox):
    made = api.post(name="Gone").json()["uuid"]
    sandbox.clock.advance(60)
    api.call("DELETE", f"/{made}")
    view = ask(sandbox)
    assert (view["counts"]["all"], view["counts"]["deleted"], view["messages"]) == (0, 1, STAFF)
    assert names(view) == []
    assert names(ask(sandbox, status="deleted")) == ["Gone"]
    shown = ask(sandbox, "campaign", uuid=made)
    assert (shown["row"]["status"], shown["found"], shown["can_preview"]) == ("deleted", STAFF, False)
    assert ask(sandbox, "campaign", uuid=made, run="preview")["run"] == shown["run"]


def test_several_services(sandbox):
    other = sandbox.add_service()
    sandbox.create(name="First")
    made = sandbox.create(name="There", service_uuid=other)
    sandbox.create(name="Last")
    assert names(ask(sandbox)) == ["Last", "There", "First"]
    assert ask(sandbox, "campaign", uuid=made["uuid"])["service_uuid"] == other


def test_to_the_next_execution_if_there_is_one(sandbox):
    reply = requests.post(f"{sandbox.url}/_sandbox/page/next", timeout=10)
    assert reply.status_code == 400
    assert "No campaign" in reply.json()["message"]


def test_requests_without_secrets(api, sandbox):
    api.token(client_secret="s3cr3t-of-mine")
    api.call("GET", "?name=Storm")
    numbers = [one["number"] for one in ask(sandbox)["requests"]]
    assert numbers == [3, 2, 1]
    get, token, _ = (ask(sandbox, "request", number=str(number)) for number in numbers)
    assert get["query"] == {"name": "Storm"}
    assert '"client_secret": "***"' in token["body"]
    assert "s3cr3t" not in f"{get}{token}{ask(sandbox)}"
    gone = requests.get(f"{sandbox.url}/_sandbox/page/request?number=9", timeout=10)
    assert gone.status_code == 404


def test_numbers_of_requests_do_not_come_again(api, sandbox):
    api.call("GET")
    before = ask(sandbox)["requests"][0]["number"]
    sandbox.reset()
    requests.get(api.url, timeout=10)
    assert ask(sandbox)["requests"][0]["number"] > before


def test_after_a_reset_requests_are_counted_anew(api, sandbox):
    api.call("GET")
    sandbox.reset()
    view = ask(sandbox)
    assert (view["requests"], view["request_count"]) == ([], 0)
    requests.get(api.url, timeout=10)
    assert ask(sandbox)["request_count"] == 1


def test_a_request_that_is_served_is_not_a_lost_one(api, sandbox):
    sandbox.fault(delay=0.3, lose_reply=True)

    def call():
        with pytest.raises(requests.ConnectionError):
            api.call("GET")

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: ask(sandbox)["request_count"] == 2)
    row = ask(sandbox)["requests"][0]
    assert (row["status"], row["finished"]) == (None, False)
    assert ask(sandbox, failed="yes")["requests"] == []
    caller.join()
    wait_until(lambda: ask(sandbox)["requests"][0]["finished"])
    assert ask(sandbox)["requests"][0]["status"] is None
    assert [one["number"] for one in ask(sandbox, failed="yes")["requests"]] == [2]


def test_requests_that_failed(api, sandbox):
    for number in range(30):
        api.call("GET", "" if number % 10 else "/nothing")
    shown = [(one["number"], one["status"]) for one in ask(sandbox, failed="yes")["requests"]]
    assert shown == [(22, 404), (12, 404), (2, 404)]


def test_while_a_request_is_read_the_list_stands_still(api, sandbox):
    for _ in range(30):
        api.call("GET")
    before = ask(sandbox)
    newest = before["requests"][0]["number"]
    assert (newest, len(before["requests"]), before["newer_requests"]) == (31, 25, 0)
    for number in range(40):
        api.call("GET", "" if number % 10 else "/nothing")
    held = ask(sandbox, until=str(newest))
    assert (held["requests"], held["newer_requests"]) == (before["requests"], 40)
    assert ask(sandbox, until=str(newest), failed="yes")["newer_requests"] == 4
    assert ask(sandbox)["requests"][0]["number"] == 71


def test_faults_that_are_used_up(api, sandbox):
    sandbox.fault(status=503, nth=2)
    sandbox.fault(status=429, times=None, path="never")
    for spent in (False, True):
        api.call("GET")
        faults = {fault["status"]: fault["spent"] for fault in ask(sandbox)["faults"]}
        assert faults == {503: spent, 429: False}


def test_used_up_faults_can_be_cleared_alone(api, sandbox):
    sandbox.fault(status=503)
    sandbox.fault(status=429, path="never")
    api.call("GET")
    assert requests.post(f"{sandbox.url}/_sandbox/page/clear_used_up", timeout=10).status_code == 204
    assert [fault["status"] for fault in sandbox.faults()] == [429]


def test_faults_are_in_the_order_in_which_they_hit(api, sandbox):
    for status in (500, 501, 502, 503):
        sandbox.fault(status=status, path="never" if status % 2 else None)
    api.call("GET")
    view = ask(sandbox)
    assert [(one["status"], one["spent"]) for one in view["faults"]] == [
        (501, False),
        (503, False),
        (502, True),
        (500, True),
    ]
    assert (view["fault_count"], view["spent_count"]) == (4, 2)


def test_faults_that_are_many_or_large(sandbox):
    for number in range(100):
        sandbox.fault(path=f"{number}" + "z" * 10**4, body="x" * 10**5, headers={"X" * 10**4: "v" * 10**4})
    view = ask(sandbox)
    assert view["fault_count"] == 100
    assert [one["path"][:2] for one in view["faults"]] == [str(number) for number in range(50, 100)]
    assert len(json.dumps(view["faults"])) < 50_000
    assert view["faults"][0]["body"] is True
    for _ in range(100):
        sandbox.fault(status=500, headers={f"X-{number}": "v" for number in range(1000)})
    assert len(json.dumps(ask(sandbox)["faults"])) < 50_000


# A message as it is shown


def shown(channel, text, **more):
    return content({"channel": channel, "text": text, **more}, Marks())


def told(details):
    return {label: "".join(value) for label, value in details}


def test_content_of_channels():
    plain = {"title": [], "text": ['{"text": 1}'], "details": [], "more": 0}
    assert shown("sms", '{"text": 1}') == plain
    push = shown(
        "webpush",
        "T",
        webpush_title="Storm",
        webpush_body="Stay in",
        webpush_target_url="https://example.com",
    )
    assert push == {
        "title": ["Storm"],
        "text": ["Stay in"],
        "details": [["opens", ["https://example.com"]], ["template", ["T"]]],
        "more": 0,
    }
    assert shown("webpush", "Only this")["text"] == ["Only this"]
    mail = shown("email", '{"subject": "Hi", "parts": [{"body": "One"}, {"body": "Two"}], "track": true}')
    assert mail == {"title": ["Hi"], "text": ["One\nTwo"], "details": [["track", ["true"]]], "more": 0}


def test_details_are_named_by_the_end_of_their_path():
    card = {"title": "Storm", "description": "Stay in", "media": {"height": "TALL", "url": {"file": "a.png"}}}
    carousel = {"contentMessage": {"richCard": {"carouselCard": {"cardContents": [card, card]}}}}
    view = shown("rbm", json.dumps(carousel))
    assert (view["title"], view["text"]) == (["Storm"], ["Stay in\nStay in"])
    assert [label for label, _ in view["details"]] == [
        "cardContents[0].media.height",
        "media.url.file",
        "carouselCard.cardContents[1].title",
        "cardContents[1].media.height",
        "media.url.file",
    ]


@pytest.mark.parametrize(
    ("template", "details"),
    [
        ({"button": {"caption": "Open", "url": "u"}}, {"button.caption": "Open", "button.url": "u"}),
        ({"Buttons": [{"title": "Yes"}]}, {"Buttons[0].title": "Yes"}),
        ({"suggestions": [{"reply": {"text": "Yes"}}]}, {"suggestions[0].reply.text": "Yes"}),
        ({"suggestions": [{"action": {"text": "Call"}}]}, {"suggestions[0].action.text": "Call"}),
        ({"m": {"inline_keyboard": [[{"text": "Open"}]]}}, {"m.inline_keyboard[0][0].text": "Open"}),
        ({"action": {"button": {"text": "Menu"}}}, {"action.button.text": "Menu"}),
    ],
)
def test_buttons_are_no_part_of_the_text(template, details):
    view = shown("whatsapp", json.dumps({"text": "Hello", **template}))
    assert (view["title"], view["text"]) == ([], ["Hello"])
    assert told(view["details"]) == details


def test_other_names_of_texts():
    assert shown("email", '{"subject": "S", "html": "<p>Hello</p>"}')["text"] == ["<p>Hello</p>"]
    assert shown("viber", '{"text": {"body": "Hello"}, "caption": null}')["text"] == ["Hello"]


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{", "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, '"text"', "[]", "null", "{}"]
)
def test_content_that_is_no_known_json(text):
    assert shown("whatsapp", text).keys() == {"title", "text", "details", "more"}
    if text in ("no JSON", "{"):
        assert shown("whatsapp", text)["text"] == [text]


def test_long_content_is_cut():
    assert len(shown("sms", "x" * 10**6)["text"][0]) < 11_000
    many = shown("viber", "[" + ",".join("1" * 1000) + "]")
    assert (len(many["details"]), many["more"]) == (50, 950)
    assert len(json.dumps(shown("viber", json.dumps({"K" * 10**5: "v" * 10**5})))) < 2000


# Variables without a value


def sent_to(sandbox, contact, **fields):
    mine = sandbox.add_recipient_list("mine", [{"mobile": "+41790000001", **contact}])
    made = sandbox.create(recipient_lists=mine, **fields)
    return ask(sandbox, "campaign", uuid=made["uuid"])["shown"]


def test_variables_without_a_value_are_told_from_text(sandbox):
    names = {"first_name": "{last_name}", "nick_name": "{unknown}"}
    shown = sent_to(sandbox, names, template="Hi {first_name} {nick_name}{last_name}, as cold as {temp}.")
    assert shown["text"] == [
        "Hi {last_name} {unknown}",
        {"empty": "last_name"},
        ", as cold as ",
        {"unknown": "{temp}"},
        ".",
    ]


def test_variables_without_a_value_in_json(sandbox):
    template = json.dumps({"subject": "{grüße}", "{key}": "{first_name}", "body": "{b}{last_name}"})
    shown = sent_to(sandbox, {"email": "a@example.com"}, sending_type="email", template=template)
    assert shown["title"] == [{"unknown": "{grüße}"}]
    assert shown["text"] == [{"unknown": "{b}"}, {"empty": "last_name"}]
    assert shown["details"] == [["{key}", [{"empty": "first_name"}]]]
    assert sandbox.messages() == []


def test_marks_count_as_what_they_stand_for(sandbox):
    shown = sent_to(sandbox, {}, template="{temp}" * 5000)
    assert shown["text"][:2] == [{"unknown": "{temp}"}, {"unknown": "{temp}"}]
    assert len(shown["text"]) < 2000
    assert shown["text"][-1] == "… (30000 characters)"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0", "daily at 06:00"),
        ("RRULE:FREQ=DAILY;BYHOUR=6,18;BYMINUTE=5", "daily at 06:05, 18:05"),
        ("FREQ=WEEKLY;BYDAY=MO,TH;WKST=MO", "weekly on Mon, Thu"),
        ("FREQ=HOURLY;INTERVAL=3;COUNT=5", "every 3 hours, 5 times"),
        ("FREQ=DAILY;COUNT=1", "daily, once"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15;UNTIL=20261231T235959Z", "monthly on day 1, 15, until 2026-12-31"),
    ],
)
def test_rules_in_words(rule, words):
    assert schedule_in_words({"schedule_type": "scheduled", "schedule_rrule": rule}) == words


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYDAY=1MO",
        "FREQ=DAILY;BYHOUR=6",
        "FREQ=DAILY;BYMINUTE=6",
        "FREQ=DAILY;BYHOUR=6;BYMINUTE=0,30",
        "FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=30",
        "FREQ=YEARLY;BYMONTH=2",
        "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY",
        "nonsense",
    ],
)
def test_what_there_are_no_words_for_stays_a_rule(rule):
    assert schedule_in_words({"schedule_type": "scheduled", "schedule_rrule": rule}) == rule


def test_other_schedules_in_words():
    once = {"schedule_type": "once", "schedule_rrule": "2026-03-04 06:00:00"}
    assert schedule_in_words(once) == "once, 2026-03-04 06:00"
    assert schedule_in_words({"schedule_type": "now"}) == "at once"
