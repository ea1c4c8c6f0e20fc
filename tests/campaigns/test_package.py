from __future__ import annotations

import doctest
import pkgutil
import subprocess
import sys

import airflow_provider_bm.campaigns as campaigns

PROBE = """
import sys
before = set(sys.modules)
import airflow_provider_bm.campaigns
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names)))
"""


def test_importing_it_imports_the_standard_library_only() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["airflow_provider_bm"]


def test_public_names() -> None:
    assert campaigns.__all__ == sorted(campaigns.__all__)
    for name in campaigns.__all__:
        assert getattr(campaigns, name).__doc__


def test_no_module_hides_a_public_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(campaigns.__path__)}
    assert not modules & {*campaigns.__all__}


def test_the_example_works() -> None:
    assert doctest.testmod(campaigns).failed == 0
