"""Pin everything that `make` installs: writes `constraints/*.txt` anew (`make constraints`).

One file for each Airflow version, good for every Python that it runs on, and one for the tools (`dev.txt`),
so that lint and types say the same beside every Airflow. Only names and versions, no address of an index.
"""

from __future__ import annotations

import argparse
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints"

# What a release needs beyond its own requirements to work with today's packages. Without these the
# command line still exits 0, but DAG runs fail.
AIRFLOW: dict[str, list[str]] = {
    "2.11.2": [],
    "3.0.6": ["fastapi<0.118", "pyjwt<2.11"],
    "3.1.8": [],
    "3.2.2": ["fastapi<0.137", "svcs<26"],
    "3.3.2": [],
}


# The one that the benchmarks run on.
BENCH = "3.3.2"


def compile_pins(uv: str, output: str, requirements: list[str], *options: str, beside: str = "") -> None:
    """Pin requirements, less what is pinned in the file `beside` already."""
    target = CONSTRAINTS / output
    known = set((CONSTRAINTS / beside).read_text().splitlines()) if beside else set()
    command = [
        *(uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--upgrade"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-sources"),
        *(*options, "-"),
    ]
    done = subprocess.run(
        command, input="\n".join(requirements), text=True, stdout=subprocess.PIPE, check=True, cwd=ROOT
    )
    pins = [pin for pin in done.stdout.splitlines(keepends=True) if pin.rstrip() not in known]
    target.write_text("".join(pins))
    print(f"{target.relative_to(ROOT)}: {len(pins)} pins")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="path of uv")
    parser.add_argument("versions", nargs="*", help=f"Airflow versions (default: {' '.join(AIRFLOW)})")
    arguments = parser.parse_args()

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = pyproject["dependency-groups"]["dev"]
    bench = pyproject["dependency-groups"]["bench"]
    ours = pyproject["project"]["dependencies"]

    if not arguments.versions:
        compile_pins(arguments.uv, "uv.txt", ["uv"])
        compile_pins(arguments.uv, "build.txt", [*pyproject["build-system"]["requires"], "editables"])
        compile_pins(arguments.uv, "dev.txt", tools, "--no-deps")
    for version in arguments.versions or AIRFLOW:
        compile_pins(
            arguments.uv,
            f"airflow-{version}.txt",
            [f"apache-airflow=={version}", *ours, *tools, *AIRFLOW.get(version, [])],
            "--constraint",
            "constraints/dev.txt",
        )
    if not arguments.versions:
        beside = f"airflow-{BENCH}.txt"
        requirements = [f"apache-airflow=={BENCH}", *ours, *bench]
        compile_pins(
            arguments.uv, "bench.txt", requirements, "--constraint", f"constraints/{beside}", beside=beside
        )


if __name__ == "__main__":
    main()
