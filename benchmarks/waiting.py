"""Waiting: the cost of a round of polls, for each kind of trigger and number of campaigns."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.child import MEASURED, Child
from benchmarks.ways import OURS, WAYS
from tools.airflow_env import environment

#: Seconds between two checks of the progress of a round.
GLANCE = 0.05


@dataclass(frozen=True)
class Plan:
    """The kinds of triggers and numbers of campaigns to measure.

    :param interval: poke interval in seconds, long enough for the slowest way
    :param rounds: rounds that are measured, after the first
    """

    count: int
    interval: float
    rounds: int
    ways: tuple[str, ...]


ALL = (OURS, "bm-single", "http", "job")
FULL = (
    Plan(100, 2, 6, ALL),
    Plan(1000, 5, 5, (*ALL, "http-body")),
    Plan(5000, 12, 2, ALL),
    Plan(10_000, 12, 3, (OURS,)),
)
QUICK = (Plan(100, 2, 1, ALL), Plan(1000, 5, 1, (OURS, "http")))


@dataclass
class Waited:
    """The cost of one kind of trigger. A round is one poll of each campaign.

    :ivar requests: a round
    :ivar cpu: seconds of CPU a round beyond the idle loop's, of all threads of the process
    :ivar lag: seconds by which the loop was held up at the worst
    :ivar idle_lag: the same before there was anything to wait for
    :ivar growth: bytes of memory for each campaign that is waited for
    :ivar memory: bytes of memory of the process
    :ivar connections: TCP connections used in a round, the median
    :ivar all_connections: TCP connections from the first poll to the last
    :ivar lateness: seconds from the end of all campaigns until the last trigger has fired
    :ivar median_lateness: until half of them have
    """

    way: str
    count: int
    interval: float
    requests: float
    cpu: float
    lag: float
    idle_lag: float
    growth: float
    memory: float
    threads: int
    connections: float
    all_connections: int
    lateness: float
    median_lateness: float


def run(plans: tuple[Plan, ...], folder: Path, sandbox: Child, say: Callable[[str], None]) -> list[Waited]:
    found = []
    for plan in plans:
        for way in plan.ways:
            try:
                waited = measure(way, plan, folder, sandbox)
            except RuntimeError as error:
                if WAYS[way].ours:
                    raise
                say(f"{plan.count:6} x {WAYS[way].label}: failed: {error}")
                continue
            found.append(waited)
            say(
                f"{plan.count:6} x {WAYS[way].label}: {waited.requests:.0f} requests and {waited.cpu:.3f} s "
                f"CPU a round, lag {waited.lag * 1000:.0f} ms, last after {waited.lateness:.1f} s"
            )
    return found


def measure(way: str, plan: Plan, folder: Path, sandbox: Child) -> Waited:
    """Measure one kind of trigger, in a separate process."""
    where = sandbox.ask("where")
    staged = sandbox.ask(
        "stage", count=plan.count, ignore_filters=WAYS[way].ignore_filters, hidden=WAYS[way].hidden
    )
    campaigns = f"{urlsplit(where['api_url']).path.strip('/')}/services/{where['service_uuid']}/campaigns"
    env = environment(folder) | {
        "AIRFLOW_CONN_BM_DEFAULT": where["connection"],
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(
            {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": where["port"]}
        ),
        "AIRFLOW_CONN_JOBS_DEFAULT": json.dumps(
            {"conn_type": "generic", "host": where["url"], "password": staged["token"]}
        ),
    }
    log = folder / f"waiter-{way}-{plan.count}.log"
    with Child("benchmarks.waiter", core=MEASURED, log=log, env=env) as waiter:
        idle = waiter.ask(
            "prepare",
            way=way,
            uuids=staged["uuids"],
            ended=staged["ended"],
            service=where["service_uuid"],
            campaigns=campaigns,
            token=staged["token"],
            interval=plan.interval,
        )
        sandbox.ask("tally", forget=True)
        waiter.ask("start")
        rounds = [_until(plan, 1, sandbox, waiter)]
        rounds += [_until(plan, number, sandbox, waiter) for number in range(2, plan.rounds + 2)]
        finished = sandbox.ask("finish")
        outcome = waiter.ask("outcome", patience=20 * plan.interval + 60)
        total = sandbox.ask("tally")
    if outcome["failed"]:
        raise RuntimeError(f"{way} with {plan.count}: {outcome['failed']}")
    first, last = rounds[0], rounds[-1]
    polls, seconds = last["polls"] - first["polls"], last["at"] - first["at"]
    per_round = plan.count / polls
    return Waited(
        way=way,
        count=plan.count,
        interval=plan.interval,
        requests=(last["requests"] - first["requests"]) * per_round,
        cpu=(last["cpu"] - first["cpu"] - idle["cpu_rate"] * seconds) * per_round,
        lag=max(entry["lag"] for entry in rounds[1:]),
        idle_lag=idle["lag"],
        growth=(last["rss"] - idle["rss"]) / plan.count,
        memory=last["rss"],
        threads=last["threads"],
        connections=statistics.median(entry["connections_of_round"] for entry in rounds[1:]),
        all_connections=total["connections"],
        lateness=outcome["fired"][-1] - finished,
        median_lateness=statistics.median(outcome["fired"]) - finished,
    )


def _until(plan: Plan, number: int, sandbox: Child, waiter: Child) -> dict[str, Any]:
    """Wait until each campaign was polled this number of times, on average."""
    limit = time.monotonic() + 6 * plan.interval + 60
    while sandbox.ask("tally")["polls"] < number * plan.count:
        if time.monotonic() > limit:
            state = {**sandbox.ask("tally"), **waiter.ask("mark")}
            raise RuntimeError(f"round {number} of {plan} does not end: {state}")
        time.sleep(GLANCE)
    return {**waiter.ask("mark"), **sandbox.ask("tally", round_ended=True)}
