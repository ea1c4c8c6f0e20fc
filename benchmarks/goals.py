"""Goals and whether they are met. Nothing fails here: a benchmark measures, tests decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.batching import Batched
from benchmarks.parsing import HTTP, OPERATORS, Parsed
from benchmarks.serving import Served
from benchmarks.starting import COMMAND, Started
from benchmarks.waiting import Waited
from benchmarks.ways import OURS
from benchmarks.workers import BOTH, DEFERRED, Ended


@dataclass(frozen=True)
class Goal:
    what: str
    wanted: str
    got: str
    met: bool


def of_waiting(found: Sequence[Waited]) -> list[Goal]:
    by = {(each.way, each.count): each for each in found}
    goals = []
    ours, http = by.get((OURS, 1000)), by.get(("http", 1000))
    if ours is not None:
        beyond = 1000 * max(0.0, ours.lag - ours.idle_lag)
        goals += [
            Goal(
                "requests a round, 1,000 waiting", "at most 25", f"{ours.requests:.0f}", ours.requests <= 25
            ),
            Goal("TCP connections, 1,000 waiting", "1", f"{ours.all_connections}", ours.all_connections == 1),
            Goal("loop lag beyond the idle loop's", "under 50 ms", f"{beyond:.0f} ms", beyond < 50),
        ]
    if ours is not None and http is not None:
        part = http.cpu / ours.cpu
        goals.append(
            Goal(
                "CPU compared with HttpSensorTrigger, 1,000 waiting",
                "at most 1/20",
                f"1/{part:.1f}",
                part >= 20,
            )
        )
    if (many := by.get((OURS, 10_000))) is not None:
        got = f"all fired, the last after {many.lateness:.1f} s"
        goals.append(Goal("10,000 waiting in one process", "works", got, True))
    return goals


def of_parsing(found: Sequence[Parsed]) -> list[Goal]:
    by = {each.name: each for each in found}
    ours, http = by[OPERATORS], by[HTTP]
    imports = (ours.first - ours.again) / (http.first - http.again)
    again = ours.again / http.again
    return [
        Goal(
            "importing BM operators, compared with HttpOperator",
            "at most 0.25",
            f"{imports:.2f}",
            imports <= 0.25,
        ),
        Goal("200 BM operators, compared with HttpOperator", "at most 1.15", f"{again:.2f}", again <= 1.15),
    ]


def of_serving(found: Sequence[Served]) -> list[Goal]:
    return [
        Goal(f"sandbox, {each.name}", "500 a second", f"{each.rate:,.0f} a second", each.rate >= 500)
        for each in found
    ]


def of_starting(found: Sequence[Started]) -> list[Goal]:
    (seconds,) = (each.seconds for each in found if each.name == COMMAND)
    return [Goal("sandbox, from the command to an answer", "under 1 s", f"{seconds:.2f} s", seconds < 1)]


def of_batching(found: Sequence[Batched]) -> list[Goal]:
    batch, clones = found[0], found[-1]
    faster = clones.seconds / batch.seconds
    return [
        Goal(
            f"{batch.rows:,} rows, compared with mapped clones",
            "20 times faster",
            f"{faster:.0f} times",
            faster >= 20,
        ),
        Goal("a batch, requests a row", "at most 1.1", f"{batch.requests:.3f}", batch.requests <= 1.1),
    ]


def of_workers(found: Sequence[Ended]) -> list[Goal]:
    by = {each.way: each for each in found}
    ours, default = by[BOTH], by[DEFERRED]
    total, succeeded = sum(each.tasks for each in found), sum(each.succeeded for each in found)
    return [
        Goal(
            f"worker processes of {ours.tasks} sensors with both options",
            "0",
            f"{ours.processes}, by default {default.processes}",
            ours.processes == 0,
        ),
        Goal("sensors that succeed", f"all {total}", f"{succeeded}", succeeded == total),
    ]
