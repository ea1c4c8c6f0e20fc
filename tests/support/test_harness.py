"""The harness itself: what it says of small DAGs must be so, on every Airflow."""

from __future__ import annotations

import asyncio
import datetime
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseOperator, BaseSensorOperator
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
    def __init__(self, answer: str, fail: bool = False) -> None:
        super().__init__()
        self.answer, self.fail = answer, fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "tests.support.test_harness.Tick", {"answer": self.answer, "fail": self.fail}

    async def run(self):
        self.log.info("ticking")
        await asyncio.sleep(0.01)
        if self.fail:
            raise ValueError("the trigger broke")
        yield TriggerEvent({"answer": self.answer})


class Wait(BaseOperator):
    def __init__(self, *, answer: str, times: int = 1, fail: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer, self.times, self.fail = answer, times, fail

    def execute(self, context: Any, event: dict[str, Any] | None = None) -> Any:
        said = event["answer"] if event else ""
        if len(said) == self.times:
            self.log.info("resumed with %s", said)
            return said
        return self.defer(trigger=Tick(said + self.answer, self.fail), method_name="execute")


def test_states_xcoms_and_logs(run_dag):
    with DAG("harness_states", schedule=None, start_date=START) as dag:
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


def test_deferral_runs_the_trigger_in_line(run_dag):
    with DAG("harness_deferral", schedule=None, start_date=START) as dag:
        Wait(task_id="once", answer="y") >> Wait(task_id="thrice", answer="z", times=3)
    run = run_dag(dag, expect="success")

    assert run.xcom("once") == "y"
    assert run.xcom("thrice") == "zzz"
    assert run.logs("thrice").count("ticking") == 3
    assert "resumed with zzz" in run.logs("thrice")


def test_a_trigger_that_raises_fails_the_task(run_dag):
    with DAG("harness_bad_trigger", schedule=None, start_date=START) as dag:
        Wait(task_id="wait", answer="y", fail=True)
    run = run_dag(dag)

    assert run.task_states == {"wait": "failed"}
    assert "the trigger broke" in run.logs("wait")
    assert "TaskDeferralError" in run.logs("wait")


def test_a_trigger_that_raises_is_soft_where_the_sensor_is(run_dag):
    class SoftSensor(BaseSensorOperator):
        def execute(self, context: Any) -> None:
            self.defer(trigger=Tick("y", fail=True), method_name="resume")

        def resume(self, context: Any, event: Any) -> None:
            raise AssertionError("not reached")

    with DAG("harness_soft", schedule=None, start_date=START) as dag:
        SoftSensor(task_id="wait", soft_fail=True)
    run = run_dag(dag)

    assert run.task_states == {"wait": "skipped"}


def test_a_run_that_never_ends_is_given_up(dag_runner):
    class Never(BaseOperator):
        def execute(self, context: Any) -> None:
            time.sleep(60)

    with DAG("harness_never", schedule=None, start_date=START) as dag:
        Never(task_id="never")
    with pytest.raises(pytest.fail.Exception, match="longer than 2 s"):
        dag_runner.run(dag, timeout=2)


def test_mapped_tasks_are_told_apart(run_dag):
    with DAG("harness_mapped", schedule=None, start_date=START) as dag:
        words = Say(task_id="words", what=["a", "b"])
        Say.partial(task_id="each").expand(what=words.output)
    run = run_dag(dag, expect="success")

    assert run.task_states == {"words": "success", ("each", 0): "success", ("each", 1): "success"}
    assert [run.xcom("each", map_index=i) for i in range(2)] == ["a", "b"]
    assert "saying b" in run.logs("each", 1)
    assert "saying b" not in run.logs("each", 0)


@pytest.mark.parametrize("word", ["one", "two"])
def test_the_same_dag_id_can_be_used_again(run_dag, word):
    with DAG("harness_again", schedule=None, start_date=START) as dag:
        Say(task_id=f"say_{word}", what=word)
    run = run_dag(dag, logical_date=START, expect="success")

    assert run.task_states == {f"say_{word}": "success"}
    assert run.xcom(f"say_{word}") == word


def test_a_dag_runs_again_for_another_date(run_dag):
    with DAG("harness_days", schedule="@daily", start_date=START, catchup=False) as dag:
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
            from tests.support.test_harness import Say

            with DAG("harness_file", schedule=None, start_date=datetime.datetime(2026, 1, 1)):
                Say(task_id="say", what="from a file")
        """)
    )
    run = run_dag_file(path, "harness_file", expect="success")

    assert run.xcom("say") == "from a file"


def test_a_secret_in_an_xcom_is_found_in_the_database(run_dag, leak_guard, airflow_db: Path):
    secret = "planted-in-an-xcom"
    with DAG("harness_secret", schedule=None, start_date=START) as dag:
        Reverse(task_id="reverse", what=secret[::-1])
    run_dag(dag, expect="success")

    leak_guard.register(secret)
    try:
        assert leak_guard.search_files(*airflow_db.parent.glob("airflow.db*"))  # with its journal
    finally:
        leak_guard.secrets.remove(secret)
