"""Tables of results, readable on a terminal and in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.batching import Batched
from benchmarks.creating import Created
from benchmarks.goals import Goal
from benchmarks.parsing import BARE_SENSORS, EMPTY, OPERATORS, SENSORS, Parsed
from benchmarks.serving import Served
from benchmarks.starting import Started
from benchmarks.waiting import Waited
from benchmarks.ways import OURS, WAYS
from benchmarks.workers import BOTH, DEFERRED, HTTP, Ended

Row = Sequence[str]


def table(heading: Row, rows: Sequence[Row]) -> str:
    """Return a padded Markdown table with right-aligned numbers."""
    columns = list(zip(*rows, strict=True))
    numbers = [all(re.fullmatch(r"[<\d.,]*", cell) for cell in column) for column in columns]
    widths = [max(map(len, (name, *column))) for name, column in zip(heading, columns, strict=True)]

    def line(row: Row) -> str:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        return f"| {' | '.join(cells)} |"

    dashes = [
        "-" * (width - 1) + ":" if number else "-" * width
        for width, number in zip(widths, numbers, strict=True)
    ]
    return "\n".join([line(heading), f"| {' | '.join(dashes)} |", *map(line, rows)])


def waiting(found: Sequence[Waited]) -> str:
    """One table for each number of campaigns."""
    parts = []
    for count in dict.fromkeys(each.count for each in found):
        group = [each for each in found if each.count == count]
        ours = next((each for each in group if each.way == OURS), None)
        rows = [_waited(each, ours) for each in group]
        title = f"**{count:,} campaigns**, polled every {group[0].interval:g} seconds:"
        parts.append(f"{title}\n\n{table(_HEADING, rows)}")
    return "\n\n".join(parts)


_HEADING = (
    "Trigger",
    "Requests",
    "Connections",
    "CPU, s",
    "CPU, ratio",
    "Lag, ms",
    "Memory, MB",
    "Each, kB",
    "Last, s",
)


def _waited(result: Waited, ours: Waited | None) -> Row:
    return (
        WAYS[result.way].label,
        f"{result.requests:,.0f}",
        f"{result.connections:,.0f}",
        f"{result.cpu:.3f}",
        f"{result.cpu / ours.cpu:.1f}" if ours else "",
        f"{1000 * max(0.0, result.lag - result.idle_lag):.0f}",
        f"{result.memory / 1e6:.0f}",
        f"{result.growth / 1e3:.0f}",
        f"{result.lateness:.1f}",
    )


def parsing(found: Sequence[Parsed]) -> str:
    empty = next(each for each in found if each.name == EMPTY)
    rows = [
        (
            _FILES[each.name],
            f"{1000 * each.first:.1f}",
            f"{each.first / empty.first:.2f}",
            f"{1000 * each.again:.1f}",
            f"{each.again / empty.again:.2f}",
        )
        for each in found
    ]
    return table(("200 tasks", "ms", "ratio", "imported, ms", "ratio"), rows)


_FILES = {
    EMPTY: "EmptyOperator",
    OPERATORS: "BMCreateCampaignOperator and BMGetCampaignOperator",
    "HTTP": "HttpOperator",
    SENSORS: "BMCreateCampaignOperator and BMCampaignSensor",
    BARE_SENSORS: "EmptyOperator and Airflow's BaseSensorOperator, bare",
    "HTTP, half sensors": "HttpOperator and HttpSensor",
}


def creating(found: Sequence[Created]) -> str:
    base = found[0].seconds
    rows = [
        (
            f"`{each.name}`",
            str(len(each.requests)),
            ", ".join(f"`{request}`" for request in each.requests),
            f"{1000 * each.seconds:.2f}",
            f"{each.seconds / base:.2f}",
        )
        for each in found
    ]
    return table(("One campaign", "Requests", "which", "ms", "ratio"), rows)


def batching(found: Sequence[Batched]) -> str:
    rows = [
        (
            f"{each.name}, extrapolated" if each.extrapolated else each.name,
            f"{each.rows:,}",
            f"{each.seconds:.1f}",
            f"{each.requests:.3f}",
            "" if each.megabytes is None else f"{each.megabytes:.1f}",
        )
        for each in found
    ]
    return table(("A table sent by", "Rows", "s", "Requests a row", "Memory, MB"), rows)


def serving(found: Sequence[Served]) -> str:
    rows = [(each.name, f"{each.rate:,.0f}", f"{1000 * each.cpu:.2f}") for each in found]
    return table(("Sandbox", "Requests a second", "its CPU, ms each"), rows)


def starting(found: Sequence[Started]) -> str:
    rows = [(each.name, f"{each.seconds:.3f}", f"{each.seconds / found[0].seconds:.2f}") for each in found]
    return table(("Started", "s", "ratio"), rows)


def workers(found: Sequence[Ended]) -> str:
    ours = found[0]
    rows = [
        (
            SENSORS[each.way],
            f"{each.processes:,}",
            f"{each.cpu:,.0f}",
            f"{each.cpu / ours.cpu:.1f}",
            f"{each.seconds:.1f}",
            f"{each.seconds / ours.seconds:.1f}",
        )
        for each in found
    ]
    last = "Until the last task ended, s"
    return table((f"{ours.tasks} sensors", "Worker processes", "CPU, s", "ratio", last, "ratio"), rows)


SENSORS = {
    BOTH: "`BMCampaignSensor`, both options",
    DEFERRED: "`BMCampaignSensor`, `deferrable=True`",
    HTTP: "`HttpSensor`, `deferrable=True`",
}


def goals(found: Sequence[Goal]) -> str:
    rows = [(goal.what, goal.wanted, goal.got, "met" if goal.met else "**not met**") for goal in found]
    return table(("Goal", "Target", "Measured", "Result"), rows)
