"""A pytest plugin: run your own DAGs against a BM of your own, and ask what was sent.

pytest finds it by itself once this package is installed. The fixtures are ``bm_sandbox``, a sandbox for each
test, ``bm_connection``, which lets the connection ``bm_default`` lead to it, and ``bm_run_dag``, which runs
a DAG with that.

Every pytest run of every project imports this, so nothing else is imported before a fixture is used.
"""

from __future__ import annotations

from .plugin import (
    _bm_empty_database,
    bm_connection,
    bm_run_dag,
    bm_sandbox,
    pytest_configure,
    pytest_runtest_makereport,
)

__all__ = [
    "_bm_empty_database",
    "bm_connection",
    "bm_run_dag",
    "bm_sandbox",
    "pytest_configure",
    "pytest_runtest_makereport",
]
