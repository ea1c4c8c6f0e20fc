"""@task.bm_campaign: a function returns the values, its task sends the campaign."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm.decorators import bm_campaign_task

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def draft(sandbox):
    return sandbox.create(
        name="Storm",
        status="draft",
        template="{wind} km/h, {first_name}",
        recipient_lists=sandbox.recipient_lists["staff"],
    )["uuid"]


def make_dag(name):
    return DAG(f"decorated_{name}", schedule=None, start_date=START)


def texts(sandbox):
    return {each["template"].partition(",")[0] for each in sandbox.campaigns() if each["name"] != "Storm"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_sends_and_waits(sandbox, run_dag, draft, deferrable):
    with make_dag(f"sends_{deferrable}") as dag:

        @task.bm_campaign(
            clone_uuid=draft,
            name="Alert {{ dag.dag_id }}",
            wait_for_completion=True,
            deferrable=deferrable,
            poke_interval=0.3,
        )
        def alert(speed: float, unit: str = "", ds: str | None = None) -> dict[str, str]:
            return {"wind": f"{speed:.0f}"}

        @task
        def measure() -> float:
            return 81.5

        alert(measure(), unit="{{ dag.dag_id }}")
    run = run_dag(dag, expect="success")
    assert run.xcom("alert", "campaign")["status"] == "finished"
    assert run.xcom("alert") == run.xcom("alert", "campaign")["uuid"]
    assert run.xcom("alert", "campaign")["name"].endswith(f"] Alert {dag.dag_id}")
    assert texts(sandbox) == {"82 km/h"}
    assert len(sandbox.executions()) == 1


def test_none_skips(sandbox, run_dag, draft):
    with make_dag("skips") as dag:

        @task.bm_campaign(clone_uuid=draft)
        def alert(speed: float | None) -> dict[str, str] | None:
            return None if speed is None else {"wind": "1"}

        @task
        def measure() -> None:
            return None

        alert(measure())
    run = run_dag(dag, expect="success")
    assert run.task_states["alert"] == "skipped"
    assert sandbox.executions() == []
    assert "The function returned None: no campaign is sent" in run.logs("alert")


def test_mapped(sandbox, run_dag, draft):
    with make_dag("mapped") as dag:

        @task.bm_campaign(clone_uuid=draft)
        def alert(speed: int) -> dict[str, str] | None:
            return {"wind": str(speed)} if speed > 60 else None

        alert.expand(speed=[20, 70, 90])
    run = run_dag(dag, expect="success")
    assert texts(sandbox) == {"70 km/h", "90 km/h"}
    assert [run.task_states["alert", index] for index in range(3)] == ["skipped", "success", "success"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("80", "The function returned str"),
        ({"wind": None}, "wind"),
        ({"wind": float("nan")}, "wind"),
        ({"wind": "{{ ds }}"}, "a template that Airflow does not render"),
        ({"wimd": "80"}, "wimd"),
        ({}, "{wind}"),
        ({"wind": 1 / 3}, "float_format"),
    ],
)
def test_wrong_values(sandbox, run_dag, draft, value, reason):
    with make_dag("wrong") as dag:

        @task.bm_campaign(clone_uuid=draft)
        def alert():
            return value

        alert()
    run = run_dag(dag, expect="failed")
    assert reason in run.logs("alert")
    assert sandbox.requests(method="POST", path="/campaigns") == []


def test_numbers_are_formatted(sandbox, run_dag, draft):
    with make_dag("numbers") as dag:

        @task.bm_campaign(clone_uuid=draft, float_format=".1f")
        def alert():
            return {"wind": 81.25}

        alert()
    run_dag(dag, expect="success")
    assert texts(sandbox) == {"81.2 km/h"}


def test_an_argument_that_renders_to_nothing(sandbox, run_dag, draft):
    with make_dag("nothing") as dag:

        @task.bm_campaign(clone_uuid=draft, recipient_lists="{{ nothing }}")
        def alert():
            return {"wind": "80"}

        alert()
    run = run_dag(dag, expect="failed")
    assert "there is no value" in run.logs("alert")
    assert sandbox.executions() == []


def test_template_vars_come_from_the_function(draft):
    def alert():
        return {}

    decorated = bm_campaign_task(alert, clone_uuid=draft, template_vars={"wind": "80"})
    with make_dag("twice"), pytest.raises(TypeError, match="takes no template_vars"):
        decorated()
