"""A campaign for each row of a table: one batch beside a mapped clone task for each row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import MEASURED, Child
from tools.airflow_env import environment

ROWS, QUICK_ROWS = 1_000, 100
#: Number of mapped tasks to run; the time for more is extrapolated.
MAPPED, QUICK_MAPPED = 50, 10
#: Sizes of tables whose memory is compared.
LARGE = (5_000, 20_000)


@dataclass
class Batched:
    """What sending a table takes.

    :ivar seconds: for all rows
    :ivar requests: for each row, token included
    :ivar megabytes: growth of the process's peak memory; None: not measured
    :ivar extrapolated: from fewer rows
    """

    name: str
    rows: int
    seconds: float
    requests: float
    megabytes: float | None = None
    extrapolated: bool = False


def run(folder: Path, sandbox: Child, *, quick: bool) -> list[Batched]:
    where = sandbox.ask("where")
    env = environment(folder) | {"AIRFLOW_CONN_BM_DEFAULT": where["connection"]}
    rows, mapped = (QUICK_ROWS, QUICK_MAPPED) if quick else (ROWS, MAPPED)
    found = []
    for count in (rows,) if quick else (rows, *LARGE):
        # Each in a separate process, so that its memory can be measured.
        with Child("benchmarks.batcher", core=MEASURED, log=folder / "batcher.log", env=env) as child:
            draft = sandbox.ask("draft")
            child.ask("batch", count=1, draft=draft)  # so that late imports are not measured
            sandbox.ask("tally", forget=True)
            took = child.ask("batch", patience=1_200, count=count, draft=draft)
            requests = sandbox.ask("tally")["requests"] / count
            found.append(Batched("a batch", count, took["seconds"], requests, took["megabytes"]))
    with Child("benchmarks.batcher", core=MEASURED, log=folder / "mapped.log", env=env) as child:
        draft = sandbox.ask("draft")
        sandbox.ask("tally", forget=True)
        took = child.ask("mapped", patience=3_600, count=mapped, draft=draft)
        requests = sandbox.ask("tally")["requests"] / mapped
        found.append(Batched("mapped clones", mapped, took["seconds"], requests))
        seconds = took["seconds"] / mapped * rows
        found.append(Batched("mapped clones", rows, seconds, requests, extrapolated=True))
    return found
