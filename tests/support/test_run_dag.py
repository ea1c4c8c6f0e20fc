"""The suite's `run_dag` reports states, XComs and logs of small DAGs on every Airflow."""

from __future__ import annotations

import asyncio
import datetime
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Say(BaseOperator):
    template_fields = ("what",)

    def __init__(self, *, what: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.what = what

    def execute(self, context: Any) -> Any:
        self.log.info("saying %s", self.what)
        self.log.debug("whispering %s", self.what)
        context["ti"].xcom_push(key="aside", value=[self.what])
        return self.what


class Reverse(Say):
    def execute(self, context: Any) -> Any:
        return self.what[::-1]


class Fail(BaseOperator):
    def execute(self, context: Any) -> None:
        raise AirflowFailException("no good")


class Tick(BaseTrigger):
    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer = answer

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "tests.support.test_run_dag.Tick", {"answer": self.answer}

    async def run(self):
        self.log.info("ticking")
        await asyncio.sleep(0.01)
        yield TriggerEvent({"answer": self.answer})


class Wait(BaseOperator):
    def __init__(self, *, answer: str, times: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer, self.times = answer, times

    def execute(self, context: Any, event: dict[str, Any] | None = None) -> Any:
        text = event["answer"] if event else ""
        if len(text) == self.times:
            self.log.info("resumed with %s", text)
            return text
        return self.defer(trigger=Tick(text + self.answer), method_name="execute")


def test_states_xcoms_and_logs(run_dag):
    with DAG("states", schedule=None, start_date=START) as dag:
        first = Say(task_id="first", what="{{ dag_run.conf['word'] }} on {{ ds }}")
        first >> Fail(task_id="second") >> Say(task_id="third", what="never")
    run = run_dag(dag, logical_date=START, conf={"word": "hello"})

    assert run.state == "failed"
    assert run.task_states == {"first": "success", "second": "failed", "third": "upstream_failed"}
    assert run.xcom("first") == "hello on 2026-01-01"
    assert run.xcom("first", key="aside") == ["hello on 2026-01-01"]
    assert run.xcom("third") is None
    assert "saying hello on 2026-01-01" in run.logs("first")
    assert "whispering hello on 2026-01-01" in run.logs("first")
    assert "no good" in run.logs("second")
    assert "no good" not in run.logs("first")


def test_a_deferred_task_runs_its_trigger(run_dag):
    with DAG("deferral", schedule=None, start_date=START) as dag:
        Wait(task_id="once", answer="y") >> Wait(task_id="thrice", answer="z", times=3)
    run = run_dag(dag, expect="success")

    assert run.xcom("once") == "y"
    assert run.xcom("thrice") == "zzz"
    assert run.logs("thrice").count("ticking") == 3
    assert "resumed with zzz" in run.logs("thrice")


def test_a_run_that_never_ends_fails_the_test(run_dag):
    class Never(BaseOperator):
        def execute(self, context: Any) -> None:
            time.sleep(60)

    with DAG("never", schedule=None, start_date=START) as dag:
        Never(task_id="never")
    with pytest.raises(AssertionError, match="not over after 2 s"):
        run_dag(dag, timeout=2)


def test_mapped_tasks_have_their_own_states_and_logs(run_dag):
    with DAG("mapped", schedule=None, start_date=START) as dag:
        words = Say(task_id="words", what=["a", "b"])
        Say.partial(task_id="each").expand(what=words.output)
    run = run_dag(dag, expect="success")

    assert run.task_states == {"words": "success", ("each", 0): "success", ("each", 1): "success"}
    assert [run.xcom("each", map_index=i) for i in range(2)] == ["a", "b"]
    assert "saying b" in run.logs("each", 1)
    assert "saying b" not in run.logs("each", 0)


def test_a_dag_runs_for_several_dates(run_dag):
    with DAG("days", schedule="@daily", start_date=START, catchup=False) as dag:
        Say(task_id="say", what="{{ ds }}")
    days = [run_dag(dag, logical_date=START + datetime.timedelta(days=i), expect="success") for i in range(3)]

    assert [run.xcom("say") for run in days] == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_a_dag_in_a_file(run_dag_file, tmp_path: Path):
    path = tmp_path / "a_dag.py"
    path.write_text(
        textwrap.dedent("""
            from __future__ import annotations
            import datetime
            from airflow.providers.common.compat.sdk import DAG
            from tests.support.test_run_dag import Say

            with DAG("in_a_file", schedule=None, start_date=datetime.datetime(2026, 1, 1)):
                Say(task_id="say", what="from a file")
        """)
    )
    assert run_dag_file(path, "in_a_file", expect="success").xcom("say") == "from a file"


def test_a_secret_in_an_xcom_is_found_in_the_database(run_dag, leak_guard, airflow_db: Path):
    secret = "planted-in-an-xcom"
    with DAG("secret", schedule=None, start_date=START) as dag:
        Reverse(task_id="reverse", what=secret[::-1])
    run_dag(dag, expect="success")

    leak_guard.register(secret)
    try:
        assert leak_guard.search_files(*airflow_db.parent.glob("airflow.db*"))  # with its journal
    finally:
        leak_guard.secrets.remove(secret)
