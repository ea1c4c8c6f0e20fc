"""A sandbox in a separate process, with the drafts that the example DAGs need."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_bm.sandbox import Sandbox, SandboxClient
from tools.airflow_env import ROOT

WEATHER_TEMPLATE = (
    "Good morning {first_name}. Seattle today: as cold as {temp}, wind {wind}. Stay in if you can."
)

REGIONS_TEMPLATE = "Hello {first_name}. {headline} {advice}"


@contextlib.contextmanager
def sandbox_process(
    log: Path, *, port: int = 0, execution_seconds: float = 2.0
) -> Iterator[tuple[subprocess.Popen[str], SandboxClient]]:
    """Start a sandbox, and end it afterwards.

    :param log: file for its output
    :param port: 0 for any free port
    """
    command = [
        *(sys.executable, "-m", "airflow_provider_bm.sandbox", "--verbose"),
        *("--port", str(port), "--execution-seconds", str(execution_seconds)),
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as log_file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            if not first.startswith("BM sandbox: "):
                process.wait(timeout=10)
                raise RuntimeError(f"the sandbox did not start: {log.read_text().strip()}")
            yield process, SandboxClient(first.removeprefix("BM sandbox: ").strip())
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def set_the_stage(sandbox: Sandbox | SandboxClient) -> dict[str, str]:
    """Create the drafts that the examples clone, as people would in the vendor's console.

    :returns: the Airflow variables that the examples read
    """
    common = {"sending_type": "sms", "sender": "+41587000000", "status": "draft"}
    weather = sandbox.create(
        name="Weather alert (draft)",
        template=WEATHER_TEMPLATE,
        recipient_lists=sandbox.recipient_lists["customers"],
        **common,
    )
    regions = sandbox.create(
        name="News of the regions (draft)",
        template=REGIONS_TEMPLATE,
        recipient_lists=sandbox.recipient_lists["staff"],
        **common,
    )
    return {"weather_alert_draft": weather["uuid"], "regions_draft": regions["uuid"]}
