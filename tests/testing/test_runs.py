"""`bm_run_dag`: how runs end, and the messages when they do not end as expected."""

from __future__ import annotations

import re

TESTS = """
import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, task

from airflow_provider_bm.operators import BMCreateCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor

START = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = "9c8e2a14-c1af-11ee-8073-bf4d6e8c1618"
STAFF = "d326d5d5-7ed4-5580-b947-541396b642f8"


def dag_of(dag_id, start=START):
    return DAG(dag_id, schedule=None, start_date=start)


def send(**arguments):
    fields = {"name": "Storm", "sending_type": "sms", "template": "Storm.", "sender": "+41587000000"}
    return BMCreateCampaignOperator(**{"task_id": "send", **fields, "recipient_lists": STAFF, **arguments})


def test_a_campaign_of_another_service(bm_sandbox, bm_run_dag):
    bm_sandbox.add_service(SERVICE)
    with dag_of("services") as dag:
        send() >> send(task_id="send_there", service_uuid=SERVICE)
    bm_run_dag(dag)
    assert len(bm_sandbox.campaigns(service_uuid=SERVICE)) == 1
    bm_sandbox.assert_sent(count=80)


@pytest.mark.parametrize("again", [False, True])
def test_a_date_can_be_run_again(bm_run_dag, again):
    with dag_of("dated") as dag:
        send()
    for _ in range(2):
        run = bm_run_dag(dag, datetime(2026, 3, 4, tzinfo=UTC), {"some": "conf"})
    assert run.conf == {"some": "conf"}


@pytest.mark.bm_sandbox(start=datetime(2030, 3, 4, 5, tzinfo=UTC), speed=3600)
def test_time_begins_with_the_first_call(bm_sandbox, bm_run_dag):
    with dag_of("later") as dag:
        send(schedule_rrule="2030-03-04 08:00:00", wait_for_completion=True, poke_interval=0.5)
    time.sleep(0.1)
    assert bm_sandbox.clock.now().hour == 5
    bm_run_dag(dag)
    assert {message["sent_dt"][:16] for message in bm_sandbox.assert_sent()} == {"2030-03-04T08:00"}


def test_retries_have_no_delay(bm_sandbox, bm_run_dag):
    bm_sandbox.fault("POST", "campaigns", status=503)
    delay = timedelta(minutes=5)
    with dag_of("tries") as dag:
        send(retries=1, retry_delay=delay)
    began = time.monotonic()
    bm_run_dag(dag)
    assert time.monotonic() - began < delay.total_seconds()
    assert dag.get_task("send").retry_delay == delay
    bm_sandbox.assert_sent(count=40)
    assert "POST campaigns status=503: 1 hit of 2 that matched" in bm_sandbox.report()


def test_skipped(bm_sandbox, bm_run_dag):
    with dag_of("calm") as dag:

        @task
        def is_calm():
            raise AirflowSkipException

        is_calm() >> send()
    bm_run_dag(dag)
    assert "DAG runs (1):\\n  the run of DAG 'calm' is success. Tasks: is_calm skipped, send skipped" in (
        bm_sandbox.report()
    )


def test_that_errs_since_a_fault_hit_nothing(bm_sandbox, bm_run_dag):
    bm_sandbox.fault("POST", "/campaign/", lose_reply=True)
    with dag_of("faultless") as dag:
        send()
    bm_run_dag(dag)


def test_that_fails_with_reasons(bm_run_dag):
    with dag_of("reasons") as dag:

        @task
        def numbers(number):
            assert number > 1, f"{number} is too\\nsmall"

        numbers.expand(number=[1, 2]) >> send()
        send(task_id="empty", template="")
    bm_run_dag(dag)


def test_that_fails_since_it_succeeds(bm_run_dag):
    with dag_of("succeeds") as dag:
        send()
    bm_run_dag(dag, expect="failed")


def test_that_fails_since_nothing_has_run(bm_run_dag):
    with dag_of("future", datetime(2030, 1, 1, tzinfo=UTC)) as dag:
        send()
    bm_run_dag(dag)


@pytest.mark.parametrize("arguments", [{}, {"mode": "reschedule"}, {"deferrable": True}])
def test_that_fails_as_it_takes_too_long(bm_sandbox, bm_run_dag, arguments):
    draft = bm_sandbox.create(name="A draft", status="draft")
    with dag_of("endless") as dag:
        BMCampaignSensor(task_id="wait", campaign_uuid=draft["uuid"], poke_interval=300, **arguments)
    began = time.monotonic()
    try:
        bm_run_dag(dag, timeout=2)
    finally:
        assert time.monotonic() - began < 300


def test_within_a_loop(bm_run_dag):
    async def run():
        bm_run_dag(dag_of("coroutine"))

    with pytest.raises(RuntimeError, match="write the test with def, not with async def"):
        asyncio.run(run())


def test_what_it_takes(bm_run_dag):
    def storm():
        pass

    dag = dag_of("empty")
    for arguments, message in (
        (("storm_warning",), "takes the DAG itself, not its id 'storm_warning'"),
        ((storm,), r"not a function: decorate it with @dag, and pass what storm\\(\\) returns"),
        ((7,), "takes a DAG, not 7"),
        ((dag, datetime(2026, 3, 4)), "logical_date must have a time zone"),
        ((dag, None, None, "sucess"), "expect must be 'success', 'failed' or None, not 'sucess'"),
        ((dag, None, None, None, 0), "timeout must be more than 0 seconds"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            bm_run_dag(*arguments)
    with pytest.raises(AssertionError, match="no task of DAG 'empty' has run: it has none"):
        bm_run_dag(dag)
"""

MESSAGES = """
the run of DAG 'reasons' is failed, not success
  empty: AirflowFailException: Invalid campaign; nothing was sent:
      …template…
  numbers [0]: AssertionError: 1 is too
    small
    assert 1 > 1
Tasks: empty failed, numbers failed, numbers success, send upstream_failed

the run of DAG 'succeeds' is success, not failed
Tasks: send success

no task of DAG 'future' has run: its start_date, 2030-01-01T00:00:00+00:00, is after the run's logical date, …

the run of DAG 'endless' is not over after 2 s
Tasks: wait running
…
  'A draft' is draft: never executed; a draft sends nothing before it is activated

The test has passed, but no call was hit by POST /campaign/ lose_reply=True (0 calls matched). …
"""


def test_runs(project, run_pytest_here):
    (project / "test_runs_of_dags.py").write_text(TESTS)

    text = run_pytest_here("--show-capture=no")

    assert re.search(r"6 failed, 9 passed,.* 1 error in", text), text
    shown = "\n".join(line.removeprefix("E").strip() for line in text.splitlines())
    for message in MESSAGES.strip().split("\n\n"):
        pattern = r"[\s\S]+".join(re.escape(part.strip()) for part in re.split("…", message))
        pattern = re.sub(r"(\\\n|\\ )+", r"\\s+", pattern)
        assert re.search(pattern, shown), f"{message}\n\nis not in:\n{text}"
    assert "log says why" not in text
