"""The state file: what was answered is there again, whatever ended the process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import requests

from airflow_provider_bm.sandbox import Sandbox, SandboxClient
from tests.sandbox.conftest import Api
from tests.support.work import little_work

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "bm.state"


@contextlib.contextmanager
def sandbox_on(file, **options):
    with Sandbox(state=file, start=START, **options) as sandbox:
        yield sandbox


def everything(sandbox):
    """All that a sandbox tells about itself, but for the requests."""
    return {
        "campaigns": sandbox.campaigns(fields="tasks,messages"),
        "messages": sandbox.messages(),
        "executions": sandbox.executions(),
        "lists": sandbox.recipient_lists,
        "settings": (sandbox.execution_seconds, sandbox.token_lifetime, sandbox.ignore_filters),
        "clock": (sandbox.clock.now(), sandbox.clock.speed, sandbox.clock.frozen),
    }


def frozen(sandbox):
    sandbox.clock.freeze()
    sandbox.clock.set(START)


def test_all_is_as_it_was(file):
    with sandbox_on(file) as sandbox:
        frozen(sandbox)
        sandbox.clock.speed = 60
        sandbox.execution_seconds, sandbox.token_lifetime = 10, 10**6
        sandbox.ignore_filters = True
        mine = sandbox.add_recipient_list("mine", [{"mobile": "+41790000001", "first_name": "Ada"}])
        api = Api(sandbox).login()
        for status in ("draft", "active", "stopped", "finished"):
            sandbox.create(name=f"{status} \u2028", status=status, template="{first_name} é {x}")
        sandbox.create(
            name="due", status="active", schedule_type="once", schedule_rrule="2026-03-02 13:00:00"
        )
        rule = "FREQ=HOURLY;BYMINUTE=30;BYSECOND=0;COUNT=4"
        sandbox.create(name="often", status="active", schedule_type="scheduled", schedule_rrule=rule)
        api.post(name="own", recipient_lists=mine)
        gone = api.post(name="gone").json()["uuid"]
        paused = api.post(name="paused").json()["uuid"]
        sandbox.clock.advance(5)
        api.call("DELETE", f"/{gone}")
        sandbox.stop_campaign(paused)
        sandbox.clock.advance(7200)
        sandbox.start_campaign(paused)
        sandbox.clock.advance(5)
        before, header = everything(sandbox), dict(api.session.headers)

    with sandbox_on(file) as sandbox:
        assert everything(sandbox) == before
        assert len(before["campaigns"]) == 8
        assert {campaign["status"] for campaign in before["campaigns"]} == {
            "draft", "active", "stopped", "finished"
        }  # fmt: skip
        # The token given out before is good still, and what is to come comes.
        again = Api(sandbox)
        again.session.headers.update(header)
        assert again.call("GET").status_code == 200
        sandbox.clock.advance(timedelta(days=1))
        later = everything(sandbox)
        often = next(campaign["uuid"] for campaign in later["campaigns"] if campaign["name"] == "often")
        assert [run["dt"][11:16] for run in sandbox.executions(often)] == ["12:30", "13:30", "14:30", "15:30"]
        each = Counter((message["campaign_uuid"], message["to"]) for message in sandbox.messages(paused))
        assert len(each) == each.total() == 40
        assert sandbox.messages(to="+41790000001")[0]["text"] == "Hello Ada"

    with sandbox_on(file) as sandbox:
        assert everything(sandbox) == later


def test_access_is_as_it_was(file):
    with sandbox_on(file, client_secret="first") as sandbox:
        other = sandbox.add_service()
        sandbox.add_client("second", "its secret", [other])
        revoked = Api(sandbox).token().json()["access_token"]
        sandbox.revoke_tokens()
        sandbox.rate_limit(0, retry_after=7)
    with sandbox_on(file, client_secret="new") as sandbox:
        api = Api(sandbox, other)
        assert api.call("GET").status_code == 429
        sandbox.rate_limit(None)
        assert api.login(client_id="second", client_secret="its secret").call("GET").status_code == 200
        assert api.token(client_secret="first").status_code == 401
        assert api.token(client_secret="new").status_code == 200
        assert api.call("GET", headers={"Authorization": f"Bearer {revoked}"}).status_code == 401


def test_the_published_secret_is_worth_nothing_beyond_loopback(file, caplog):
    with sandbox_on(file) as sandbox:
        token = Api(sandbox).token().json()["access_token"]
        sandbox.add_client("second", "its own secret", [sandbox.service_uuid])
        sandbox.add_client("third", "sandbox-secret", [sandbox.service_uuid])
    with sandbox_on(file, host="0.0.0.0", client_id="mine", client_secret="my own") as sandbox:
        api = Api(sandbox)
        for client in ("sandbox", "third"):
            assert api.token(client_id=client, client_secret="sandbox-secret").status_code == 401
        assert api.call("GET", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        assert api.token(client_id="second", client_secret="its own secret").status_code == 200
        assert api.login().call("GET").status_code == 200
        with pytest.raises(ValueError, match="everybody knows"):
            sandbox.add_client("sandbox", "sandbox-secret", [sandbox.service_uuid])
    assert "client 'third' is dropped" in caplog.text
    with sandbox_on(file) as sandbox:
        api = Api(sandbox).login()
        assert api.call("GET").status_code == 200
        assert api.token(client_id="third").status_code == 401


def test_another_secret_ends_the_tokens_and_keeps_the_services(file):
    with sandbox_on(file) as sandbox:
        other = sandbox.add_service()
        sandbox.add_client("sandbox", "sandbox-secret", [other])
        token = Api(sandbox).token().json()["access_token"]
    with sandbox_on(file, client_secret="new") as sandbox:
        for service in (other, sandbox.service_uuid):
            api = Api(sandbox, service)
            assert api.call("GET", headers={"Authorization": f"Bearer {token}"}).status_code == 401
            assert api.login().call("GET").status_code == 200


def test_no_secret_and_no_token_is_in_the_file(file):
    with sandbox_on(file, client_secret="s3cr3t-of-mine") as sandbox:
        token = Api(sandbox).token().json()["access_token"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        kept = b"".join(one.read_bytes() for one in file.parent.iterdir())
    assert b"token" in kept
    assert b"s3cr3t-of-mine" not in kept
    assert token.encode() not in kept


def test_time_goes_on_meanwhile_unless_it_is_frozen(file):
    with sandbox_on(file, speed=1000) as sandbox:
        before = sandbox.clock.now()
    with sandbox_on(file) as sandbox:
        assert timedelta(0) < sandbox.clock.now() - before < timedelta(hours=10)
        assert sandbox.clock.speed == 1000
        stood = sandbox.clock.freeze()
    with sandbox_on(file, speed=3) as sandbox:
        assert (sandbox.clock.now(), sandbox.clock.frozen, sandbox.clock.speed) == (stood, True, 3)


@pytest.mark.parametrize(
    "steer",
    [
        lambda clock: clock.advance(60),
        lambda clock: clock.set(START - timedelta(days=1)),
        lambda clock: setattr(clock, "speed", 5),
        lambda clock: clock.resume(),
        lambda clock: clock.reset(),
    ],
)
def test_each_turn_of_the_clock_is_kept(file, steer):
    with sandbox_on(file) as sandbox:
        frozen(sandbox)
    with sandbox_on(file) as sandbox:
        steer(sandbox.clock)
        steered = (sandbox.clock.now(), sandbox.clock.frozen, sandbox.clock.speed)
    with sandbox_on(file) as sandbox:
        assert (sandbox.clock.frozen, sandbox.clock.speed) == steered[1:]
        assert timedelta(0) <= sandbox.clock.now() - steered[0] < timedelta(seconds=50)


def test_a_campaign_that_would_catch_up_for_ever_is_stopped(file, caplog):
    with sandbox_on(file) as sandbox:
        frozen(sandbox)
        for name, rule in (("often", "FREQ=SECONDLY"), ("daily", "FREQ=DAILY")):
            sandbox.create(name=name, status="active", schedule_type="scheduled", schedule_rrule=rule)
        sandbox.clock.resume()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        # As if it had not run for a year.
        year = 365 * 86_400
        query = "UPDATE thing SET body = json_set(body, '$.at', ?) WHERE kind = 'clock'"
        db.execute(query, (time.time() - year,))
    for _ in range(2):
        with sandbox_on(file) as sandbox:
            with little_work():
                states = {campaign["name"]: campaign["status"] for campaign in sandbox.campaigns()}
            assert states == {"often": "stopped", "daily": "active"}
            assert len(sandbox.executions()) == 10_001 + 366
    assert "is stopped: too many executions were due at once" in caplog.text


def test_what_is_given_counts_more_than_what_is_kept(file):
    with sandbox_on(file, execution_seconds=5, token_lifetime=50):
        pass
    with sandbox_on(file, execution_seconds=7) as sandbox:
        assert (sandbox.execution_seconds, sandbox.token_lifetime) == (7, 50)


def test_reset_empties_the_file(file):
    with sandbox_on(file) as sandbox:
        sandbox.create(status="active")
        sandbox.reset()
        sandbox.create(name="after")
    with sandbox_on(file) as sandbox:
        assert [campaign["name"] for campaign in sandbox.campaigns()] == ["after"]
        assert sandbox.executions() == []


def test_what_could_not_be_saved_is_an_error_and_saved_later(file):
    with sandbox_on(file) as sandbox:
        state = sandbox.store._saving._state._db
        state.execute("PRAGMA query_only=ON")
        with pytest.raises(OSError, match=f"cannot write the state file {re.escape(str(file))}: .*readonly"):
            sandbox.create(name="first")
        reply = requests.get(f"{sandbox.url}/_sandbox/campaigns")
        assert reply.status_code == 500
        assert "cannot write the state file" in reply.json()["message"]
        state.execute("PRAGMA query_only=OFF")
        sandbox.create(name="second")
        before = sandbox.campaigns()
    with sandbox_on(file) as sandbox:
        assert sandbox.campaigns() == before
        assert len(before) == 2


def test_what_no_file_can_hold_does_not_stop_the_rest(file):
    with sandbox_on(file) as sandbox:
        for name in (None, "\ud800"):
            with pytest.raises((sqlite3.IntegrityError, UnicodeEncodeError)), sandbox.store.lock:
                sandbox.store._saving.note("client", name, dict)
            sandbox.create(name="after")
    with sandbox_on(file) as sandbox:
        assert len(sandbox.campaigns()) == 2


def test_one_sandbox_at_a_time(file):
    with sandbox_on(file) as sandbox:
        with pytest.raises(ValueError, match=r"bm\.state is in use by another sandbox"):
            Sandbox(state=file)
        command = [sys.executable, "-m", "airflow_provider_bm.sandbox", "--port", "0", "--state", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 2
        assert "is in use by another sandbox" in done.stderr
        sandbox.create(name="mine")
    with sandbox_on(file) as sandbox:
        assert [campaign["name"] for campaign in sandbox.campaigns()] == ["mine"]
    with pytest.raises(RuntimeError, match="let go of its state file"):
        sandbox.start()


def test_other_files_are_refused_and_stay_as_they_are(file, tmp_path):
    file.write_text("a letter to my aunt, which is long enough to be no header of anything\n" * 10)
    with pytest.raises(ValueError, match="is no state file"):
        Sandbox(state=file)
    assert file.read_text().startswith("a letter to my aunt")
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE mine (a)")
    with pytest.raises(ValueError, match="another program's"):
        Sandbox(state=other)
    with pytest.raises(ValueError, match=r"cannot make the state file .*No such file or directory"):
        Sandbox(state=tmp_path / "nowhere" / "bm.state")
    with pytest.raises(ValueError, match=r"state file"):
        Sandbox(state=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_file_is_refused(file):
    with sandbox_on(file):
        pass
    file.chmod(0o400)
    with pytest.raises(ValueError, match="it is read-only"):
        Sandbox(state=file)


def test_a_damaged_file_is_refused(file):
    with sandbox_on(file) as sandbox:
        sandbox.create()
    for body, said in (
        ("{", "campaign 0+1 in the state file .* is damaged"),
        ("{}", "is damaged: KeyError"),
        ('{"created": "x"}', "the state file .* is damaged"),
        (b"\xff", "the state file .* is damaged"),
    ):
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("UPDATE thing SET body = CAST(? AS TEXT) WHERE kind = 'campaign'", (body,))
        with pytest.raises(ValueError, match=said):
            Sandbox(state=file)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("run", "contacts", [99_999]),
        ("campaign", "created", "soon"),
        ("clock", "now", "soon"),
        ("setting", "value", "long"),
    ],
)
def test_a_damaged_row_is_refused(file, kind, name, value):
    with sandbox_on(file) as sandbox:
        sandbox.create(status="active")
        sandbox.execution_seconds = 3
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        query = "UPDATE thing SET body = json_set(body, ?, json(?)) WHERE kind = ?"
        db.execute(query, (f"$.{name}", json.dumps(value), kind))
    with pytest.raises(ValueError, match=f"the state file {re.escape(str(file))} is damaged"):
        Sandbox(state=file)


def test_a_file_with_damaged_pages_is_refused(file):
    with sandbox_on(file) as sandbox:
        for _ in range(100):
            sandbox.create(status="active")
    with file.open("r+b") as raw:
        raw.seek(8192)
        raw.write(b"\xff" * (file.stat().st_size - 16384))
    with pytest.raises(ValueError, match=f"the state file {re.escape(str(file))} is damaged"):
        Sandbox(state=file)


def test_any_name_is_a_file(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    for count in (0, 1):
        with sandbox_on(":memory:") as sandbox:
            assert len(sandbox.campaigns()) == count
            sandbox.create()


def test_a_later_format_is_refused(file):
    with sandbox_on(file):
        pass
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version=2")
    with pytest.raises(ValueError, match="has format 2, and this sandbox knows format 1"):
        Sandbox(state=file)


class Victim:
    """A sandbox process on a state file, which several threads write to until it is killed."""

    def __init__(self, file) -> None:
        command = [sys.executable, "-m", "airflow_provider_bm.sandbox", "--port", "0", "--state", str(file)]
        self.process = subprocess.Popen(
            [*command, "--execution-seconds", "0.05"], stdout=subprocess.PIPE, text=True
        )
        text = ""
        while "Ctrl-C" not in text:
            line = self.process.stdout.readline()
            assert line, "the sandbox did not start"
            text += line
        url = re.search(r"BM sandbox: (\S+)", text)[1]
        self.remote = SandboxClient(url)

    def login(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
        return requests.post(self.remote.token_url, data=form, timeout=10).json()["access_token"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class Acknowledged:
    """What the sandbox said that it did."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.unsure: set[str] = set()
        self.messages: dict[tuple[str, str], str] = {}

    def write(self, victim: Victim, token: str, thread: int) -> None:
        """Make campaigns, and delete every fifth, until the sandbox is gone."""
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token}"
        url = f"{victim.remote.api_url}/services/{victim.remote.service_uuid}/campaigns"
        payload = {
            "name": f"from thread {thread}",
            "sending_type": "sms",
            "schedule_type": "now",
            "template": "Hello {first_name}",
            "sender": "+41587000000",
            "recipient_lists": LIST,
        }
        for number in range(10_000):
            status = "draft" if number % 5 == 4 else "active"
            try:
                reply = session.post(url, json={**payload, "status": status}, timeout=10)
                assert reply.status_code == 201, reply.text
                uuid = reply.json()["uuid"]
                self.made[uuid] = status
                if status == "draft":
                    self.unsure.add(uuid)
                    assert session.delete(f"{url}/{uuid}", timeout=10).status_code == 204
                    self.deleted.add(uuid)
            except requests.ConnectionError:
                return

    def watch(self, victim: Victim) -> None:
        """Look at what was sent, until the sandbox is gone."""
        with contextlib.suppress(OSError, json.JSONDecodeError):
            while True:
                for message in victim.remote.messages():
                    self.messages[message["campaign_uuid"], message["to"]] = json.dumps(message)
                time.sleep(0.01)

    def check(self, remote: SandboxClient) -> None:
        campaigns = {campaign["uuid"]: campaign for campaign in remote.campaigns()}
        assert not self.made.keys() - self.unsure - campaigns.keys(), "lost campaigns"
        assert not self.deleted & campaigns.keys(), "deleted campaigns are back"
        executions = Counter(run["campaign_uuid"] for run in remote.executions())
        assert {executions[uuid] for uuid, status in self.made.items() if status == "active"} == {1}
        assert not {uuid for uuid, status in self.made.items() if status == "draft"} & executions.keys()
        now = {(one["campaign_uuid"], one["to"]): json.dumps(one) for one in remote.messages()}
        assert len(now) == len(remote.messages()), "messages are doubled"
        assert self.messages.items() <= now.items()


LIST = Sandbox().recipient_lists["staff"]


def test_killed_in_the_middle_of_writes(file):
    acknowledged, token = Acknowledged(), None
    for most in (3, 30, 100, 101, 160):
        victim = Victim(file)
        try:
            if token is None:
                token = victim.login()
            else:
                acknowledged.check(victim.remote)
            threads = [
                threading.Thread(target=acknowledged.write, args=(victim, token, number))
                for number in range(4)
            ]
            threads.append(threading.Thread(target=acknowledged.watch, args=(victim,)))
            for thread in threads:
                thread.start()
            give_up = time.monotonic() + 30
            while len(acknowledged.made) < most and time.monotonic() < give_up:
                time.sleep(0.001)
        finally:
            victim.kill()
        for thread in threads:
            thread.join()
    victim = Victim(file)
    try:
        acknowledged.check(victim.remote)
    finally:
        victim.kill()
    assert len(acknowledged.made) >= 160
    assert acknowledged.messages
    assert acknowledged.deleted
