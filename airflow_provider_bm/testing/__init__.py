"""A pytest plugin: run your DAGs against a sandbox, and assert what was sent.

pytest finds it by itself once this package is installed. The fixtures are ``bm_sandbox``, a sandbox for each
test, ``bm_connection``, which points the connection ``bm_default`` to it, and ``bm_run_dag``, which runs a
DAG with both. Requests of this package to other machines are refused, except in tests that are marked
``bm_live``.

Every pytest run of every project imports this module, so other imports wait until a fixture is used.
"""

from __future__ import annotations

from .plugin import (
    _bm_empty_database,
    bm_connection,
    bm_run_dag,
    bm_sandbox,
    pytest_configure,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_unconfigure,
)

__all__ = [
    "_bm_empty_database",
    "bm_connection",
    "bm_run_dag",
    "bm_sandbox",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_unconfigure",
]
