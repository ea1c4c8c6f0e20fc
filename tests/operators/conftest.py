"""Fixture that renders and executes one operator without a DAG run, in a minimal context."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bm.operators.arguments import BMArgumentError


class TaskInstance(SimpleNamespace):
    """A task instance that stores XComs in memory."""

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str | None = None, key: str = "return_value", **_: Any) -> Any:
        return self.xcoms.get(task_ids)


class Executed(SimpleNamespace):
    """The outcome of an operator: its result or error, and its XComs."""

    @property
    def message(self) -> str:
        return str(self.error)


@pytest.fixture
def execute() -> Callable[..., Executed]:
    """Render and execute one task: `execute(Operator, xcoms={…}, native=False, …, **arguments)`."""

    def execute(
        operator: type,
        *,
        xcoms: dict[str, Any] | None = None,
        variables: dict[str, Any] | None = None,
        native: bool = False,
        try_number: int = 1,
        run_id: str = "run",
        run: dict[str, Any] | None = None,
        store: Any = None,
        **arguments: Any,
    ) -> Executed:
        pushed: dict[str, Any] = {}
        with DAG(
            "d",
            schedule=None,
            start_date=datetime(2026, 1, 1, tzinfo=UTC),
            render_template_as_native_obj=native,
        ) as dag:
            try:
                task = operator(task_id="send", **arguments)
            except BMArgumentError as refused:
                return Executed(result=None, error=refused, pushed=pushed, task=None)
        ti = TaskInstance(
            dag_id="d",
            run_id=run_id,
            task_id="send",
            map_index=-1,
            try_number=try_number,
            xcoms=xcoms or {},
            pushed=pushed,
        )
        now = datetime.now(UTC)
        dag_run = {"run_type": "manual", "run_after": now, "start_date": now, "logical_date": None} | (
            run or {}
        )
        context: dict[str, Any] = {
            "ti": ti,
            "task_instance": ti,
            "task": task,
            "dag": dag,
            "ds": "2026-01-05",
            "params": {},
            "var": SimpleNamespace(value=SimpleNamespace(**(variables or {}))),
            "dag_run": SimpleNamespace(run_id=run_id, conf={}, **dag_run),
            "run_id": run_id,
        }
        if store is not None:
            context["task_state_store"] = store
        result = error = None
        try:
            task.render_template_fields(context)
            result = task.execute(context)
        except Exception as caught:
            error = caught
        return Executed(result=result, error=error, pushed=pushed, task=task)

    return execute
