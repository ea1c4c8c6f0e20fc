"""Create the virtual environment that `make` uses: `.venv/airflow-<version>-py<x.y>`.

Runs on a bare Python 3.11+ with the standard library's venv. Installs its own uv from the package index with
pip, so that pip's settings (PIP_INDEX_URL, PIP_CERT, ..., pip.conf) apply, and passes them to uv, which does
not read them by itself. Installs what `constraints/` pins, and the package itself editable. Fails if the
installed Airflow is not the requested one.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints"
# The newest Python that a release of Airflow supports, if it is not the newest Python.
NEWEST_PYTHON = {"2.11": (3, 12), "3.0": (3, 12), "3.1": (3, 13), "3.2": (3, 14), "3.3": (3, 14)}


def uv_environment() -> dict[str, str]:
    """Return this process's environment, with pip's settings translated for uv."""
    environment = dict(os.environ)
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    environment.pop("VIRTUAL_ENV", None)

    def pip_setting(name: str) -> str | None:
        if value := os.environ.get(f"PIP_{name.replace('-', '_').upper()}"):
            return value
        command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def set_variable(name: str, value: str | None) -> None:
        if value and not environment.get(name):
            environment[name] = value

    if not environment.get("UV_INDEX_URL"):
        set_variable("UV_DEFAULT_INDEX", pip_setting("index-url"))
    if extra := os.environ.get("PIP_EXTRA_INDEX_URL"):
        set_variable("UV_INDEX", extra)
        set_variable("UV_INDEX_STRATEGY", "unsafe-best-match")  # all indexes are equal, as they are for pip
    if places := os.environ.get("PIP_FIND_LINKS"):
        set_variable("UV_FIND_LINKS", ",".join(p for p in places.split() if "://" in p or Path(p).is_dir()))
    set_variable("SSL_CERT_FILE", pip_setting("cert"))
    if hosts := os.environ.get("PIP_TRUSTED_HOST"):
        set_variable("UV_INSECURE_HOST", hosts)
    set_variable("UV_HTTP_TIMEOUT", os.environ.get("PIP_DEFAULT_TIMEOUT"))
    return environment


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(part) for part in command], env=environment, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"set-up failed: {' '.join(map(str, command))} (exit status {done.returncode})")


def get_uv() -> Path:
    """Return the path of the project's own uv. Install it if necessary."""
    home = VENVS / "uv"
    uv = home / "bin" / "uv"
    pins = CONSTRAINTS / "uv.txt"
    stamp = home / ".ready"
    if uv.exists() and stamp.exists() and stamp.read_text() == pins.read_text():
        return uv
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        sys.exit(
            "set-up failed: this Python has no ensurepip, so it cannot create virtual environments. "
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    run([sys.executable, "-m", "venv", "--clear", home])
    options = ["--quiet", "--disable-pip-version-check"]
    run([home / "bin" / "python", "-m", "pip", "install", *options, "--requirement", pins])
    stamp.write_text(pins.read_text())
    return uv


def check_version(python: Path, requested: str) -> None:
    """Exit if the installed Airflow is not the requested version."""
    code = (
        "import importlib.metadata as m, json; "
        "have = {d.metadata['Name'].lower(): d.version for d in m.distributions()}; "
        "print(json.dumps({n: have.get(n) for n in ('apache-airflow', 'apache-airflow-core')}))"
    )
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str | None] = json.loads(done.stdout)
    if requested.startswith("2."):
        del found["apache-airflow-core"]
    for name, version in found.items():
        if version != requested:
            sys.exit(f"set-up failed: {name} {version} was installed in {python}, not {requested}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--airflow", required=True, metavar="VERSION")
    parser.add_argument("--venv", type=Path, help="path (default: .venv/airflow-VERSION-pyX.Y)")
    parser.add_argument(
        "--group", choices=["dev", "bench", "docs"], default="dev", help="dependency group (default: dev)"
    )
    parser.add_argument("--uv-only", action="store_true", help="only install the project's own uv")
    arguments = parser.parse_args()
    version = arguments.airflow
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    newest = NEWEST_PYTHON.get(".".join(version.split(".")[:2]))
    if newest and sys.version_info[:2] > newest:
        sys.exit(
            f"set-up failed: Airflow {version} runs on Python up to {newest[0]}.{newest[1]}, this is {here}. "
            f"Choose another one: make PYTHON=python{newest[0]}.{newest[1]} AIRFLOW={version} ..."
        )

    VENVS.mkdir(exist_ok=True)
    with (VENVS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second, parallel make waits
        uv = get_uv()
        if arguments.uv_only:
            return
        venv = arguments.venv or VENVS / f"airflow-{version}-py{here}"
        python = venv / "bin" / "python"
        pins = CONSTRAINTS / f"airflow-{version}.txt"
        tools = CONSTRAINTS / f"{arguments.group}.txt"
        inputs = [ROOT / "pyproject.toml", Path(__file__), tools, CONSTRAINTS / "build.txt"]
        if pins.exists():
            inputs.append(pins)
        else:
            print(f"Airflow {version} has no pins in constraints/: installing its newest dependencies")
        digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs)).hexdigest()
        stamp = venv / ".ready"
        if stamp.exists() and stamp.read_text() == digest:
            stamp.touch()
            return

        began = time.monotonic()
        print(
            f"Setting up Airflow {version} for Python {here} in {os.path.relpath(venv, ROOT)} ...", flush=True
        )
        environment = uv_environment()
        stamp.unlink(missing_ok=True)
        if not python.exists():
            run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv], environment)
        run(
            [
                *(uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode", "--exact"),
                *(option for path in (pins, tools) if path.exists() for option in ("--constraint", path)),
                *("--build-constraint", CONSTRAINTS / "build.txt"),
                *(f"apache-airflow=={version}", "--group", arguments.group, "--editable", "."),
            ],
            environment,
        )
        check_version(python, version)
        stamp.write_text(digest)
        print(f"Set up in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
