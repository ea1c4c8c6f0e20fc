"""Private names of Airflow that the provider uses: they work, and an error names one that is gone."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_bm import _compat

TI = SimpleNamespace(dag_id="storm", run_id="manual", task_id="send", map_index=-1)
on_airflow_3 = pytest.mark.skipif(
    _compat.IS_AIRFLOW_2, reason="reads the state from the database on Airflow 2"
)


@on_airflow_3
@pytest.mark.parametrize(
    ("states", "state"),
    [
        ({"manual": {"send": "failed"}}, "failed"),
        ({"manual": {"send": None}}, None),
        ({"manual": {}}, None),
        ({}, None),
    ],
)
def test_state_of_a_task_instance(monkeypatch, states, state):
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    asked = []
    monkeypatch.setattr(
        RuntimeTaskInstance, "get_task_states", staticmethod(lambda **query: asked.append(query) or states)
    )
    assert _compat.task_instance_state(TI) == state
    assert asked == [{"dag_id": "storm", "task_ids": ["send"], "run_ids": ["manual"], "map_index": -1}]


@on_airflow_3
def test_error_if_the_method_is_gone(monkeypatch):
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    monkeypatch.delattr(RuntimeTaskInstance, "get_task_states")
    with pytest.raises(_compat.AirflowChangedError, match=r"has no RuntimeTaskInstance\.get_task_states"):
        _compat.task_instance_state(TI)


def test_error_if_the_module_is_gone(monkeypatch):
    module = (
        "airflow.models.taskinstance" if _compat.IS_AIRFLOW_2 else "airflow.sdk.execution_time.task_runner"
    )
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(_compat.AirflowChangedError, match="Update airflow-provider-bm"):
        _compat.task_instance_state(TI)


@pytest.mark.parametrize("name", ["pre_execute", "post_execute"])
def test_execute_hook_of_a_task(name):
    task = BaseOperator(task_id="task")
    assert not _compat.has_execute_hook(task, name)
    with_hook = BaseOperator(task_id="task", **{name: lambda context, result=None: None})
    assert _compat.has_execute_hook(with_hook, name)


def test_task_whose_execute_hooks_are_unknown_may_have_one():
    assert _compat.has_execute_hook(SimpleNamespace(), "pre_execute")
