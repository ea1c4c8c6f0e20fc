"""What each import loads, in a new Python process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

WITHOUT_AIRFLOW = [
    "",
    ".assets",
    ".campaigns",
    ".client",
    ".exceptions",
    ".sandbox",
    ".testing",
    ".testing.dags",
    ".testing.database",
    ".provider_info",
    ".client.connection",
    ".idempotency.find_or_create",
    ".polling.poller",
    ".waiting.wait",
]


def modules_after(code: str) -> dict[str, list[str]]:
    """Run code that fills `out` with lists of module names."""
    script = f"import sys\nout = {{}}\n{textwrap.dedent(code)}\nimport json\nprint('OUT' + json.dumps(out))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("OUT")]
    return json.loads(line.removeprefix("OUT"))


@pytest.mark.parametrize("module", WITHOUT_AIRFLOW)
def test_imports_no_airflow(module):
    loaded = modules_after(f"import airflow_provider_bm{module}\nout['after'] = sorted(sys.modules)")["after"]

    assert f"airflow_provider_bm{module}" in loaded
    assert not [name for name in loaded if name.partition(".")[0] == "airflow"]


def test_discovery_is_cheap():
    # Airflow imports this at the start of every process.
    loaded = modules_after("import airflow_provider_bm.provider_info\nout['after'] = sorted(sys.modules)")[
        "after"
    ]

    ours = {name for name in loaded if name.startswith("airflow_provider_bm")}
    assert ours == {
        "airflow_provider_bm",
        "airflow_provider_bm.provider_info",
    }


def test_the_sandbox_needs_the_standard_library_only():
    loaded = modules_after(
        """
        before = set(sys.modules)
        import airflow_provider_bm.sandbox
        import airflow_provider_bm.sandbox.__main__
        out["new"] = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
        """
    )["new"]
    ours = set(sys.stdlib_module_names) | {"airflow_provider_bm"}

    assert not [name for name in loaded if name not in ours and not name.startswith("_sysconfigdata")]


@pytest.mark.parametrize("module", ["operators", "sensors"])
def test_parsing_a_dag_loads_no_additional_modules(module):
    loaded = modules_after(
        f"""
        from airflow.providers.common.compat.sdk import DAG, BaseOperator, BaseSensorOperator
        before = {{name.partition(".")[0] for name in sys.modules}}
        import airflow_provider_bm.{module}
        out["new"] = sorted({{name.partition(".")[0] for name in sys.modules}} - before)
        out["ours"] = sorted(name for name in sys.modules if name.startswith("airflow_provider_bm."))
        """
    )
    known = set(sys.stdlib_module_names) | {"airflow_provider_bm"}
    new = [name for name in loaded["new"] if name not in known and not name.startswith("_sysconfigdata")]

    assert f"airflow_provider_bm.{module}" in loaded["ours"]
    assert not new
    assert "airflow_provider_bm.sandbox" not in loaded["ours"]


#: Modules of this package that parsing a DAG file with the operator may import.
SHARED = {"_lazy", "campaigns", "campaigns.constants", "campaigns.labels", "links", "links.bm", "operators"}
SHARED |= {
    "exceptions",
    "operators.arguments",
    "operators.base",
    "operators.guards",
    "operators.templating",
    "waiting",
    "waiting.result",
}
PARSED = {
    "BMGetCampaignOperator": SHARED | {"operators.get"},
    "BMCreateCampaignOperator": SHARED | {"operators.send", "operators.create"},
}


@pytest.mark.parametrize("operator", sorted(PARSED))
def test_parsing_a_dag_loads_the_operators_that_it_uses(operator):
    loaded = modules_after(
        f"""
        from airflow.providers.common.compat.sdk import DAG, BaseOperator, conf
        before = set(sys.modules)
        from airflow_provider_bm.operators import {operator}
        out["new"] = sorted(set(sys.modules) - before)
        """
    )["new"]
    package = "airflow_provider_bm."

    assert {name.removeprefix(package) for name in loaded if name.startswith(package)} <= PARSED[operator]
    assert f"{package}operators" in loaded


@pytest.mark.parametrize("package", ["campaigns", "operators"])
def test_lazy_names_behave_like_other_names(package):
    named = modules_after(
        f"""
        import airflow_provider_bm.{package} as package
        out["listed"] = dir(package)
        out["all"] = package.__all__
        try:
            package.no_such_name
        except AttributeError as error:
            out["missing"] = [str(error)]
        exec("from airflow_provider_bm.{package} import *", namespace := {{}})
        out["starred"] = sorted(namespace)
        out["kept"] = sorted(vars(package))
        """
    )

    assert set(named["all"]) <= set(named["listed"])
    assert set(named["all"]) <= set(named["starred"])
    # A lazy name is loaded once, then stored in the module.
    assert set(named["all"]) <= set(named["kept"])
    # Exactly the names of `__all__` are available.
    lazy = {name for name in named["listed"] if name.startswith(("BM", "Campaign", "Segmentation"))}
    assert lazy <= set(named["all"])
    assert named["missing"] == [f"module 'airflow_provider_bm.{package}' has no attribute 'no_such_name'"]
