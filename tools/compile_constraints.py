"""Pin everything that `make` installs: writes `constraints/*.txt` (`make constraints`).

One file per Airflow version, valid for every Python that it runs on, and one for the tools (`dev.txt`), so
that lint and types agree beside every Airflow. The files contain names and versions only, no index address.
"""

from __future__ import annotations

import argparse
import subprocess
import tomllib
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints"

# Requirements that a release needs in addition to its own to work with today's packages. Without these the
# command line still exits 0, but DAG runs fail.
AIRFLOW: dict[str, list[str]] = {
    "2.11.0": [],
    "2.11.2": [],
    "3.0.6": ["fastapi<0.118", "pyjwt<2.11"],
    "3.1.8": [],
    "3.2.2": ["fastapi<0.137", "svcs<26"],
    "3.3.2": [],
    # Only a direct requirement allows a pre-release; everything else stays stable.
    "3.4.0b2": ["apache-airflow-core==3.4.0b2", "apache-airflow-task-sdk==1.4.0b2"],
}
# The oldest supported Airflow is pinned with the lowest versions of the package's direct dependencies.
LOWEST = "2.11.0"

# The Airflow that the benchmarks and the documentation's build run on.
BESIDE = "3.3.2"


def compile_pins(
    uv: str, output: str, requirements: list[str], *options: str, beside: str = "", upgrade: bool = True
) -> None:
    """Pin requirements in `output`, except those that the file `beside` already pins."""
    target = CONSTRAINTS / output
    known = set((CONSTRAINTS / beside).read_text().splitlines()) if beside else set()
    command = [
        *(uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-sources"),
        *(*options, *(("--upgrade",) if upgrade else ()), "--output-file", str(target), "-"),
    ]
    subprocess.run(
        command, input="\n".join(requirements), text=True, stdout=subprocess.DEVNULL, check=True, cwd=ROOT
    )
    pins = [pin for pin in target.read_text().splitlines(keepends=True) if pin.rstrip() not in known]
    target.write_text("".join(pins))
    print(f"{target.relative_to(ROOT)}: {len(pins)} pins")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="path of uv")
    parser.add_argument("--keep", action="store_true", help="keep the pins that are still allowed")
    parser.add_argument("versions", nargs="*", help=f"Airflow versions (default: {' '.join(AIRFLOW)})")
    arguments = parser.parse_args()

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = pyproject["dependency-groups"]["dev"]
    ours = pyproject["project"]["dependencies"]
    pin = partial(compile_pins, arguments.uv, upgrade=not arguments.keep)

    if not arguments.versions:
        pin("uv.txt", ["uv"])
        pin("build.txt", [*pyproject["build-system"]["requires"], "editables"])
        pin("dev.txt", tools, "--no-deps")
    for version in arguments.versions or AIRFLOW:
        requirements = [f"apache-airflow=={version}", *ours, *tools, *AIRFLOW.get(version, [])]
        options = ["--constraint", "constraints/dev.txt"]
        if version == LOWEST:
            options += ["--resolution", "lowest-direct"]
        pin(f"airflow-{version}.txt", requirements, *options)
    if not arguments.versions:
        beside = f"airflow-{BESIDE}.txt"
        for group in ("bench", "docs"):
            requirements = [f"apache-airflow=={BESIDE}", *ours, *pyproject["dependency-groups"][group]]
            pin(f"{group}.txt", requirements, "--constraint", f"constraints/{beside}", beside=beside)


if __name__ == "__main__":
    main()
