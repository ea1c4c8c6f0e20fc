"""`make test-contract`: generate clients from docs/campaign-api.openapi.yaml with other tools, and run them.

Generates clients with three generators, type-checks them, and runs them against the sandbox; lints the
contract; and lets the product's own client call a mock server that is made from it. Needs Node.js and Java.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.exceptions import BMError, BMResponseError
from airflow_provider_bm.sandbox import Sandbox

HERE = Path(__file__).parent
CONTRACT = HERE.parents[2] / "docs" / "campaign-api.openapi.yaml"


class StepError(Exception):
    """A step failed; the message is its output."""


class Workshop:
    """A folder with the tools and the generated clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "python" / "bin" / "python"

    def run(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")

    def node(self, tool: str, *arguments: str | Path) -> None:
        self.run(self.folder / "node_modules" / ".bin" / tool, *arguments)

    def set_up(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in HERE.iterdir():
            if file.is_file() and file.name not in ("run.py", "__init__.py"):
                shutil.copy(file, self.folder)
        shutil.copy(CONTRACT, self.folder / "api.yaml")
        (self.folder / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')
        if not self.python.exists():
            venv.create(self.folder / "python", with_pip=True)
        self.run(self.python, "-m", "pip", "install", "--quiet", "-r", "requirements.txt")
        self.run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error")

    def lint(self) -> None:
        self.node("spectral", "lint", "api.yaml", "--fail-severity=error")
        self.node("redocly", "lint", "api.yaml")

    def openapi_python_client(self, environment: Mapping[str, str]) -> None:
        tool = self.python.with_name("openapi-python-client")
        (self.folder / "opc.yaml").write_text("post_hooks: []\npackage_name_override: bm_attrs\n")
        options = ("--meta", "none", "--overwrite", "--config", "opc.yaml", "--fail-on-warning")
        self.run(tool, "generate", "--path", "api.yaml", "--output-path", "bm_attrs", *options)
        self._use_python("bm_attrs", "use_openapi_python_client.py", environment)

    def openapi_generator(self, environment: Mapping[str, str]) -> None:
        tool = self.python.with_name("openapi-generator-cli")
        options = ("--additional-properties=packageName=bm_pydantic", "--global-property=apiTests=false")
        self.run(tool, "generate", "-i", "api.yaml", "-g", "python", "-o", "bm_pydantic_project", *options)
        shutil.rmtree(self.folder / "bm_pydantic", ignore_errors=True)
        shutil.copytree(self.folder / "bm_pydantic_project" / "bm_pydantic", self.folder / "bm_pydantic")
        # It generates wrong types for a server variable without an enum.
        options = ("--disable-error-code=typeddict-item",)
        self._use_python("bm_pydantic", "use_openapi_generator.py", environment, *options)

    def _use_python(self, package: str, script: str, environment: Mapping[str, str], *options: str) -> None:
        # The configuration of this project is not for generated code.
        self.run(self.python, "-m", "mypy", "--config-file", os.devnull, *options, package, script)
        self.run(self.python, script, environment=environment)

    def openapi_ts(self, environment: Mapping[str, str]) -> None:
        self.node("openapi-ts", "-i", "api.yaml", "-o", "bm_ts", "-c", "@hey-api/client-fetch")
        self.node("tsc", "--project", "tsconfig.json")
        self.run("node", "js/use_openapi_ts.js", environment=environment)

    def prism(self) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [self.folder / "node_modules" / ".bin" / "prism", "mock", "-p", str(port), "api.yaml"]
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL) as server:
            try:
                _wait_for(port)
                url = f"http://127.0.0.1:{port}"
                _call_mock(url)
            finally:
                server.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise StepError("the mock server did not start")


def _call_mock(url: str) -> None:
    """Call every operation of the mock server with this package's client."""
    client = BMClient(
        BMSettings(
            api_url=url,
            token_url=f"{url}/oauth2/access-token",
            client_id="id",
            client_secret="secret",
            service_uuid="9e2a4b1c-c1af-11ee-8073-bf4d6e8c1618",
        ),
        retry=False,
    )
    payload = {
        "name": "Storm",
        "status": "draft",
        "sending_type": "sms",
        "schedule_type": "now",
        "template": "Hello {first_name}",
        "sender": "+41587000000",
        "recipient_lists": "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618",
    }
    uuid = str(client.create_campaign(payload)["uuid"])
    assert client.get_campaign(uuid)["name"]
    assert client.list_campaigns()
    # The mock answers with the same campaign as before, and the client notices that it was not stopped.
    try:
        client.set_campaign_status(uuid, "stopped")
    except BMResponseError as error:
        assert "is active instead of stopped" in str(error)  # noqa: PT017
    client.delete_campaign(uuid)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all steps, and report each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where tools and generated clients go")
    workshop = Workshop(parser.parse_args(arguments).folder.absolute())
    with Sandbox() as sandbox:
        with sandbox.store.lock:
            token = sandbox.store.clients.issue_token(sandbox.client_id, sandbox.client_secret, 3600)
        environment = {
            "API_URL": sandbox.api_url,
            "TOKEN": str(token),
            "SERVICE_UUID": sandbox.service_uuid,
            "RECIPIENT_LIST": sandbox.recipient_lists["staff"],
        }
        steps: dict[str, Callable[[], None]] = {
            "set up the tools": workshop.set_up,
            "lint with Spectral and Redocly": workshop.lint,
            "client of openapi-python-client": lambda: workshop.openapi_python_client(environment),
            "client of openapi-generator": lambda: workshop.openapi_generator(environment),
            "client of @hey-api/openapi-ts": lambda: workshop.openapi_ts(environment),
            "the product's client on Prism's mock": workshop.prism,
        }
        failures = 0
        for name, step in steps.items():
            start = time.monotonic()
            try:
                step()
            except (StepError, OSError, AssertionError, BMError) as error:
                failures += 1
                print(f"FAILED  {name}\n{error}", flush=True)
            else:
                print(f"ok      {name} ({time.monotonic() - start:.0f} s)", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
