"""Each example DAG runs unchanged against the sandbox: what was sent, to whom, with which text."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_bm.campaigns import Verdict
from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.operators import BMListCampaignsOperator
from airflow_provider_bm.operators.approve import HAS_HITL
from airflow_provider_bm.polling.waiter import CampaignWaiter
from airflow_provider_bm.polling.watcher import Found
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.contacts import recipient_lists
from tests.support.run_dag import load_dag
from tools import demo
from tools.airflow_env import ROOT, is_airflow_2
from tools.sandbox_process import set_the_stage

EXAMPLES = ROOT / "dags_examples"


class Polls(list[str]):
    """UUIDs of the campaigns that triggers polled, and a function to call during the first poll."""

    meanwhile: Callable[[], Any] | None = None


@pytest.fixture(autouse=True)
def polls(monkeypatch: pytest.MonkeyPatch) -> Polls:
    """Record polls, and poll continuously instead of once a minute."""
    polls = Polls()
    on_result = CampaignWaiter.on_result

    def record_poll(waiter: CampaignWaiter, found: Found) -> Verdict | None:
        polls.append(waiter.wait.campaign_uuid)
        if polls.meanwhile is not None:
            polls.meanwhile()
            polls.meanwhile = None
        return on_result(waiter, found)

    monkeypatch.setattr(CampaignWaiter, "on_result", record_poll)
    monkeypatch.setattr(
        CampaignWaiter, "interval", property(lambda _: 0.2, lambda _, seconds: None), raising=False
    )
    return polls


@pytest.fixture
def staged(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox with the weather alert's draft, and the Airflow variable for it."""
    sandbox.execution_seconds = 0.3
    for name, value in set_the_stage(sandbox).items():
        monkeypatch.setenv(f"AIRFLOW_VAR_{name.upper()}", value)
    return sandbox


def console(sandbox: Sandbox) -> BMClient:
    """A client for the actions of a person at the BM console."""
    return BMClient(
        BMSettings(
            api_url=sandbox.api_url,
            token_url=sandbox.token_url,
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
            service_uuid=sandbox.service_uuid,
        )
    )


def sent(sandbox: Sandbox, campaign_uuid: str | None = None) -> Counter[tuple[str, str]]:
    """Count the messages by recipient and text."""
    return Counter((message["to"], message["text"]) for message in sandbox.messages(campaign_uuid))


def expected(sandbox: Sandbox, recipients: str, text: str) -> Counter[tuple[str, str]]:
    """One message with this text for each contact of a list."""
    members = recipient_lists()[sandbox.recipient_lists[recipients]]
    return Counter(
        (contact["mobile"], text.replace("{first_name}", contact["first_name"])) for contact in members
    )


def writes(sandbox: Sandbox) -> list[str]:
    return [
        request["method"] for request in sandbox.requests(path="/campaigns") if request["method"] != "GET"
    ]


@pytest.mark.parametrize(
    ("name", "dag_id"),
    [
        ("weather_alert", "weather_alert"),
        ("life_cycle", "life_cycle"),
        ("recurring", "recurring_set_up"),
        ("recurring", "recurring_daily"),
        ("mapped_regions", "mapped_regions"),
        ("from_a_table", "from_a_table"),
        ("whatsapp_from_draft", "whatsapp_from_draft"),
        ("email_from_draft", "email_from_draft"),
        ("stop_everything", "stop_everything"),
        ("on_call", "on_call"),
        ("follow_up", "warn"),
        ("follow_up", "after_a_warning"),
        *([] if is_airflow_2() else [("after_each_execution", "after_each_execution")]),
        *([("approval", "approval")] if HAS_HITL else []),
    ],
)
def test_parses_without_a_connection(
    name: str, dag_id: str, monkeypatch: pytest.MonkeyPatch, airflow_db: Path
):
    monkeypatch.delenv("AIRFLOW_CONN_BM_DEFAULT", raising=False)
    dag = load_dag(EXAMPLES / f"{name}.py", dag_id)
    assert dag.doc_md
    assert "bm" in dag.tags


def test_all_examples_are_tested():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [path.stem for path in EXAMPLES.glob("*.py") if f'"{path.stem}.py"' not in tests] == []


# weather_alert

STORMY, FROSTY, QUIET = (datetime(2013, 12, day, 6, tzinfo=UTC) for day in (1, 7, 3))


@pytest.mark.parametrize(
    ("when", "text"),
    [
        pytest.param(
            STORMY,
            "Good morning {first_name}. Seattle today: as cold as 7.8C, wind 32km/h. Stay in if you can.",
            id="storm",
        ),
        pytest.param(
            FROSTY,
            "Good morning {first_name}. Seattle today: as cold as -7.1C, wind 11km/h. Stay in if you can.",
            id="frost",
        ),
    ],
)
def test_weather_alert_on_an_alert_day(staged, run_dag_file, polls, when, text):
    path = EXAMPLES / "weather_alert.py"
    run = run_dag_file(path, "weather_alert", logical_date=when, expect="success")

    assert sent(staged) == expected(staged, "customers", text)
    assert run.xcom("report") == sent(staged).total() == 1500
    (clone,) = staged.campaigns(status="finished")
    assert run.xcom("send") == clone["uuid"]
    assert clone["name"].endswith(f"] Weather alert {when:%Y-%m-%d}")
    assert set(polls) == {clone["uuid"]}, "the wait was not deferred"
    assert writes(staged) == ["POST"]
    assert "1500 messages" in run.logs("report")


def test_weather_alert_on_a_quiet_day(staged, run_dag_file):
    path = EXAMPLES / "weather_alert.py"
    run = run_dag_file(path, "weather_alert", logical_date=QUIET, expect="success")

    assert run.task_states == {"look_out": "skipped", "send": "skipped", "report": "skipped"}
    assert "A quiet day: -0.5 °C, 5.6 m/s" in run.logs("look_out")
    assert staged.messages() == staged.requests() == []


def test_weather_alert_on_a_day_without_data(staged, run_dag, tmp_path, monkeypatch):
    dag = load_dag(EXAMPLES / "weather_alert.py", "weather_alert")
    empty = tmp_path / "empty.csv"
    empty.write_text("date,temp_min,wind\n")
    monkeypatch.setitem(dag.get_task("look_out").python_callable.__globals__, "WEATHER", empty)
    run = run_dag(dag, logical_date=QUIET, expect="failed")

    assert run.task_states["look_out"] == "failed", "without data, it is unknown whether the day is quiet"
    assert "empty.csv has no weather for 2013-12-03" in run.logs("look_out")
    assert staged.requests() == []


# life_cycle


def test_life_cycle(sandbox, run_dag_file, polls):
    sandbox.clock.freeze()
    polls.meanwhile = lambda: sandbox.clock.advance(60)
    run = run_dag_file(EXAMPLES / "life_cycle.py", "life_cycle", expect="success")

    text = "Hello {first_name}, the canteen opens at noon today."
    assert sent(sandbox) == expected(sandbox, "staff", text)
    assert run.xcom("wait")["status"] == "finished"
    assert set(polls) == {run.xcom("create")}
    assert writes(sandbox) == ["POST", "DELETE"]
    assert sandbox.campaigns() == []


def test_life_cycle_with_params(sandbox, run_dag_file):
    conf = {"text": "Fire drill, {first_name}.", "recipients": sandbox.recipient_lists["region-north"]}
    run_dag_file(EXAMPLES / "life_cycle.py", "life_cycle", conf=conf, expect="success")

    assert sent(sandbox) == expected(sandbox, "region-north", "Fire drill, {first_name}.")


def test_life_cycle_keeps_a_stopped_campaign(sandbox, run_dag_file, polls):
    sandbox.execution_seconds = 600
    polls.meanwhile = lambda: console(sandbox).set_campaign_status(polls[0], "stopped")
    run = run_dag_file(EXAMPLES / "life_cycle.py", "life_cycle", expect="failed")

    assert run.task_states == {"create": "success", "wait": "failed", "delete": "upstream_failed"}
    assert [campaign["status"] for campaign in sandbox.campaigns()] == ["stopped"]


# recurring


def test_recurring(sandbox, run_dag_file, polls):
    path, midnight = EXAMPLES / "recurring.py", datetime(2026, 6, 1, tzinfo=UTC)
    sandbox.clock.set(midnight)
    sandbox.clock.freeze()
    set_up = run_dag_file(path, "recurring_set_up", expect="success")
    again = run_dag_file(path, "recurring_set_up", expect="success")

    (campaign,) = sandbox.campaigns()
    assert campaign["status"] == "active"
    assert campaign["next_dt"] == "2026-06-01T06:30:00+00:00"
    assert set_up.xcom("create") == campaign["uuid"]
    assert again.task_states == {"not_started_yet": "success", "create": "skipped", "remember": "skipped"}
    assert sandbox.messages() == []

    polls.meanwhile = lambda: sandbox.clock.advance(timedelta(hours=7))
    first = run_dag_file(path, "recurring_daily", logical_date=midnight, expect="success")
    assert polls
    assert first.xcom("carry_on") == "2026-06-01T06:30:00+00:00"
    text = "Good morning {first_name}. Today's menu: example.com/menu"
    assert sent(sandbox) == expected(sandbox, "staff", text)

    # A late run: the campaign has executed already, so the task does not wait.
    polls.clear()
    late = run_dag_file(
        path, "recurring_daily", logical_date=midnight + timedelta(seconds=1), expect="success"
    )
    assert late.xcom("carry_on") == "2026-06-01T06:30:00+00:00"
    assert not polls

    # The next day, yesterday's execution does not count.
    polls.meanwhile = lambda: sandbox.clock.advance(timedelta(days=1))
    second = run_dag_file(
        path, "recurring_daily", logical_date=midnight + timedelta(days=1), expect="success"
    )
    assert polls
    assert second.xcom("carry_on") == "2026-06-02T06:30:00+00:00"
    assert set(sent(sandbox).values()) == {2}
    assert "the next time is 2026-06-03T06:30:00+00:00" in second.logs("carry_on")


# mapped_regions


# For map_index_template, Airflow 2.11 reads its whole context, including deprecated keys.
@pytest.mark.filterwarnings("ignore:Accessing .* from the template is deprecated:DeprecationWarning")
def test_mapped_regions(sandbox, run_dag_file, polls, monkeypatch):
    sandbox.execution_seconds = 0.3
    draft = sandbox.create(name="Storm by region", template="Hello {first_name}. {headline} {advice}")
    monkeypatch.setenv("AIRFLOW_VAR_REGIONS_DRAFT", draft["uuid"])
    run = run_dag_file(EXAMPLES / "mapped_regions.py", "mapped_regions", expect="success")

    texts = {
        "north": "Hello {first_name}. Storm from noon on. Stay away from the lake.",
        "south": "Hello {first_name}. Heavy rain tonight. The pass road closes at 20:00.",
        "east": "Hello {first_name}. Snow down to 400 m. Use winter tyres, or the train.",
        "west": "Hello {first_name}. Gusts of 90km/h this evening. Tie down what can fly.",
    }
    names = {campaign["uuid"]: campaign["name"] for campaign in sandbox.campaigns(status="finished")}
    for index, (region, text) in enumerate(texts.items()):
        uuid = run.xcom("send", map_index=index)
        assert names.pop(uuid).endswith(f"] Storm {region}")
        assert sent(sandbox, uuid) == expected(sandbox, f"region-{region}", text)
        assert uuid in polls
    assert not names
    counts = {region: expected(sandbox, f"region-{region}", "").total() for region in texts}
    assert run.xcom("gather") == counts
    assert len(sandbox.messages()) == sum(counts.values())


# from_a_table


@pytest.fixture
def warehouse(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The connection `warehouse`, a SQLite database with the table of the example, and the draft."""
    path = tmp_path / "warehouse.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE shop_news (day, shop, recipient_list, headline)")
        for shop in ("north", "south"):
            values = ("2026-06-01", shop, sandbox.recipient_lists[f"region-{shop}"], f"Sale in the {shop}.")
            database.execute("INSERT INTO shop_news VALUES (?, ?, ?, ?)", values)
        database.execute("INSERT INTO shop_news VALUES ('2026-05-31', 'north', 'x', 'Yesterday')")

    class SqliteHook(DbApiHook):
        def __init__(self) -> None:
            """Nothing of the connection is needed."""

        def get_conn(self) -> sqlite3.Connection:
            return sqlite3.connect(path)

    draft = sandbox.create(name="Shop news", template="Hello {first_name}. {headline}")
    monkeypatch.setenv("AIRFLOW_VAR_SHOP_NEWS_DRAFT", draft["uuid"])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "sqlite://")
    monkeypatch.setattr(Connection, "get_hook", lambda self, **_: SqliteHook())
    return path


def test_from_a_table(sandbox, run_dag_file, warehouse):
    sandbox.execution_seconds = 0
    run = run_dag_file(EXAMPLES / "from_a_table.py", "from_a_table", expect="success")

    for shop in ("north", "south"):
        (campaign,) = [
            each for each in sandbox.campaigns(status="finished") if f"News of {shop}" in each["name"]
        ]
        text = f"Hello {{first_name}}. Sale in the {shop}."
        assert sent(sandbox, campaign["uuid"]) == expected(sandbox, f"region-{shop}", text)
    assert run.xcom("send")["campaigns"] == {"finished": 2}
    assert run.xcom("report") == {"sent": 2}


def test_from_a_table_with_an_invalid_row(sandbox, run_dag_file, warehouse):
    with closing(sqlite3.connect(warehouse)) as database, database:
        database.execute("INSERT INTO shop_news VALUES ('2026-06-01', 'east', NULL, 'x')")
    run = run_dag_file(EXAMPLES / "from_a_table.py", "from_a_table", expect="failed")

    assert writes(sandbox) == []
    assert run.task_states == {"send": "failed", "report": "failed"}
    assert "Not everything was sent: {'not_sent': 2, 'invalid': 1}" in run.logs("report")
    assert "east was not sent" in run.logs("report")


# whatsapp_from_draft, email_from_draft


def test_whatsapp_from_draft(sandbox, run_dag_file, monkeypatch):
    sandbox.execution_seconds = 0.3
    monkeypatch.setenv("AIRFLOW_VAR_WHATSAPP_SENDER", "106540352242922")
    monkeypatch.setenv("AIRFLOW_VAR_WHATSAPP_LIST", sandbox.recipient_lists["staff"])
    run_dag_file(EXAMPLES / "whatsapp_from_draft.py", "whatsapp_from_draft", expect="success")

    (campaign,) = sandbox.campaigns(status="finished")
    assert campaign["sending_type"] == "whatsapp"
    written = json.loads((EXAMPLES / "whatsapp_from_draft.json").read_text())
    assert json.loads(campaign["template"]) == written
    assert len(sandbox.messages()) == len(recipient_lists()[sandbox.recipient_lists["staff"]])


def test_email_from_draft(sandbox, run_dag_file, monkeypatch):
    sandbox.execution_seconds = 0.3
    template = json.dumps({"subject": "News {edition}", "body": "<p>Hello {first_name}: {story}</p>"})
    draft = sandbox.create(status="draft", sending_type="email", sender="news@example.com", template=template)
    monkeypatch.setenv("AIRFLOW_VAR_NEWSLETTER_DRAFT", draft["uuid"])
    run_dag_file(EXAMPLES / "email_from_draft.py", "email_from_draft", expect="success")

    (campaign,) = sandbox.campaigns(status="finished")
    assert json.loads(campaign["template"]) == {
        "subject": "News 23",
        "body": "<p>Hello {first_name}: The new opening hours</p>",
    }


# stop_everything


@pytest.fixture
def sending(sandbox: Sandbox) -> dict[str, str]:
    """Campaigns that are active for long, by name; and others that the DAG must not touch."""
    sandbox.clock.freeze()
    sandbox.execution_seconds = 600
    created = [
        sandbox.create(name="long", status="active"),
        sandbox.create(
            name="daily", status="active", schedule_type="scheduled", schedule_rrule="FREQ=DAILY;BYHOUR=3"
        ),
    ]
    sandbox.create(name="draft", status="draft")
    sandbox.create(name="finished", status="finished")
    return {campaign["name"]: campaign["uuid"] for campaign in created}


def statuses(sandbox: Sandbox) -> dict[str, str]:
    return {campaign["name"]: campaign["status"] for campaign in sandbox.campaigns()}


def test_stop_everything(sandbox, run_dag_file, sending):
    run = run_dag_file(EXAMPLES / "stop_everything.py", "stop_everything", expect="success")

    assert statuses(sandbox) == {
        "long": "stopped",
        "daily": "stopped",
        "draft": "draft",
        "finished": "finished",
    }
    assert {run.xcom("stop", map_index=index) for index in (0, 1)} == set(sending.values())
    assert writes(sandbox) == ["PATCH", "PATCH"]


def test_stop_everything_when_one_finishes_and_one_is_deleted_meanwhile(
    sandbox, run_dag_file, sending, monkeypatch
):
    sandbox.execution_seconds = 5
    sandbox.create(name="short", status="active")
    sandbox.execution_seconds = 600
    gone = sandbox.create(name="gone", status="active")
    read_list = BMListCampaignsOperator.call_api

    def read_list_then_time_passes(self: BMListCampaignsOperator, context: Any) -> Any:
        found = read_list(self, context)
        sandbox.clock.advance(10)
        console(sandbox).delete_campaign(gone["uuid"])
        return found

    monkeypatch.setattr(BMListCampaignsOperator, "call_api", read_list_then_time_passes)
    run = run_dag_file(EXAMPLES / "stop_everything.py", "stop_everything", expect="success")

    now = statuses(sandbox)
    assert (now["long"], now["daily"], now["short"]) == ("stopped", "stopped", "finished")
    stops = Counter(state for task, state in run.task_states.items() if task[0] == "stop")
    assert stops == {"success": 2, "failed": 2}
    assert run.task_states["nothing_is_active"] == "success"


def test_stop_everything_reports_what_it_could_not_stop(sandbox, run_dag_file, sending):
    sandbox.fault(method="PATCH", path=sending["long"], status=403, times=None)
    run = run_dag_file(EXAMPLES / "stop_everything.py", "stop_everything", expect="failed")

    assert statuses(sandbox)["daily"] == "stopped"
    assert f"Still active: {sending['long']} long" in run.logs("nothing_is_active")
    assert "Still active: 1." in run.logs("nothing_is_active")


def test_stop_everything_when_nothing_is_active(sandbox, run_dag_file):
    run = run_dag_file(EXAMPLES / "stop_everything.py", "stop_everything", expect="success")

    assert run.task_states["nothing_is_active"] == "success"
    assert writes(sandbox) == []


# The demo must detect wrong results.

RUN = {"state": "success", "campaign": None, "reported": None, "triggers": []}


@pytest.fixture
def demo_results(staged: Sandbox) -> tuple[list[demo.Day], list[dict[str, Any]], set[str]]:
    """Results of the demo for a quiet day and a stormy one."""
    days = [day for day in demo.read_days() if day.date in (date(2013, 11, 30), date(2013, 12, 1))]
    drafts = {campaign["uuid"] for campaign in staged.campaigns()}
    (draft,) = [campaign for campaign in staged.campaigns() if campaign["template"] == demo.WEATHER_TEMPLATE]
    values = {"temp": "7.8C", "wind": "32km/h"}
    clone = console(staged).clone_campaign(
        draft["uuid"], template_vars=values, name="Weather alert 2013-12-01 [0123456789]"
    )
    staged.clock.advance(10)
    tasks = ("look_out", "send", "report")
    uuid = clone["uuid"]
    runs = [
        RUN | {"day": "2013-11-30", "tasks": dict.fromkeys(tasks, "skipped")},
        RUN
        | {"day": "2013-12-01", "tasks": dict.fromkeys(tasks, "success")}
        | {"campaign": uuid, "reported": 1500, "triggers": [uuid]},
    ]
    return days, runs, drafts


def test_demo_accepts_correct_results(staged, demo_results):
    days, runs, drafts = demo_results
    assert demo.check(days, runs, staged, drafts, faults=False) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"state": "failed"}, "2013-12-01: state of the run: failed, expected success"),
        ({"tasks": {}}, "2013-12-01: tasks: {}"),
        ({"campaign": None}, "2013-12-01: campaign: None, expected one"),
        ({"reported": 1499}, "2013-12-01: messages as the DAG reported: 1499, expected 1500"),
        ({"triggers": []}, "2013-12-01: campaigns that triggers waited for: []"),
        ({"day": "2013-12-02"}, "days run: "),
    ],
)
def test_demo_detects_a_wrong_run(staged, demo_results, wrong, message):
    days, runs, drafts = demo_results
    runs[1] |= wrong
    assert any(line.startswith(message) for line in demo.check(days, runs, staged, drafts, faults=False))


def test_demo_detects_a_missing_run(staged, demo_results):
    days, runs, drafts = demo_results
    assert demo.check(days, runs[:1], staged, drafts, faults=False)
    assert demo.check(days, [], staged, drafts, faults=False)


def test_demo_detects_additional_messages(staged, demo_results):
    days, runs, drafts = demo_results
    staged.create(name="stray", status="active")
    staged.clock.advance(10)
    message = "\n".join(demo.check(days, runs, staged, drafts, faults=False))
    assert "executions: 2, expected 1" in message
    assert "messages in all: 1540, expected 1500" in message


def test_demo_detects_a_wrong_text(staged, demo_results, monkeypatch):
    days, runs, drafts = demo_results
    monkeypatch.setattr(demo, "WEATHER_TEMPLATE", demo.WEATHER_TEMPLATE + "!")
    (message,) = demo.check(days, runs, staged, drafts, faults=False)
    assert message.startswith("2013-12-01: messages that differ: ")
