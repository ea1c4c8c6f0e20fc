"""Templates: every data argument, native rendering, mapped tasks, and JSON files."""

from __future__ import annotations

import inspect
import json

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bm import operators
from airflow_provider_bm.operators import BMCloneCampaignOperator, BMCreateCampaignOperator
from airflow_provider_bm.sensors import BMCampaignSensor

START = pendulum.datetime(2026, 1, 1)
QUERY = {
    "segmentation": [
        {
            "operator": "OR",
            "rules": [{"field": "city", "condition": "neq", "value": "Nowhere", "operator": "AND"}],
        }
    ]
}
#: Arguments that are not templated, since they say how to send or wait, not what to send.
NOT_DATA = {
    *("wait_for_completion", "deferrable", "poke_interval", "timeout", "stop_on_kill", "deduplicate"),
    *("staged", "replace", "missing_ok", "args", "kwargs", "self"),
    *("float_format", "on_stale", "send_window", "allow_immediate", "allow_second_execution"),
    *("on_unknown_variable", "on_draft_only", "end_from_trigger", "start_from_trigger", "on_empty"),
    *("tz", "response_timeout", "on_reject", "assigned_users", "notifiers"),
    "hash_phone_numbers",
    *(
        "key",
        "max_campaigns",
        "expected_rows",
        "on_invalid",
        "on_removed_rows",
        "on_error",
        "max_failures",
        "max_workers",
    ),
}


def make_dag(name: str, **kwargs: object) -> DAG:
    return DAG(dag_id=f"template_{name}", schedule=None, start_date=START, **kwargs)


def sms(sandbox, **kwargs):
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Stay at home.",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
        **kwargs,
    }


def posted(sandbox) -> list[dict]:
    return [each["body"] for each in sandbox.requests(method="POST", path="/campaigns")]


@pytest.mark.parametrize("cls", [*(getattr(operators, name) for name in operators.__all__), BMCampaignSensor])
def test_every_data_argument_is_a_template_field(cls):
    arguments = {
        name
        for each in cls.__mro__
        if each.__module__.startswith("airflow_provider_bm")
        for name in inspect.signature(each.__init__).parameters
    }
    assert arguments - NOT_DATA == set(cls.template_fields)


@pytest.mark.parametrize("native", [False, True])
def test_text_that_looks_like_a_number_is_sent_as_text(sandbox, run_dag, native):
    params = {"price": "1.50", "lists": sandbox.recipient_lists["staff"]}
    with make_dag(f"text_{native}", render_template_as_native_obj=native, params=params) as dag:
        send = BMCreateCampaignOperator(
            task_id="send",
            **sms(
                sandbox,
                name="{{ 2026 }}",
                template="{{ params.price }} {{ '1_000' }}",
                sender="{{ '+41587000000' }}",
                recipient_lists="{{ params.lists }}",
                status="draft",
            ),
        )
        BMCloneCampaignOperator(
            task_id="clone",
            clone_uuid=send.output,
            template_vars={"temp": "{{ '007' }}", "wind": "1.50"},
            on_unknown_variable="warn",
            status="draft",
        )
    run_dag(dag, expect="success")
    create, clone = posted(sandbox)
    assert create["name"].endswith("] 2026")
    assert (create["template"], create["sender"]) == ("1.50 1_000", "+41587000000")
    assert create["recipient_lists"] == sandbox.recipient_lists["staff"]
    assert clone["template_vars"] == {"temp": "007", "wind": "1.50"}
    assert all(isinstance(value, str) for key, value in clone.items() if key != "template_vars")


@pytest.mark.parametrize("native", [False, True])
def test_rendered_lists_and_dicts_are_sent_as_such(sandbox, run_dag, native):
    lists = [sandbox.recipient_lists["staff"], sandbox.recipient_lists["customers"]]
    with make_dag(f"objects_{native}", render_template_as_native_obj=native) as dag:

        @task(multiple_outputs=True)
        def data():
            return {"lists": lists, "query": QUERY, "vars": {"temp": "-22C"}}

        values = data()
        send = BMCreateCampaignOperator(
            task_id="send",
            **sms(
                sandbox,
                recipient_lists="{{ ti.xcom_pull('data')['lists'] }}" if native else values["lists"],
                query="{{ ti.xcom_pull('data')['query'] }}" if native else values["query"],
                status="draft",
            ),
        )
        values >> send
    run_dag(dag, expect="success")
    (create,) = posted(sandbox)
    assert create["recipient_lists"] == ",".join(lists)
    assert create["query_type"] == "segmentation"
    assert json.loads(create["query"]) == QUERY


def test_error_for_a_list_rendered_as_text_names_native_rendering(sandbox, run_dag):
    with make_dag("list_as_text") as dag:
        lists = "{{ ['a', 'b'] }}"
        BMCreateCampaignOperator(task_id="send", **sms(sandbox, recipient_lists=lists))
    run = run_dag(dag, expect="failed")
    assert "render_template_as_native_obj" in run.logs("send")
    assert sandbox.requests() == []


def test_variable_of_bm_in_double_braces_is_explained(sandbox, execute):
    done = execute(BMCreateCampaignOperator, **sms(sandbox, template="Hello {{ first_name }}"))
    assert "If BM should fill it for each contact, write {first_name} with single braces" in done.message
    assert sandbox.executions() == []


@pytest.mark.parametrize("native", [False, True])
def test_query_that_renders_to_none_fails_the_task(sandbox, run_dag, native):
    with make_dag(f"nothing_{native}", render_template_as_native_obj=native) as dag:
        BMCreateCampaignOperator(task_id="send", **sms(sandbox, query="{{ ti.xcom_pull('no_such_task') }}"))
    run = run_dag(dag, expect="failed")
    assert "query" in run.logs("send")
    assert sandbox.requests() == []


def test_schedule_from_a_task_that_returned_none_fails_the_task(sandbox, run_dag):
    with make_dag("nothing_output") as dag:

        @task
        def when():
            return None

        BMCreateCampaignOperator(task_id="send", **sms(sandbox, schedule_rrule=when()))
    run = run_dag(dag, expect="failed")
    assert sandbox.requests() == []
    assert run.task_states["send"] in ("failed", "upstream_failed")


def test_mapped_tasks_have_their_own_arguments_and_keys(sandbox, run_dag):
    draft = sandbox.create(template="{greeting} from {region}", status="draft")
    with make_dag("mapped", render_template_as_native_obj=True) as dag:
        BMCloneCampaignOperator.partial(
            task_id="expand", clone_uuid=draft["uuid"], sender="+41587000000", status="draft"
        ).expand(template_vars=[{"greeting": "Hi", "region": "1.50"}, {"greeting": "Hello", "region": "007"}])
        BMCloneCampaignOperator.partial(
            task_id="expand_kwargs", clone_uuid=draft["uuid"], status="draft"
        ).expand_kwargs(
            [{"name": "North", "sender": "+41580000001"}, {"name": "South", "sender": "+41580000002"}]
        )
    run = run_dag(dag, expect="success")
    bodies = posted(sandbox)
    assert sorted(body["template_vars"]["region"] for body in bodies if "template_vars" in body) == [
        "007",
        "1.50",
    ]
    named = {
        body["name"].partition("] ")[2]: body["sender"]
        for body in bodies
        if body["name"][-5:] in ("North", "South")
    }
    assert named == {"North": "+41580000001", "South": "+41580000002"}
    # Each has its own key, although task and run are the same.
    assert len({body["name"] for body in bodies}) == 4
    assert run.xcom("expand", map_index=0) != run.xcom("expand", map_index=1)


def test_unrendered_template_in_a_mapped_value_is_refused(sandbox, run_dag):
    """Airflow does not render values that are mapped from another task."""
    with make_dag("mapped_raw") as dag:
        arguments = sms(sandbox)
        del arguments["template"]

        @task
        def texts():
            return ["It is {{ ds }}."]

        BMCreateCampaignOperator.partial(task_id="send", **arguments).expand(template=texts())
    run = run_dag(dag, expect="failed")
    assert "{{ ds }}" in run.logs("send", map_index=0)
    assert sandbox.requests() == []


@pytest.mark.parametrize("field", ["query", "schedule_rrule"])
def test_a_mapped_none_is_not_an_argument_left_out(sandbox, run_dag, field):
    """Without its query, the whole list would be messaged; without its schedule, at once."""
    with make_dag(f"mapped_none_{field}") as dag:
        arguments = {name: value for name, value in sms(sandbox).items() if name != field}
        BMCreateCampaignOperator.partial(task_id="send", **arguments).expand(**{field: [None]})
    run = run_dag(dag, expect="failed")
    assert f"{field} is None in the mapped task instance 0" in run.logs("send", map_index=0)
    assert sandbox.requests() == []


def test_json_files_are_rendered_as_templates(sandbox, run_dag, tmp_path):
    (tmp_path / "query.json").write_text(json.dumps(QUERY).replace("Nowhere", "{{ params.city }}"))
    (tmp_path / "mail.json").write_text('{"subject": "{{ ds }}", "text": "Hello {first_name}"}')
    with make_dag("files", template_searchpath=str(tmp_path), params={"city": "Bern"}) as dag:
        BMCreateCampaignOperator(
            task_id="send",
            **sms(
                sandbox,
                sending_type="email",
                sender="news@example.com",
                template="mail.json",
                query="query.json",
                webpush_target_url="https://example.com/feed.json",
                status="draft",
            ),
        )
    run = run_dag(dag, logical_date=pendulum.datetime(2026, 2, 3), expect="success")
    (body,) = posted(sandbox)
    assert json.loads(body["query"])["segmentation"][0]["rules"][0]["value"] == "Bern"
    assert json.loads(body["template"])["subject"] == "2026-02-03"
    assert body["webpush_target_url"] == "https://example.com/feed.json"
    assert run.xcom("send") == sandbox.campaigns()[0]["uuid"]


def test_missing_template_file_fails_the_task(sandbox, run_dag, tmp_path):
    with make_dag("no_file", template_searchpath=str(tmp_path)) as dag:
        BMCreateCampaignOperator(task_id="send", **sms(sandbox, template="nowhere.json"))
    run = run_dag(dag, expect="failed")
    assert "nowhere.json" in run.logs("send")
    assert sandbox.requests() == []


@pytest.mark.parametrize("rrule", ["{{ data_interval_end }}", "{{ data_interval_end.isoformat() }}"])
def test_rendered_datetime_is_sent_in_utc(sandbox, run_dag, rrule):
    with make_dag(f"times_{len(rrule)}") as dag:
        BMCreateCampaignOperator(task_id="send", **sms(sandbox, schedule_rrule=rrule, status="draft"))
    run_dag(dag, logical_date=pendulum.datetime(2026, 2, 3, 12, tz="Europe/Zurich"), expect="success")
    (body,) = posted(sandbox)
    assert (body["schedule_type"], body["schedule_rrule"]) == ("once", "2026-02-03 11:00:00")
