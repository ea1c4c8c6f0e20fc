"""A campaign for each row of a table: what is sent, what is refused, and what is reported."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import numpy
import pandas
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_bm.campaigns import SendWindow
from airflow_provider_bm.campaigns.local_times import local_time
from airflow_provider_bm.client import BMClient
from airflow_provider_bm.hooks import BMHook
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from airflow_provider_bm.operators import BMCampaignBatchOperator
from airflow_provider_bm.triggers.batch import unpack_uuids

TI = {"dag_id": "d", "run_id": "run", "task_id": "send", "map_index": -1, "try_number": 1}

REGIONS = [
    {"region": "north", "headline": "Storm from noon on."},
    {"region": "south", "headline": "Heavy rain tonight."},
    {"region": "east", "headline": "Snow down to 400 m."},
]


@pytest.fixture
def draft(sandbox):
    staff = sandbox.recipient_lists["staff"]
    return sandbox.create(status="draft", template="Hello {first_name}. {headline}", recipient_lists=staff)


@pytest.fixture
def send(sandbox, execute, draft):
    """`send(rows, **arguments)`: execute a batch of clones."""

    def send(rows=REGIONS, **arguments):
        defaults = {"key": "region", "clone_uuid": draft["uuid"], "name": "Storm {{ row.region }}"}
        return execute(BMCampaignBatchOperator, rows=rows, **(defaults | arguments))

    return send


class Table:
    """A data frame that Airflow does not look into."""

    def __init__(self, rows):
        self._rows = rows

    def to_pylist(self):
        return self._rows


def created(sandbox):
    """Name (without the key) and text of each campaign that the batch has created."""
    return {
        each["name"].partition("] ")[2]: each["template"]
        for each in sandbox.campaigns()
        if each["name"].startswith("[")
    }


def posts(sandbox):
    return sandbox.requests(method="POST", path="/campaigns")


def assert_nothing_sent(sandbox):
    assert posts(sandbox) == []


TEXTS = {f"Storm {row['region']}": f"Hello {{first_name}}. {row['headline']}" for row in REGIONS}


def test_a_clone_for_each_row(sandbox, send):
    done = send()
    assert done.error is None
    assert created(sandbox) == TEXTS
    assert len(sandbox.executions()) == 3
    assert done.result == {
        "rows": 3,
        "sent": 3,
        "campaigns": {"active": 3},
        "results_path": None,
    }
    assert [(row["key"], row["status"], row["reason"]) for row in done.pushed["rows"]] == [
        ({"region": row["region"]}, "sent", "") for row in REGIONS
    ]
    sent = {each["campaign_uuid"] for each in sandbox.executions()}
    assert {row["uuid"] for row in done.pushed["rows"]} == sent
    assert done.pushed["sent"] is True
    assert done.pushed["failed_rows"] == []


def test_one_request_for_each_row_and_two_more(sandbox, send):
    seen = len(sandbox.requests())
    send()
    methods = sorted(each["method"] for each in sandbox.requests()[seen:] if "/campaigns" in each["path"])
    assert methods == ["GET", "GET", "POST", "POST", "POST"]


def test_a_new_campaign_for_each_row(sandbox, execute):
    staff = sandbox.recipient_lists["staff"]
    done = execute(
        BMCampaignBatchOperator,
        rows=REGIONS,
        key=["region"],
        name="Storm {{ row['region'] }} {{ ds }}",
        sending_type="sms",
        template="{{ row.headline }} Stay at home, {first_name}.",
        sender="+41587000000",
        recipient_lists=staff,
    )
    assert done.error is None
    assert created(sandbox) == {
        f"Storm {row['region']} 2026-01-05": f"{row['headline']} Stay at home, {{first_name}}."
        for row in REGIONS
    }


def test_a_second_try_sends_nothing(sandbox, send):
    assert send().error is None
    done = send(try_number=2)
    assert done.error is None
    assert done.result["adopted"] == 3
    assert len(posts(sandbox)) == 3


def test_another_run_sends_again(sandbox, send):
    assert send().error is send(run_id="another").error is None
    assert len(posts(sandbox)) == 6


def after_the_window():
    """The window of requests that may be in flight is short."""
    return use_timing(Timing(window=lambda client: timedelta(seconds=0.1)))


def test_a_table_with_other_rows_in_another_order(sandbox, send):
    assert send().error is None
    with after_the_window():
        done = send([{"region": "west", "headline": "x"}, *reversed(REGIONS)], try_number=2)
    assert done.error is None
    assert [row["status"] for row in done.pushed["rows"]] == ["sent", *["adopted"] * 3]
    assert len(posts(sandbox)) == 4


def test_rows_that_may_be_sent_already_under_another_key(sandbox, send, caplog):
    rows = [{**row, "language": "de"} for row in REGIONS]
    assert send(rows).error is None
    with after_the_window():
        done = send(rows, key="region, language", try_number=2)
        assert isinstance(done.error, AirflowFailException)
        assert "3 of 3 campaigns of earlier tries belong to no row of this table" in done.message
        assert "row 1 (region='north', language='de')" in done.message
        assert len(posts(sandbox)) == 3
        done = send(rows[1:], try_number=2)
        assert done.error is None
        assert "1 of 3 campaigns of earlier tries belong to no row of this table" in caplog.text
        new = [*rows[1:], {"region": "west", "headline": "x"}]
        done = send(new, try_number=2)
        assert "set on_removed_rows='warn'" in done.message
        assert len(posts(sandbox)) == 3
        assert send(new, try_number=2, on_removed_rows="warn").error is None
    assert len(posts(sandbox)) == 4


def test_a_campaign_that_this_task_would_not_have_sent_stops_the_batch(sandbox, send):
    assert send(REGIONS[:1]).error is None
    rows = [{**REGIONS[0], "headline": "Other."}, *REGIONS[1:]]
    done = send(rows)
    assert isinstance(done.error, AirflowFailException)
    assert "its campaign differs from the row" in done.message
    assert "deduplicate" not in done.message
    assert len(posts(sandbox)) == 1


# The table


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [*REGIONS, {"region": " north", "headline": "x"}],
            "row 1 (region='north') and row 4 (region=' north') are the same",
        ),
        ([{"regoin": "north", "headline": "x"}], "row 1 has no such column; did you mean 'regoin'?"),
        ([["north", "x"]], "row 1 must be a mapping of columns to values"),
        ({"region": "north"}, "must be a list of dicts, a data frame, or the path of a file"),
    ],
)
def test_invalid_tables(sandbox, send, rows, message):
    done = send(rows)
    assert isinstance(done.error, AirflowFailException)
    assert message in done.message
    assert sandbox.requests(path="/campaigns") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_campaigns": 2}, "max_campaigns=2: the table has more than 2 rows"),
        ({"expected_rows": (4, 9)}, "expected_rows=(4, 9): the table has 3 rows"),
        ({"name": "Storm {{ row.regoin }}"}, "there is no column 'regoin'; did you mean 'region'?"),
        ({"template_vars": ["headlin"]}, "there is no such column; did you mean 'headline'?"),
        ({"bm_conn_id": "{{ row.region }}"}, "cannot depend on the row"),
        ({"sql": "SELECT 1"}, "pass either rows or sql"),
        ({"max_workers": 0}, "must be a whole number from 1 to 10"),
        ({"on_error": "ignore"}, "must be one of stop, continue"),
    ],
)
def test_arguments_that_are_refused(sandbox, send, arguments, message):
    done = send(**arguments)
    assert isinstance(done.error, AirflowFailException)
    assert message in done.message
    assert_nothing_sent(sandbox)


def test_the_default_number_of_campaigns(sandbox, send):
    done = send([{"region": number, "headline": "x"} for number in range(1001)])
    assert "max_campaigns=1000: the table has more than 1000 rows" in done.message
    assert sandbox.requests(path="/campaigns") == []


@pytest.mark.parametrize("where", ["", "file", "folder", "rows.jsonl"])
def test_a_results_path_that_cannot_be_written_is_found_before_anything_is_sent(
    sandbox, send, tmp_path, where
):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f"{json.dumps(row)}\n" for row in REGIONS))
    (tmp_path / "file").touch()
    path = {"file": tmp_path / "file" / "results.jsonl"}.get(where, tmp_path / where)
    (tmp_path / "folder").mkdir()
    done = send(str(rows), results_path=str(path))
    assert isinstance(done.error, AirflowException)
    assert "results_path=" in done.message
    assert len(rows.read_text().splitlines()) == 3
    assert_nothing_sent(sandbox)


def test_no_more_rows_are_read_than_may_be_sent(sandbox, send):
    read = []

    class Endless(Table):
        def __init__(self):
            """It has no end."""

        def iter_rows(self, *, named):
            while True:
                read.append(named)
                yield {"region": str(len(read)), "headline": "x"}

    done = send(Endless(), max_campaigns=5)
    assert "max_campaigns=5: the table has more than 5 rows" in done.message
    assert len(read) == 6
    assert_nothing_sent(sandbox)


# Rows that are refused


INVALID = [
    REGIONS[0],
    {"region": "south", "headline": None},
    {"region": "east", "headline": math.nan},
    {"region": None, "headline": "Snow."},
]


def test_all_invalid_rows_are_reported_before_the_first_is_sent(sandbox, send, caplog):
    done = send(INVALID)
    assert isinstance(done.error, AirflowFailException)
    assert "3 of 4 rows are invalid; nothing was sent" in done.message
    for text in ("row 2 (region='south')", "row 3 (region='east')", "row 4 (region=None): region is missing"):
        assert text in done.message
        assert text.split(":")[0] in caplog.text
    assert_nothing_sent(sandbox)
    statuses = [row["status"] for row in done.pushed["rows"]]
    assert statuses == ["not_sent", "invalid", "invalid", "invalid"]
    assert len(done.pushed["failed_rows"]) == 4


def test_invalid_rows_are_skipped_if_asked_to(sandbox, send):
    done = send(INVALID, on_invalid="skip")
    assert done.error is None
    assert (done.result["sent"], done.result["invalid"]) == (1, 3)
    assert list(created(sandbox)) == ["Storm north"]


@pytest.mark.parametrize(
    ("headline", "message"),
    [
        (0.1 + 0.2, "would be sent as 0.30000000000000004"),
        ("{{ name }}", "contains {{ name }}, a template that is not rendered"),
        (["a"], "must be a string or a number"),
        ("{other}", "{other}"),
    ],
)
def test_values_that_people_must_not_read(sandbox, send, headline, message):
    done = send(Table([{"region": "north", "headline": headline}]))
    assert message in done.message
    assert_nothing_sent(sandbox)


@pytest.mark.parametrize("value", [None, math.nan, "NaN", ["a"], {"a": 1}, "{{ other }}", "{% if %}"])
def test_a_value_that_must_not_be_in_a_text(sandbox, send, value):
    rows = Table([{"region": "north", "headline": "x", "where": value}])
    done = send(rows, name="Storm in {{ row.where }}")
    assert isinstance(done.error, AirflowFailException)
    assert "row 1 (region='north')" in done.message
    assert_nothing_sent(sandbox)


@pytest.mark.parametrize(
    "value", [0.1 + 0.2, ["a"], {"a": 1}, True, datetime(2026, 1, 5, tzinfo=UTC), object()]
)
def test_a_template_that_is_one_expression_is_checked_as_the_value_itself(sandbox, send, value):
    done = send(Table([{"region": "north", "what": value}]), template_vars={"headline": "{{ row.what }}"})
    assert "row 1 (region='north'): template_vars.headline=" in done.message
    assert_nothing_sent(sandbox)


def test_objects_of_a_row_are_used_as_objects(sandbox, send):
    lists = [sandbox.recipient_lists["staff"], sandbox.recipient_lists["region-north"]]
    due = datetime(2099, 1, 5, 9, tzinfo=UTC)
    rows = Table([{**REGIONS[0], "lists": lists, "due": due}])
    done = send(rows, recipient_lists="{{ row.lists }}", schedule_rrule="{{ row.due }}")
    assert done.error is None, done.error
    (campaign,) = (each for each in sandbox.campaigns() if each["name"].startswith("["))
    assert campaign["recipient_lists"].split(",") == lists
    assert campaign["schedule_rrule"] == "2099-01-05 09:00:00"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ row }}", "must be a string or a number"),
        ("Storm: {{ row }}", "a RowView, which has no readable form"),
        ("{% for each in row %}{{ each }}{% endfor %}", "TypeError: 'RowView' object is not iterable"),
        ("Storm: {{ row.what.upper }}", "a builtin_function_or_method, which has no readable form"),
        ("{{ row.what * 1.1 }} m", "TypeError: can't multiply sequence"),
        ("{{ 1 / row.none }} m", "ZeroDivisionError: division by zero"),
        ("{{ row.what.nothing }}", "there is no value"),
    ],
)
def test_templates_that_cannot_be_rendered_for_a_row(sandbox, send, template, message):
    rows = [{"region": "north", "what": "snow", "none": 0}]
    done = send(rows, template_vars={"headline": template})
    assert isinstance(done.error, AirflowFailException)
    assert "row 1 (region='north'): " in done.message
    assert message in done.message
    assert_nothing_sent(sandbox)


def test_numbers_are_formatted(sandbox, send):
    done = send([{"region": "north", "headline": 2 / 3}], float_format=".1f")
    assert done.error is None
    assert created(sandbox) == {"Storm north": "Hello {first_name}. 0.7"}


def test_columns_named_like_methods_are_columns(sandbox, send):
    rows = [{"region": "north", "headline": "x", "items": "snow", "values": 3, "get": "y"}]
    assert send(rows, name="{{ row.items }} {{ row.values }} {{ row.get }}").error is None
    assert list(created(sandbox)) == ["snow 3 y"]


def test_a_column_that_is_also_a_contact_field_must_be_named(sandbox, execute):
    staff = sandbox.recipient_lists["staff"]
    draft = sandbox.create(status="draft", template="Storm in {city}, {what}", recipient_lists=staff)
    arguments = {"key": "city", "clone_uuid": draft["uuid"], "rows": [{"city": "Chur", "what": "snow"}]}
    done = execute(BMCampaignBatchOperator, **arguments)
    assert "{city} is a column of the table and a field of each contact" in done.message
    assert_nothing_sent(sandbox)
    assert execute(BMCampaignBatchOperator, **arguments, template_vars=["what"]).error is None
    assert list(created(sandbox).values()) == ["Storm in {city}, snow"]
    assert execute(BMCampaignBatchOperator, **arguments, template_vars="what, city", run_id="2").error is None
    assert "Storm in Chur, snow" in created(sandbox).values()


def test_template_vars_may_be_templates(sandbox, send):
    values = {"headline": "{{ row.headline | upper }}"}
    assert send(REGIONS[:1], template_vars=values).error is None
    assert created(sandbox) == {"Storm north": "Hello {first_name}. STORM FROM NOON ON."}


def test_each_row_may_clone_another_draft(sandbox, send):
    drafts = {
        language: sandbox.create(status="draft", template=f"{language}: {{headline}}")["uuid"]
        for language in ("de", "fr")
    }
    rows = [
        {"region": f"{language}{number}", "headline": "x", "draft": uuid}
        for language, uuid in drafts.items()
        for number in range(3)
    ]
    seen = len(sandbox.requests())
    assert send(rows, clone_uuid="{{ row.draft }}").error is None
    assert sorted(created(sandbox).values()) == ["de: x"] * 3 + ["fr: x"] * 3
    reads = [each for each in sandbox.requests()[seen:] if each["method"] == "GET"]
    assert len(reads) == 3


def test_a_row_whose_draft_does_not_exist(sandbox, send):
    uuid = "1592695e-c1b1-11ee-b153-774c9d3a7957"
    done = send([{"region": "north", "headline": "x", "draft": uuid}], clone_uuid="{{ row.draft }}")
    assert "the campaign to clone does not exist" in done.message
    assert_nothing_sent(sandbox)


def test_a_query_for_each_row(sandbox, send):
    rule = {"field": "region", "condition": "eq", "value": "{{ row.region }}", "operator": "AND"}
    query = {"segmentation": [{"operator": "OR", "rules": [rule]}]}
    done = send(query=query)
    assert done.error is None, done.error
    sent = [each for each in sandbox.campaigns() if each["name"].startswith("[")]
    assert sorted(json.loads(each["query"])["segmentation"][0]["rules"][0]["value"] for each in sent) == [
        "east",
        "north",
        "south",
    ]


# Checks before anything is sent


def test_a_run_for_last_month_sends_nothing(sandbox, send):
    old = datetime.now(UTC) - timedelta(days=30)
    done = send(run={"run_type": "scheduled", "run_after": old})
    assert isinstance(done.error, AirflowFailException)
    assert "The run is too old" in done.message
    assert isinstance(
        send(run={"run_type": "scheduled", "run_after": old}, on_stale="skip").error, AirflowSkipException
    )
    assert_nothing_sent(sandbox)


def test_a_closed_window_schedules_every_row(sandbox, send):
    now = datetime.now(UTC)
    start, end = (now + timedelta(hours=6)).strftime("%H:%M"), (now + timedelta(hours=12)).strftime("%H:%M")
    window = SendWindow(start, end, on_closed="schedule")
    assert send(send_window=window).error is None
    sent = [each for each in sandbox.campaigns() if each["name"].startswith("[")]
    assert [each["schedule_type"] for each in sent] == ["once"] * 3
    assert len({each["schedule_rrule"] for each in sent}) == 1
    done = send(send_window=window, try_number=2)
    assert done.result["adopted"] == 3


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_a_window_that_closes_meanwhile(sandbox, send, monkeypatch, policy):
    """A task that has sent a part is never skipped."""
    checks = iter([True] * 5)  # each row before the first is sent, and two again
    monkeypatch.setattr(SendWindow, "is_open", lambda self, now: next(checks, False))
    done = send(send_window=SendWindow("09:00", "20:00", on_closed=policy), max_workers=1)
    assert isinstance(done.error, AirflowFailException)
    assert "2 of 3 rows have a campaign. Of the others: The send window is closed" in done.message
    assert [row["status"] for row in done.pushed["rows"]] == ["sent", "sent", "not_sent"]


def test_a_retry_that_is_too_late_is_not_skipped(sandbox, send):
    assert send(REGIONS[:2]).error is None
    old = datetime.now(UTC) - timedelta(days=30)
    done = send(run={"run_type": "scheduled", "run_after": old}, on_stale="skip", try_number=2)
    assert isinstance(done.error, AirflowFailException)
    assert "2 of 3 rows have a campaign. Of the others: The run is too old" in done.message


def test_a_window_of_the_connection(sandbox, execute, monkeypatch):
    """It is closed now, and open when the draft is due: the session sees the schedule in the request."""
    now = datetime.now(UTC)
    start, due, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (6, 8, 10))
    draft = sandbox.create(
        status="draft", template="{headline}", schedule_type="once", schedule_rrule=f"2099-01-01 {due}:00"
    )
    window = {"start": start, "end": end}
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(send_window=window))
    done = execute(BMCampaignBatchOperator, rows=REGIONS, key="region", clone_uuid=draft["uuid"])
    assert done.error is None
    assert done.result["sent"] == 3


def test_more_rows_than_may_be_sent_in_an_hour(sandbox, send, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(max_campaigns_per_hour=2))
    done = send()
    assert isinstance(done.error, AirflowFailException)
    assert "3 rows would be sent, and the connection's max_campaigns_per_hour is 2" in done.message
    assert_nothing_sent(sandbox)


def test_the_limit_of_an_hour_stops_the_batch(sandbox, send, monkeypatch):
    sandbox.create(status="active")
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(max_campaigns_per_hour=3))
    done = send(max_workers=1, on_error="continue")
    assert isinstance(done.error, AirflowFailException)
    assert "row 3 (region='east')" in done.message
    assert len(posts(sandbox)) == 2
    rows = [*REGIONS, {"region": "west", "headline": "x"}, {"region": "centre", "headline": "x"}]
    with use_timing(Timing(window=lambda client: timedelta(seconds=0.1))):
        done = send(rows, max_workers=1, on_error="continue", try_number=2)
    assert [row["status"] for row in done.pushed["rows"]] == [*["adopted"] * 2, "failed", *["not_sent"] * 2]


def test_recipient_lists_that_are_not_allowed(sandbox, send, monkeypatch):
    other = sandbox.recipient_lists["region-north"]
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(allowed_recipient_lists=[other]))
    rows = [{**REGIONS[0], "list": other}, {**REGIONS[1], "list": sandbox.recipient_lists["staff"]}]
    done = send(rows, recipient_lists="{{ row.list }}")
    assert "1 of 2 rows are invalid" in done.message
    assert "allowed_recipient_lists" in done.message
    assert_nothing_sent(sandbox)


def test_draft_only(sandbox, send, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(draft_only=True))
    done = send(wait_for_completion=True)
    assert done.error is None
    assert done.result["campaigns"] == {"draft": 3}
    assert done.pushed["sent"] is False
    assert sandbox.executions() == []
    assert isinstance(send(on_draft_only="skip").error, AirflowSkipException)


def test_a_time_of_day_in_each_rows_zone(sandbox, send):
    sandbox.clock.set(datetime(2026, 6, 1, tzinfo=UTC))
    run = {"run_type": "manual", "run_after": datetime(2060, 6, 1, tzinfo=UTC), "start_date": None}
    rows = [
        {"region": "zh", "headline": "x", "zone": "Europe/Zurich"},
        {"region": "ny", "headline": "x", "zone": "America/New_York"},
    ]
    done = send(rows, schedule_rrule=local_time("09:00", zone_column="zone"), run=run)
    assert done.error is None, done.error
    times = {
        each["name"][-2:]: each["schedule_rrule"] for each in sandbox.campaigns() if each["name"][0] == "["
    }
    assert times == {"zh": "2060-06-01 07:00:00", "ny": "2060-06-01 13:00:00"}
    wrong = [{**rows[0], "zone": "Europe/Zurch"}]
    done = send(wrong, schedule_rrule=local_time("09:00", zone_column="zone"), run_id="another")
    assert "zone='Europe/Zurch'" in done.message


class Strange:
    """A missing value as NumPy and pandas have them, and others that are difficult to compare or to write."""

    values = (pandas.NA, pandas.NaT, numpy.float32("nan"), Decimal("NaN"), Decimal("sNaN"))
    others = (numpy.array([1, 2]), math.inf, "\ud800", {1}, b"x")


@pytest.mark.parametrize("value", Strange.values, ids=repr)
def test_missing_values_of_every_kind(sandbox, send, value):
    good = {"region": "south", "headline": "x"}
    rows = Table([{"region": "north", "headline": value}, {"region": value, "headline": "x"}, good])
    done = send(rows, on_invalid="skip")
    assert done.error is None
    assert (done.result["sent"], done.result["invalid"]) == (1, 2)
    assert [row["row"] for row in done.pushed["rows"]] == [
        {"region": "north", "headline": None},
        {"region": None, "headline": "x"},
        good,
    ]


@pytest.mark.parametrize("value", Strange.others, ids=repr)
def test_a_column_with_strange_values_does_not_matter(sandbox, send, tmp_path, value):
    path = tmp_path / "results.jsonl"
    assert send(Table([{**REGIONS[0], "what": value}]), results_path=str(path)).error is None

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(path.read_text(), parse_constant=refuse)["status"] == "sent"


# Failures


def test_a_row_that_the_server_refuses_stops_the_batch(sandbox, send):
    sandbox.fault(method="POST", path="/campaigns", status=400)
    done = send(max_workers=1)
    assert isinstance(done.error, AirflowFailException)
    assert "3 of 3 rows have failed; 0 have a campaign" in done.message
    assert "row 1 (region='north'): HTTP 400" in done.message
    assert [row["status"] for row in done.pushed["rows"]] == ["failed", "not_sent", "not_sent"]
    assert done.pushed["failed_rows"] == REGIONS
    assert len(posts(sandbox)) == 1


def test_the_others_are_sent_if_asked_to(sandbox, send):
    sandbox.fault(method="POST", path="/campaigns", status=400)
    done = send(max_workers=1, on_error="continue")
    assert isinstance(done.error, AirflowFailException)
    assert [row["status"] for row in done.pushed["rows"]] == ["failed", "sent", "sent"]
    assert done.pushed["failed_rows"] == REGIONS[:1]
    # Cleared, the task sends what is missing, once nothing can be in flight.
    with use_timing(Timing(window=lambda client: timedelta(seconds=0.1))):
        assert send(try_number=2).error is None
    assert created(sandbox) == TEXTS


def test_failed_rows_are_tolerated_up_to_a_number(sandbox, send):
    sandbox.fault(method="POST", path="/campaigns", status=400)
    done = send(max_workers=1, max_failures=1)
    assert done.error is None
    assert (done.result["sent"], done.result["failed"]) == (2, 1)


@pytest.mark.parametrize("status", [401, 403])
def test_what_concerns_all_rows_stops_the_batch(sandbox, send, status):
    sandbox.fault(method="POST", path="/campaigns", status=status, times=None)
    done = send(max_workers=1, on_error="continue")
    assert done.error is not None
    assert done.result is None
    assert [row["status"] for row in done.pushed["rows"]] == ["failed", "not_sent", "not_sent"]


def test_a_rate_limit_pauses_all(sandbox, send):
    rows = [{"region": number, "headline": "x"} for number in range(20)]
    sandbox.fault(method="POST", path="/campaigns", nth=3, times=1, status=429, headers={"Retry-After": "1"})
    done = send(rows)
    assert done.error is None
    assert done.result["sent"] == 20
    assert len(created(sandbox)) == 20
    assert len(posts(sandbox)) == 21


def test_a_server_that_makes_drafts_stops_the_batch(sandbox, send):
    sandbox.fault(method="POST", path="/campaigns", times=None, change_request={"status": "draft"})
    done = send(max_workers=1, on_error="continue")
    assert "though an active campaign was requested. Nothing was sent" in done.message
    assert len(posts(sandbox)) == 1


# Results


def test_results_in_a_file(sandbox, send, tmp_path):
    path = tmp_path / "out" / "results.jsonl"
    done = send(results_path=str(path))
    assert "rows" not in done.pushed
    assert done.result["results_path"].endswith("/out/results.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["row"] for line in lines] == REGIONS
    assert {line["status"] for line in lines} == {"sent"}


def test_failed_rows_can_be_sent_by_another_task(sandbox, send):
    sandbox.fault(method="POST", path="/campaigns", status=400)
    failed = send(max_workers=1).pushed["failed_rows"]
    assert send(failed, run_id="another").error is None
    assert created(sandbox) == TEXTS


# Waiting


def test_wait_until_all_have_finished(sandbox, send):
    sandbox.execution_seconds = 0.5
    done = send(wait_for_completion=True, deferrable=False, poke_interval=0.2)
    assert done.error is None
    assert done.result["campaigns"] == {"finished": 3}
    assert {row["campaign_status"] for row in done.pushed["rows"]} == {"finished"}


def test_a_campaign_that_is_stopped_fails_the_wait_in_the_end(sandbox, send, monkeypatch):
    sandbox.execution_seconds = 0.5
    sandbox.clock.freeze()
    stopped = []

    def poll_interval_passes(_):
        if not stopped:
            uuid = next(each["uuid"] for each in sandbox.campaigns(status="active"))
            BMHook().set_campaign_status(uuid, "stopped")
            stopped.append(uuid)
        sandbox.clock.advance(10)

    monkeypatch.setattr("airflow_provider_bm.operators.batch.time.sleep", poll_interval_passes)
    done = send(wait_for_completion=True, deferrable=False, poke_interval=0.2)
    assert isinstance(done.error, AirflowFailException)
    assert "1 of 3 campaigns did not finish" in done.message
    assert stopped[0] in done.message


class Deferred(Exception):  # noqa: N818 - not an error
    """Raised instead of Airflow's TaskDeferred, which is not an Exception."""


@pytest.fixture
def defer(monkeypatch):
    """Tasks that are deferred raise Deferred."""

    def defer(self, **arguments):
        raise Deferred(arguments)

    monkeypatch.setattr(BMCampaignBatchOperator, "defer", defer)


def resumed(deferred):
    """Return the context of a task that resumes after it was deferred."""
    ti = SimpleNamespace(
        **TI,
        xcom_pull=lambda key, **_: deferred.pushed.get(key),
        xcom_push=lambda key, value: deferred.pushed.update({key: value}),
    )
    return {"ti": ti, "dag_run": SimpleNamespace()}


@pytest.mark.usefixtures("defer")
def test_wait_in_the_triggerer(sandbox, send):
    deferred = send(wait_for_completion=True, deferrable=True)
    (arguments,) = deferred.error.args
    assert arguments["method_name"] == "execute_complete"
    uuids = [row["uuid"] for row in deferred.pushed["rows"]]
    assert unpack_uuids(arguments["trigger"].campaigns) == uuids
    sandbox.clock.advance(60)
    context = resumed(deferred)
    counts = deferred.task.execute_complete(context, {"state": "done", "reason": "3 campaigns have finished"})
    assert counts["campaigns"] == {"finished": 3}
    assert {row["campaign_status"] for row in deferred.pushed["rows"]} == {"finished"}
    with pytest.raises(AirflowFailException, match="one was stopped"):
        deferred.task.execute_complete(context, {"state": "failed", "reason": "one was stopped"})


@pytest.mark.usefixtures("defer")
@pytest.mark.parametrize("where", ["too large for XCom", "on another machine"])
def test_results_that_are_gone_after_the_wait(sandbox, send, tmp_path, monkeypatch, where):
    path = tmp_path / "results.jsonl"
    monkeypatch.setattr("airflow_provider_bm.operators.batch.MAX_XCOM", 10)
    arguments = {"results_path": str(path)} if where == "on another machine" else {}
    deferred = send(wait_for_completion=True, deferrable=True, **arguments)
    path.unlink(missing_ok=True)
    sandbox.clock.advance(60)
    counts = deferred.task.execute_complete(resumed(deferred), {"state": "done", "reason": ""})
    assert (counts["rows"], counts["sent"], counts["campaigns"]) == (3, 3, {"finished": 3})
    assert deferred.pushed["sent"] is True


@pytest.mark.usefixtures("defer")
def test_the_file_of_results_is_updated_after_the_wait(sandbox, send, tmp_path):
    path = tmp_path / "results.jsonl"
    deferred = send(wait_for_completion=True, deferrable=True, results_path=str(path))
    assert [json.loads(line)["campaign_status"] for line in path.read_text().splitlines()] == ["active"] * 3
    sandbox.clock.advance(60)
    counts = deferred.task.execute_complete(resumed(deferred), {"state": "done", "reason": ""})
    assert counts["campaigns"] == {"finished": 3}
    assert [json.loads(line)["campaign_status"] for line in path.read_text().splitlines()] == ["finished"] * 3


def test_a_killed_task_sends_nothing_more(sandbox, draft, execute, monkeypatch):
    """Airflow calls on_kill in the main thread, and may continue after it."""
    rows = [{"region": number, "headline": "x"} for number in range(30)]
    posted = BMClient.post_campaign

    def kill_after_a_few(client, payload):
        if len(posts(sandbox)) == 5:
            tasks[0].on_kill()
        return posted(client, payload)

    def batch(**arguments):
        tasks.append(BMCampaignBatchOperator(**arguments))
        return tasks[0]

    tasks = []
    monkeypatch.setattr(BMClient, "post_campaign", kill_after_a_few)
    result = execute(batch, rows=rows, key="region", clone_uuid=draft["uuid"], max_workers=1)
    assert "24 of 30 rows have failed; 6 have a campaign" in result.message
    assert len(posts(sandbox)) == 6
