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
    for count in dict.fromkeys(one.count for one in found):
        group = [one for one in found if one.count == count]
        ours = next((one for one in group if one.way == OURS), None)
        rows = [_waited(one, ours) for one in group]
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


def _waited(one: Waited, ours: Waited | None) -> Row:
    return (
        WAYS[one.way].label,
        f"{one.requests:,.0f}",
        f"{one.connections:,.0f}",
        f"{one.cpu:.3f}",
        f"{one.cpu / ours.cpu:.1f}" if ours else "",
        f"{1000 * max(0.0, one.lag - one.idle_lag):.0f}",
        f"{one.memory / 1e6:.0f}",
        f"{one.growth / 1e3:.0f}",
        f"{one.lateness:.1f}",
    )


def parsing(found: Sequence[Parsed]) -> str:
    empty = next(one for one in found if one.name == EMPTY)
    rows = [
        (
            _FILES[one.name],
            f"{1000 * one.first:.1f}",
            f"{one.first / empty.first:.2f}",
            f"{1000 * one.again:.1f}",
            f"{one.again / empty.again:.2f}",
        )
        for one in found
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
            f"`{one.name}`",
            str(len(one.requests)),
            ", ".join(f"`{request}`" for request in one.requests),
            f"{1000 * one.seconds:.2f}",
            f"{one.seconds / base:.2f}",
        )
        for one in found
    ]
    return table(("One campaign", "Requests", "which", "ms", "ratio"), rows)


def batching(found: Sequence[Batched]) -> str:
    rows = [
        (
            f"{one.name}, extrapolated" if one.extrapolated else one.name,
            f"{one.rows:,}",
            f"{one.seconds:.1f}",
            f"{one.requests:.3f}",
            "" if one.megabytes is None else f"{one.megabytes:.1f}",
        )
        for one in found
    ]
    return table(("A table sent by", "Rows", "s", "Requests a row", "Memory, MB"), rows)


def serving(found: Sequence[Served]) -> str:
    rows = [(one.name, f"{one.rate:,.0f}", f"{1000 * one.cpu:.2f}") for one in found]
    return table(("Sandbox", "Requests a second", "its CPU, ms each"), rows)


def starting(found: Sequence[Started]) -> str:
    rows = [(one.name, f"{one.seconds:.3f}", f"{one.seconds / found[0].seconds:.2f}") for one in found]
    return table(("Started", "s", "ratio"), rows)


def workers(found: Sequence[Ended]) -> str:
    ours = found[0]
    rows = [
        (
            SENSORS[one.way],
            f"{one.processes:,}",
            f"{one.cpu:,.0f}",
            f"{one.cpu / ours.cpu:.1f}",
            f"{one.seconds:.1f}",
            f"{one.seconds / ours.seconds:.1f}",
        )
        for one in found
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
