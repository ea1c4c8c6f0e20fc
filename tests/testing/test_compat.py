"""The plugin reports it if a future Airflow lacks a name that it needs."""

from __future__ import annotations

import importlib

import pytest

from airflow_provider_bm.testing import _compat
from airflow_provider_bm.testing._compat import UnsupportedAirflowError
from tools.airflow_env import airflow_version, is_airflow_2


def use_database() -> None:
    with _compat.configured_database():
        pass


def use_secrets_backends() -> None:
    with _compat.configured_secrets_backends():
        pass


def use_listener() -> None:
    with _compat.listening(print, print):
        pass


@pytest.mark.parametrize(
    ("modules", "name", "use"),
    [
        (["airflow.settings"], "configure_vars", use_database),
        (["airflow.settings"], "configure_orm", use_database),
        (["airflow.settings"], "configure_adapters", use_database),
        (["airflow.utils.db"], "initdb", _compat.create_tables),
        (["airflow.settings"], "Session", lambda: _compat.last_run("any")),
        (["airflow.configuration"], "initialize_secrets_backends", use_secrets_backends),
        (["airflow.configuration"], "secrets_backend_list", use_secrets_backends),
        (["airflow.listeners"], "hookimpl", use_listener),
        (["airflow.sdk.listener", "airflow.listeners.listener"], "get_listener_manager", use_listener),
    ],
)
def test_a_missing_name_is_reported(monkeypatch, modules, name, use):
    for module in modules:
        try:
            monkeypatch.delattr(importlib.import_module(module), name)
        except ImportError:
            assert module == "airflow.sdk.listener"  # before 3.2
    message = f"does not support Airflow {airflow_version()}, which has no {modules[0]}.{name}. Upgrade"
    with pytest.raises(UnsupportedAirflowError, match=message):
        use()


@pytest.mark.skipif(is_airflow_2(), reason="Airflow 2 needs no DAG in its database")
def test_a_missing_bundle_manager_is_reported(monkeypatch):
    monkeypatch.delattr("airflow.dag_processing.bundles.manager.DagBundlesManager")
    with pytest.raises(UnsupportedAirflowError, match=r"bundles\.manager\.DagBundlesManager"):
        _compat.write_dag(object())
