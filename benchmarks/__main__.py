"""``make bench``: run all benchmarks, print the results, and write them into the docs."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import (
    bars,
    batching,
    creating,
    goals,
    machine,
    parsing,
    plot,
    serving,
    starting,
    tables,
    waiting,
    workers,
)
from benchmarks.child import SERVING, Child
from tools.airflow_env import ROOT

PAGE = ROOT / "docs" / "scale.md"
PLOT = ROOT / "docs" / "images" / "waiting-at-scale.svg"
BARS = ROOT / "docs" / "images" / "workers.svg"
RESULTS = ROOT / ".airflow" / "bench.json"
#: The results of the benchmark with a whole Airflow have a section of their own.
WORKERS, OTHERS = "workers", "start"
#: Load average of a minute above which the results are not reliable.
BUSY = 0.5
PARTS = ("starting", "serving", "creating", "batching", "parsing", "waiting", "workers")


def measure(parts: list[str], *, quick: bool) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if "starting" in parts:
        say("The sandbox's start ...")
        found["starting"] = starting.run(starting.QUICK_RUNS if quick else starting.RUNS)
    with tempfile.TemporaryDirectory(prefix="bm-bench-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        with Child("benchmarks.sandbox", core=SERVING, log=folder / "sandbox.log") as sandbox:
            if "serving" in parts:
                say("The sandbox's speed ...")
                seconds = serving.QUICK_SECONDS if quick else serving.SECONDS
                found["serving"] = serving.run(seconds, sandbox)
            if "creating" in parts:
                say("Creating a campaign ...")
                runs = creating.QUICK_RUNS if quick else creating.RUNS
                found["creating"] = creating.run(runs, folder, sandbox)
            if "batching" in parts:
                say("Sending a table ...")
                found["batching"] = batching.run(folder, sandbox, quick=quick)
            if "parsing" in parts:
                say("Parsing 200 tasks ...")
                found["parsing"] = parsing.run(parsing.QUICK_RUNS if quick else parsing.RUNS, folder)
            if "waiting" in parts:
                say("Waiting ...")
                plans = waiting.QUICK if quick else waiting.FULL
                found["waiting"] = waiting.run(plans, folder, sandbox, lambda line: say(f"  {line}"))
        if "workers" in parts:
            say("Sensors in a whole Airflow ...")
            tasks = workers.QUICK_TASKS if quick else workers.TASKS
            found["workers"] = workers.run(tasks, folder, lambda line: say(f"  {line}"))
    return found


def report(found: dict[str, list[Any]], about: dict[str, str], command: str) -> dict[str, str]:
    """Return the results as Markdown, by section."""
    reached = [
        goal
        for part in ("workers", "waiting", "parsing", "batching", "serving", "starting")
        if part in found
        for goal in getattr(goals, f"of_{part}")(found[part])
    ]
    description = "; ".join(f"{name} {value}" for name, value in about.items())
    return {
        "machine": f"Measured with `{command}` on: {description}.",
        **{part: getattr(tables, part)(found[part]) for part in reversed(PARTS) if part in found},
        **({"goals": tables.goals(reached)} if reached else {}),
    }


def write(pieces: dict[str, str], found: dict[str, list[Any]]) -> list[Path]:
    """Write the results into the docs, between the markers, and return the files."""
    written = [PAGE]
    if WORKERS in found:
        bars.draw(found[WORKERS], BARS)
        picture = f"![Worker processes, CPU and time]({BARS.relative_to(PAGE.parent)})"
        replace(WORKERS, [pieces[WORKERS], pieces["machine"], picture])
        written.append(BARS)
    others = [part for part in reversed(PARTS) if part != WORKERS]
    if {*others} <= {*found}:
        plot.draw(found["waiting"], PLOT)
        picture = f"![Requests and CPU per round]({PLOT.relative_to(PAGE.parent)})"
        sections = (f"### {_TITLES[name]}\n\n{pieces[name]}" for name in ("goals", *others))
        replace(OTHERS, [pieces["machine"], picture, *sections])
        written.append(PLOT)
    return written


def replace(section: str, paragraphs: list[str]) -> None:
    """Replace the text of the page between the markers of a section."""
    start, end = f"<!-- bench:{section} -->", "<!-- bench:end -->"
    before, _, rest = PAGE.read_text().partition(start)
    after = rest.partition(end)[2]
    PAGE.write_text("\n".join([f"{before}{start}", "\n\n".join(paragraphs), f"{end}{after}"]))


_TITLES = {
    "goals": "Goals",
    "waiting": "Waiting",
    "parsing": "Parsing",
    "creating": "Creating",
    "batching": "Batches",
    "serving": "The sandbox",
    "starting": "The sandbox's start",
}


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a run of three minutes; only prints")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="only this part; of these, workers is written"
    )
    options = parser.parse_args()
    began = time.monotonic()
    # As if installed: otherwise each process would compile this package, but no other, again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if (load := os.getloadavg()[0]) > BUSY:
        say(f"The machine is busy (load {load:.1f}): times and lags will be longer than they should be.")
    found = measure(options.only or list(PARTS), quick=options.quick)
    options_given = "".join(
        [" --quick" if options.quick else "", *(f" --only {part}" for part in options.only or ())]
    )
    command = f'make bench BENCH="{options_given.strip()}"' if options_given else "make bench"
    about = machine.describe() | {"load before": f"{load:.1f}"}
    pieces = report(found, about, command)
    for piece in pieces.values():
        say(f"\n{piece}")
    RESULTS.parent.mkdir(exist_ok=True)
    results = {"command": command, "machine": about} | {
        part: [asdict(each) for each in ones] for part, ones in found.items()
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    say(f"\nTook {time.monotonic() - began:.0f} s. Results: {RESULTS.relative_to(ROOT)}")
    if not options.quick and (WORKERS in found or not options.only):
        written = write(pieces, found)
        say(f"Written: {', '.join(str(path.relative_to(ROOT)) for path in written)}")


if __name__ == "__main__":
    main()
