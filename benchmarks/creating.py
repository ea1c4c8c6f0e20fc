"""Creating: the HTTP cost of a create task, compared with a script that sends the same requests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.child import MEASURED, Child
from tools.airflow_env import environment

RUNS, QUICK_RUNS = 200, 30


@dataclass
class Created:
    """The cost of creating one campaign, token included, in a new task process.

    :ivar requests: method and path of each request
    :ivar seconds: the median
    """

    name: str
    requests: list[str]
    seconds: float


def run(runs: int, folder: Path, sandbox: Child) -> list[Created]:
    where = sandbox.ask("where")
    sandbox.ask("stage", count=0)
    env = environment(folder) | {"AIRFLOW_CONN_BM_DEFAULT": where["connection"]}
    found = []
    with Child("benchmarks.creator", core=MEASURED, log=folder / "creator.log", env=env) as creator:
        for name in ("requests", "BMHook", "BMCreateCampaignOperator"):
            creator.ask("create", name=name)  # so that late imports are not measured
            seen = len(sandbox.ask("requests"))
            creator.ask("create", name=name)
            found.append(Created(name, [_shown(each) for each in sandbox.ask("requests")[seen:]], 0.0))
        medians = creator.ask("medians", runs=runs)
    for created in found:
        created.seconds = medians[created.name]
    return found


def _shown(request: dict[str, Any]) -> str:
    """Return the method and the last part of the path, without UUIDs."""
    return f"{request['method']} {request['path'].rpartition('/')[2]}"
