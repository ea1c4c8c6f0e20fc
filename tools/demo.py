"""`make demo`: ten real days of the weather alert, in a real Airflow, against the sandbox.

This process shows what happens, and checks it against the weather data. Of the two that it starts, one is the
sandbox, and the other (`--airflow`) Airflow, which runs `dags_examples/weather_alert.py` day by day, triggers
included. Nothing leaves the machine. The exit status is 0 only if everything happened as the data say.

With `--fault` the sandbox misbehaves. A reply that is lost, for example, must not send anything twice:

    python -m tools.demo --fault '{"method": "POST", "path": "campaigns", "lose_reply": true}'
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import json
import os
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
STORM, FROST = 8.0, -3.0  # m/s and °C, as the DAG has them
TIME_LIMIT = 240.0  # seconds for all runs

Run = Mapping[str, Any]


class DemoError(Exception):
    """The demo cannot go on."""


# What the data say: read here once more, and not taken from the DAG.


@dataclass(frozen=True)
class Day:
    """The weather of a day, and what the alert should make of it."""

    date: date
    temp: float
    wind: float

    @property
    def why(self) -> str:
        """Why to warn, or nothing."""
        return " and ".join(["storm"] * (self.wind >= STORM) + ["frost"] * (self.temp <= FROST))

    def text(self, first_name: str) -> str:
        """What a contact should read."""
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
    """What did not happen as the data say: nothing, if all is well.

    :param drafts: campaigns that were there before
    :param faults: the sandbox was told to misbehave
    """
    wrong: list[str] = []

    def expect(what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found}, expected {wanted}")

    contacts = recipient_lists()[sandbox.recipient_lists["customers"]]
    alerts = sum(bool(day.why) for day in days)
    campaigns = {campaign["uuid"]: campaign for campaign in sandbox.campaigns()}
    expect("days run", [run["day"] for run in runs], [str(day.date) for day in days])
    expect("some days to warn of and some quiet ones in the data", 0 < alerts < len(days), True)
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
        expect(f"{at}: its name", str(campaign.get("name")).partition(" [")[0], f"Weather alert {at}")
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
    """Whether a request of the journal was answered with success."""
    return request["status"] is not None and 200 <= request["status"] < 300


# In the other process: Airflow.


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
    # The sandbox takes half a second where a BM takes minutes: no need for a minute between two looks.
    dag.get_task("send").poke_interval = 0.3
    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=1)

    # Note for which campaigns a trigger waited: the task has really been deferred then.
    waited: list[str] = []
    run_trigger = BMCampaignTrigger.run

    def noted(trigger: BMCampaignTrigger) -> Any:
        waited.append(trigger.campaign_uuid)
        return run_trigger(trigger)

    with mock.patch.object(BMCampaignTrigger, "run", noted):
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
    """What a task has returned, or None."""
    place = {"dag_id": DAG_ID, "run_id": run_id, "task_id": task_id, "key": "return_value"}
    if is_airflow_2():
        from airflow.models.xcom import XCom

        return XCom.get_one(**place)
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.query(XComModel).filter_by(**place).one_or_none()
        return None if row is None else XComModel.deserialize_value(row)


# In this process: what is started, and what is shown of it.


def demo(home: AirflowHome, log: Path, fault: Mapping[str, Any]) -> list[str]:
    """Run it all; return what went wrong."""
    days, runs = read_days(), []
    print(f"Weather alert: Seattle, {days[0].date:%-d %B} to {days[-1].date:%-d %B %Y}, as NOAA measured it")
    print(f"Airflow {airflow_version()} and a BM sandbox; nothing leaves this machine. The draft to clone:\n")
    print(f'  "{WEATHER_TEMPLATE}"\n', flush=True)
    print(f"Starting Airflow; it logs to {relative(log)}\n", flush=True)
    fresh_database(home)
    with sandbox_process(home.logs / "sandbox.log", execution_seconds=0.5) as (_, sandbox):
        variables = set_the_stage(sandbox)
        drafts = {campaign["uuid"] for campaign in sandbox.campaigns()}
        home.extra = {
            "AIRFLOW_CONN_BM_DEFAULT": sandbox.connection_json(),
            **{f"AIRFLOW_VAR_{name.upper()}": value for name, value in variables.items()},
        }
        if fault:
            print(f"The sandbox misbehaves: {json.dumps(fault)}\n")
            sandbox.fault(**fault)
        print(f"  {'Day':<10}   {'coldest':>7}  {'wind':>8}   what its run did", flush=True)
        with airflow_runs(home, log) as lines:
            for day, run in zip(days, lines, strict=False):
                runs.append(run)
                print(
                    f"  {day.date:%a %e %b}  {day.temp:>5} °C  {day.wind:>4} m/s   {outcome(day, run)}",
                    flush=True,
                )
        messages = home.path / "messages.jsonl"
        messages.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in sandbox.messages()))
        show_messages(days, runs, sandbox)
        show_evidence(runs, sandbox)
        show_next(log, messages)
        return check(days, runs, sandbox, drafts, bool(fault))


def fresh_database(home: AirflowHome) -> None:
    """An Airflow that has run nothing: its database is made once, and copied for each demo."""
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
    """Start Airflow; yield what it says of each run, as it ends. What it logs goes to a file."""
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
            for _ in lines:  # to its end
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
        return "quiet, skipped"
    return f"{day.why.upper() or 'NO REASON'}, sent to {run['reported']} contacts"


def show_messages(days: Sequence[Day], runs: Sequence[Run], sandbox: SandboxClient) -> None:
    sent = [(day, run) for day, run in zip(days, runs, strict=False) if run["campaign"]]
    print("\nWhat was read, one message of each campaign\n")
    for number, (day, run) in enumerate(sent):
        for message in sandbox.messages(run["campaign"])[number : number + 1]:
            print(f"  {day.date:%a %e %b}  {message['to']}  {message['text']}")


def show_evidence(runs: Sequence[Run], sandbox: SandboxClient) -> None:
    states = Counter(run["state"] for run in runs)
    waits = sum(len(run["triggers"]) for run in runs)
    statuses = Counter(campaign["status"] for campaign in sandbox.campaigns())
    requests = sandbox.requests()
    kinds = Counter("token" if each["path"].startswith("/oauth2/") else each["method"] for each in requests)
    print("\nHow it is known\n")
    print(f"  Airflow   {counted(states, 'runs')}; {waits} waits in a trigger")
    print(f"  Sandbox   {counted(statuses, 'campaigns')}; {len(sandbox.messages())} messages")
    print(f"  Journal   {counted(kinds, 'requests')}; {sum(map(ok, requests))} answered with success")


def counted(kinds: Counter[str], what: str) -> str:
    """`10 runs: 9 success, 1 failed`."""
    return f"{kinds.total()} {what}: " + ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())


def show_next(log: Path, messages: Path) -> None:
    print("\nWhere to look next\n")
    for place, what in (
        ("make airflow", "the same, and the other examples, in Airflow's UI"),
        ("README.md", "how to install and use the provider"),
        (relative(DAG_FILE), "the DAG"),
        (relative(messages), "all messages"),
        (relative(log), "Airflow's own log"),
    ):
        print(f"  {place:<38}  {what}")
    print()


def relative(path: Path) -> str:
    return os.path.relpath(path, ROOT)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--fault JSON]",
    )
    parser.add_argument("--fault", type=json.loads, default={}, metavar="JSON", help="see Sandbox.fault()")
    parser.add_argument("--airflow", type=int, metavar="FD", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.airflow is not None:
        with os.fdopen(arguments.airflow, "w") as out:
            run_in_airflow(out)
        return 0

    # Whoever ends this process ends Airflow and the sandbox with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began = time.monotonic()
    home = AirflowHome(ROOT / ".airflow" / f"{airflow_version()}-demo")
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "airflow.log"
    log.unlink(missing_ok=True)
    with (home.path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second demo waits for the first
        try:
            wrong = demo(home, log, arguments.fault)
        except (DemoError, OSError, RuntimeError, ValueError) as error:
            print(f"\nFAILED: {error}")
            if log.exists():
                print(f"\n{relative(log)} ends with\n")
                print(
                    "\n".join(
                        f"  {line[:200]}" for line in log.read_text(errors="replace").splitlines()[-20:]
                    )
                )
            return 1
    if wrong:
        print("FAILED: this is not what should happen with these data\n")
        print("\n".join(f"  {line}" for line in wrong))
        return 1
    print(
        f"OK: every run, campaign and message is as the weather data say ({time.monotonic() - began:.0f} s)"
    )
    print(
        "To see campaigns and messages in the browser: "
        f"{relative(Path(sys.executable))} -m airflow_provider_bm.sandbox, then http://127.0.0.1:8765/"
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
