"""`make demo`: ten real days of the weather alert, in a real Airflow, against the sandbox.

This process shows what happens and checks it against the weather data. It starts two others: the sandbox, and
Airflow (`--airflow`), which runs `dags_examples/weather_alert.py` day by day, triggers included. Nothing
leaves the machine. The exit status is 0 only if everything happened as the data require.

With `--keep` the sandbox keeps running, so that its page shows the campaigns and messages of the demo.

With `--fault` the sandbox misbehaves. A lost reply, for example, must not send anything twice:

    python -m tools.demo --fault '{"method": "POST", "path": "campaigns", "lose_reply": true}'
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from unittest import mock

from airflow_provider_bm.sandbox import SandboxClient
from airflow_provider_bm.sandbox.contacts import recipient_lists
from tools.airflow_env import ROOT, AirflowHome, airflow_version, is_airflow_2
from tools.sandbox_process import WEATHER_TEMPLATE, sandbox_process, set_the_stage

DAG_ID = "weather_alert"
DAG_FILE = ROOT / "dags_examples" / "weather_alert.py"
WEATHER = ROOT / "dags_examples" / "data" / "seattle-weather.csv"
FIRST_DAY, DAYS = date(2013, 11, 28), 10
STORM, FROST = 8.0, -3.0  # m/s and °C, as in the DAG
TIME_LIMIT = 240.0  # seconds for all runs
PAGE_PORT = 8765

#: The key that operators add to a campaign's name.
_KEY = re.compile(r"^\[[0-9a-f]{16}\] | \[[0-9a-f]{10}\]$")

INTRODUCTION = """\
WEATHER ALERT

A DAG reads Seattle's weather every morning. On a day with storm or frost it clones a draft campaign, sends it
to all customers, and waits until the last message is out. On other days it sends nothing.

The weather is real: {first:%-d %B} to {last:%-d %B %Y}, as measured by NOAA. Airflow {airflow} is real, too.
BM is a sandbox on this machine, so no message reaches anyone. The draft:
"""

Run = Mapping[str, Any]


class DemoError(Exception):
    """The demo cannot continue."""


# What the weather data require. Read independently of the DAG.


@dataclass(frozen=True)
class Day:
    """The weather of a day, and what the alert must do."""

    date: date
    temp: float
    wind: float

    @property
    def why(self) -> str:
        """The reasons for a warning, or an empty text."""
        return " and ".join(["storm"] * (self.wind >= STORM) + ["frost"] * (self.temp <= FROST))

    def text(self, first_name: str) -> str:
        """The text that a contact must receive."""
        return WEATHER_TEMPLATE.format(
            first_name=first_name, temp=f"{self.temp}C", wind=f"{round(self.wind * 3.6)}km/h"
        )


def read_days() -> list[Day]:
    with WEATHER.open(newline="") as file:
        rows = {row["date"]: row for row in csv.DictReader(file)}
    days = []
    for each in (FIRST_DAY + timedelta(days=number) for number in range(DAYS)):
        row = rows[f"{each:%Y/%m/%d}"]
        days.append(Day(each, float(row["temp_min"]), float(row["wind"])))
    return days


def check(
    days: Sequence[Day], runs: Sequence[Run], sandbox: SandboxClient, drafts: set[str], faults: bool
) -> list[str]:
    """List what differs from what the weather data require.

    :param drafts: campaigns that existed before
    :param faults: whether the sandbox has scripted faults
    """
    wrong: list[str] = []

    def expect(what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found}, expected {wanted}")

    contacts = recipient_lists()[sandbox.recipient_lists["customers"]]
    alerts = sum(bool(day.why) for day in days)
    campaigns = {campaign["uuid"]: campaign for campaign in sandbox.campaigns()}
    expect("days run", [run["day"] for run in runs], [str(day.date) for day in days])
    expect("days with and without a warning in the data", 0 < alerts < len(days), True)
    for day, run in zip(days, runs, strict=False):
        at, uuid = str(day.date), run["campaign"]
        state = "success" if day.why else "skipped"
        expect(f"{at}: state of the run", run["state"], "success")
        expect(f"{at}: tasks", run["tasks"], dict.fromkeys(("look_out", "send", "report"), state))
        if not (day.why and uuid):
            expect(f"{at}: campaign", uuid, "one" if day.why else None)
            continue
        campaign = campaigns.get(uuid, {})
        expect(f"{at}: status of the campaign", campaign.get("status"), "finished")
        expect(f"{at}: its name", _KEY.sub("", str(campaign.get("name"))), f"Weather alert {at}")
        expect(f"{at}: campaigns that triggers waited for", run["triggers"], [uuid])
        messages = sandbox.messages(uuid)
        expect(f"{at}: messages in the sandbox", len(messages), len(contacts))
        expect(f"{at}: messages as the DAG reported", run["reported"], len(contacts))
        texts = Counter((message["to"], message["text"]) for message in messages)
        texts.subtract((each["mobile"], day.text(each["first_name"])) for each in contacts)
        different = [text for text, surplus in texts.items() if surplus]
        expect(f"{at}: messages that differ", different[:2], [])
    sent = {run["campaign"] for run in runs if run["campaign"]}
    expect("campaigns", sorted(campaigns.keys() - drafts), sorted(sent))
    expect("status of the drafts", {campaigns[uuid]["status"] for uuid in drafts}, {"draft"})
    expect("executions", len(sandbox.executions()), alerts)
    expect("messages in all", len(sandbox.messages()), alerts * len(contacts))
    if not faults:
        refused = [
            f"{each['method']} {each['path']}: {each['status']}"
            for each in sandbox.requests()
            if not ok(each)
        ]
        expect("requests without success", refused, [])
    return wrong


def ok(request: Mapping[str, Any]) -> bool:
    """Return whether a request of the journal succeeded."""
    return request["status"] is not None and 200 <= request["status"] < 300


# In the child process: Airflow.


def run_in_airflow(out: IO[str]) -> None:
    """Run the DAG for each day; write one line of JSON when a run has ended."""
    from airflow_provider_bm.triggers import BMCampaignTrigger

    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef,attr-defined,unused-ignore]
    bag = DagBag(str(DAG_FILE))
    if bag.import_errors:
        raise DemoError(f"The DAG cannot be imported: {bag.import_errors}")
    dag: Any = bag.dags[DAG_ID]
    # The sandbox takes half a second where a BM takes minutes, so poll more often than every minute.
    dag.get_task("send").poke_interval = 0.3
    # These days are long past, so max_age would refuse their messages.
    dag.get_task("send").max_age = timedelta(days=36_500)
    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=1)

    # Record the campaigns that a trigger waited for: it proves that the task was deferred.
    waited: list[str] = []
    run_trigger = BMCampaignTrigger.run

    def recorded(trigger: BMCampaignTrigger) -> Any:
        waited.append(trigger.campaign_uuid)
        return run_trigger(trigger)

    with mock.patch.object(BMCampaignTrigger, "run", recorded):
        for day in read_days():
            waited.clear()
            six = datetime(day.date.year, day.date.month, day.date.day, 6, tzinfo=UTC)
            dag_run = dag.test(**{"execution_date" if is_airflow_2() else "logical_date": six})
            run = {
                "day": str(day.date),
                "state": task_instance_state(dag_run),
                "tasks": {ti.task_id: task_instance_state(ti) for ti in dag_run.get_task_instances()},
                "campaign": read_xcom(dag_run.run_id, "send"),
                "reported": read_xcom(dag_run.run_id, "report"),
                "triggers": waited,
            }
            print(json.dumps(run), file=out, flush=True)


def task_instance_state(thing: Any) -> str:
    return str(getattr(thing.state, "value", thing.state))


def read_xcom(run_id: str, task_id: str) -> Any:
    """The return value of a task, or None."""
    place = {"dag_id": DAG_ID, "run_id": run_id, "task_id": task_id, "key": "return_value"}
    if is_airflow_2():
        from airflow.models.xcom import XCom

        return XCom.get_one(**place)
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.query(XComModel).filter_by(**place).one_or_none()
        return None if row is None else XComModel.deserialize_value(row)


# In this process: start Airflow and the sandbox, and print the results.


def demo(home: AirflowHome, log: Path, fault: Mapping[str, Any], keep: bool) -> list[str]:
    """Run the demo, and return the problems.

    :param keep: keep the sandbox running at the end, until Ctrl-C
    """
    days, runs = read_days(), []
    began = time.monotonic()
    print(INTRODUCTION.format(first=days[0].date, last=days[-1].date, airflow=airflow_version()))
    print(f'  "{WEATHER_TEMPLATE}"\n', flush=True)
    print(f"Starting Airflow, which logs to {relative(log)}\n", flush=True)
    fresh_database(home)
    port = PAGE_PORT if keep else 0
    with sandbox_process(home.logs / "sandbox.log", port=port, execution_seconds=0.5) as (_, sandbox):
        variables = set_the_stage(sandbox)
        drafts = {campaign["uuid"] for campaign in sandbox.campaigns()}
        home.extra = {
            "AIRFLOW_CONN_BM_DEFAULT": sandbox.connection_json(),
            **{f"AIRFLOW_VAR_{name.upper()}": value for name, value in variables.items()},
        }
        if fault:
            print(f"The sandbox has a fault: {json.dumps(fault)}\n")
            sandbox.fault(**fault)
        print(f"  {'Day':<10}  {'Coldest':>8}  {'Wind':>8}   What the DAG did", flush=True)
        with airflow_runs(home, log) as lines:
            for day, run in zip(days, lines, strict=False):
                runs.append(run)
                print(
                    f"  {day.date:%a %e %b}  {day.temp:>5} °C  {day.wind:>4} m/s   {outcome(day, run)}",
                    flush=True,
                )
        messages = home.path / "messages.jsonl"
        messages.write_text(
            "".join(json.dumps(message, ensure_ascii=False) + "\n" for message in sandbox.messages())
        )
        show_messages(days, runs, sandbox)
        show_evidence(runs, sandbox)
        wrong = check(days, runs, sandbox, drafts, bool(fault))
        if wrong:
            print("\nFAILED: this is not what the weather data require\n")
            print("\n".join(f"  {line}" for line in wrong))
        else:
            print(f"\nOK: all runs, campaigns and messages are right ({time.monotonic() - began:.0f} s)")
        show_next(log, messages, sandbox.url if keep else None)
        if keep:
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
        return wrong


def fresh_database(home: AirflowHome) -> None:
    """Copy an empty database for Airflow, which is created once."""
    empty = home.path / "empty.db"
    if not empty.exists():
        home.path.mkdir(parents=True, exist_ok=True)
        (home.path / ".migrated").unlink(missing_ok=True)
    home.prepare()
    if not empty.exists():
        shutil.copyfile(home.database, home.path / "empty.part")
        (home.path / "empty.part").rename(empty)
    for leftover in home.path.glob("airflow.db*"):
        leftover.unlink()
    shutil.copyfile(empty, home.database)


@contextlib.contextmanager
def airflow_runs(home: AirflowHome, log: Path) -> Iterator[Iterator[Run]]:
    """Start Airflow, and yield each run when it has ended.

    :param log: file for the output of Airflow
    """
    reader, writer = os.pipe()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.demo", "--airflow", str(writer)],
            cwd=ROOT,
            env=home.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    limit = threading.Timer(TIME_LIMIT, end)
    limit.daemon = True
    limit.start()
    try:
        with os.fdopen(reader) as lines:
            yield (json.loads(line) for line in lines)
            for _ in lines:  # wait until it ends
                pass
        if status := process.wait():
            late = f", after {TIME_LIMIT:.0f} s" if status == -signal.SIGKILL else ""
            raise DemoError(f"Airflow ended with exit status {status}{late}.")
    finally:
        limit.cancel()
        if process.poll() is None:
            end()
            process.wait()


def outcome(day: Day, run: Run) -> str:
    """What a run did, in a few words."""
    if run["state"] != "success":
        states = ", ".join(f"{task} {state}" for task, state in run["tasks"].items())
        return f"{run['state'].upper()}: {states}"
    if run["campaign"] is None:
        return "nothing sent"
    return f"{day.why.upper() or 'NO REASON'}: sent to {run['reported']} customers"


def show_messages(days: Sequence[Day], runs: Sequence[Run], sandbox: SandboxClient) -> None:
    sent = [(day, run) for day, run in zip(days, runs, strict=False) if run["campaign"]]
    print("\nOne message of each campaign, as a customer reads it\n")
    for number, (day, run) in enumerate(sent):
        for message in sandbox.messages(run["campaign"])[number : number + 1]:
            print(f"  {day.date:%a %e %b}  {message['to']}  {message['text']}")


def show_evidence(runs: Sequence[Run], sandbox: SandboxClient) -> None:
    states = Counter(run["state"] for run in runs)
    waits = sum(len(run["triggers"]) for run in runs)
    statuses = Counter(campaign["status"] for campaign in sandbox.campaigns())
    requests = sandbox.requests()
    kinds = Counter("token" if each["path"].startswith("/oauth2/") else each["method"] for each in requests)
    print("\nWhat Airflow and the sandbox recorded\n")
    print(f"  Airflow   {counted(states, 'runs')}; {waits} tasks waited deferred, in a trigger")
    print(f"  Sandbox   {counted(statuses, 'campaigns')}; {len(sandbox.messages())} messages sent")
    print(f"  API       {counted(kinds, 'requests')}; {sum(map(ok, requests))} successful")


def counted(kinds: Counter[str], what: str) -> str:
    """`10 runs: 9 success, 1 failed`."""
    return f"{kinds.total()} {what}: " + ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())


def show_next(log: Path, messages: Path, page: str | None) -> None:
    print("\nNext steps\n")
    rows = [
        (relative(DAG_FILE), "the DAG"),
        (relative(messages), "all messages"),
        (relative(log), "Airflow's log"),
        ("make airflow", "this and the other examples in Airflow's UI"),
    ]
    if page is None:
        rows.insert(
            0, ("make demo DEMO=--keep", "the same, then these campaigns and messages in the browser")
        )
    for place, what in rows:
        print(f"  {place:<38}  {what}")
    if page is not None:
        print(f"\nThe campaigns and messages of this demo are at {page}/ until you press Ctrl-C.")
    print(flush=True)


def relative(path: Path) -> str:
    return os.path.relpath(path, ROOT)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--keep] [--fault JSON]",
    )
    parser.add_argument("--keep", action="store_true", help="keep the sandbox and its page until Ctrl-C")
    parser.add_argument("--fault", type=json.loads, default={}, metavar="JSON", help="see Sandbox.fault()")
    parser.add_argument("--airflow", type=int, metavar="FD", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.airflow is not None:
        with os.fdopen(arguments.airflow, "w") as out:
            run_in_airflow(out)
        return 0

    # Ending this process also ends Airflow and the sandbox.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    home = AirflowHome(ROOT / ".airflow" / f"{airflow_version()}-demo")
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "airflow.log"
    log.unlink(missing_ok=True)
    with (home.path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second demo waits for the first
        try:
            wrong = demo(home, log, arguments.fault, arguments.keep)
        except (DemoError, OSError, RuntimeError, ValueError) as error:
            print(f"\nFAILED: {error}")
            if log.exists():
                print(f"\nThe last lines of {relative(log)}:\n")
                print(
                    "\n".join(
                        f"  {line[:200]}" for line in log.read_text(errors="replace").splitlines()[-20:]
                    )
                )
            return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
