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


def compile_pins(uv: str, output: str, requirements: list[str], *options: str) -> None:
    target = CONSTRAINTS / output
    command = [
        *(uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--upgrade"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-sources"),
        *(*options, "-"),
    ]
    done = subprocess.run(
        command, input="\n".join(requirements), text=True, stdout=subprocess.PIPE, check=True, cwd=ROOT
    )
    target.write_text(done.stdout)
    print(f"{target.relative_to(ROOT)}: {len(done.stdout.splitlines())} pins")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="path of uv")
    parser.add_argument("versions", nargs="*", help=f"Airflow versions (default: {' '.join(AIRFLOW)})")
    arguments = parser.parse_args()

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = pyproject["dependency-groups"]["dev"]
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


if __name__ == "__main__":
    main()
