"""Rendered values that would be sent as nonsense: missing values, floats, collections, leftover Jinja."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy
import pandas
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_bm.campaigns import SegmentationQuery
from airflow_provider_bm.operators import BMCloneCampaignOperator, BMCreateCampaignOperator
from airflow_provider_bm.operators.templating import BMTemplating

NATIVE = pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
MISSING = [None, float("nan"), numpy.nan, numpy.float32("nan"), Decimal("NaN"), pandas.NaT, pandas.NA]
MISSING += ["None", "nan", "NaN", "NaT", "<NA>", " nan "]


@pytest.fixture
def sms(sandbox):
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Stay at home.",
        "sender": "+41587000000",
        "recipient_lists": sandbox.recipient_lists["staff"],
    }


@pytest.fixture
def draft(sandbox, sms):
    return sandbox.create(status="draft", **{**sms, "template": "{temp} today"})


def sent(sandbox):
    return [each["body"] for each in sandbox.requests(method="POST", path="/campaigns")]


@NATIVE
@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize(
    "template", ["It is {{ ti.xcom_pull('read') }} degrees", "{{ ti.xcom_pull('read') }}"]
)
def test_missing_value_in_a_template_is_refused(sandbox, execute, sms, native, value, template):
    done = execute(
        BMCreateCampaignOperator, xcoms={"read": value}, native=native, **{**sms, "template": template}
    )
    assert isinstance(done.error, AirflowFailException)
    assert "there is no value" in done.message
    assert sent(sandbox) == []


@NATIVE
@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("how", ["expression", "middle", "value"])
def test_missing_value_in_template_vars_is_refused(sandbox, execute, draft, native, value, how):
    text = {
        "expression": "{{ ti.xcom_pull('read') }}",
        "middle": "{{ ti.xcom_pull('read') }} C",
        "value": value,
    }
    done = execute(
        BMCloneCampaignOperator,
        xcoms={"read": value},
        native=native,
        clone_uuid=draft["uuid"],
        template_vars={"temp": text[how]},
    )
    assert isinstance(done.error, AirflowFailException)
    assert sent(sandbox) == []


@NATIVE
def test_undefined_name_in_a_template_is_refused(sandbox, execute, sms, native):
    done = execute(BMCreateCampaignOperator, native=native, **{**sms, "template": "Hello {{ nobody }}"})
    assert "there is no value" in done.message
    assert sent(sandbox) == []


@NATIVE
@pytest.mark.parametrize("field", ["webpush_target_url", "sender", "name", "schedule_rrule"])
def test_missing_value_in_other_fields_is_refused(sandbox, execute, sms, native, field):
    done = execute(BMCreateCampaignOperator, native=native, **{**sms, field: "x/{{ ti.xcom_pull('read') }}"})
    assert "there is no value" in done.message
    assert sent(sandbox) == []


def test_missing_value_in_a_json_template_is_refused(sandbox, execute, sms):
    template = {"text": {"body": "It is {{ ti.xcom_pull('read') }} degrees"}}
    done = execute(BMCreateCampaignOperator, **{**sms, "sending_type": "whatsapp", "template": template})
    assert "there is no value" in done.message
    assert sent(sandbox) == []


JSON_TEMPLATE = '{"text": "{{ ti.xcom_pull(\'read\') }}", "n": 1}'


@NATIVE
@pytest.mark.parametrize(
    "value", ['Big "sale"', 'x", "image": "https://evil.example', "two\nlines", "C:\\new"]
)
def test_a_value_that_would_change_the_json_around_it_is_refused(sandbox, execute, sms, native, value):
    arguments = {**sms, "sending_type": "whatsapp", "template": JSON_TEMPLATE}
    done = execute(BMCreateCampaignOperator, xcoms={"read": value}, native=native, **arguments)
    assert isinstance(done.error, AirflowFailException)
    assert "would change the JSON around it: write {{ … | tojson }}, without quotation marks" in done.message
    assert sent(sandbox) == []
    arguments["template"] = (
        JSON_TEMPLATE.replace(" }}", " | tojson }}").replace('"{{', "{{").replace('}}"', "}}")
    )
    assert execute(BMCreateCampaignOperator, xcoms={"read": value}, native=native, **arguments).error is None
    (campaign,) = sent(sandbox)
    assert json.loads(campaign["template"]) == {"text": value, "n": 1}


def test_quotation_marks_in_a_text_that_starts_with_a_variable(sandbox, execute, sms):
    arguments = {**sms, "template": "{first_name}, read {{ ti.xcom_pull('read') }}"}
    assert execute(BMCreateCampaignOperator, xcoms={"read": '"News"'}, **arguments).error is None
    assert [each["template"] for each in sent(sandbox)] == ['{first_name}, read "News"']


@NATIVE
@pytest.mark.parametrize("value", [{"temp": 1}, [1, 2], (1,), {1}, numpy.array([1, 2]), b"1"], ids=repr)
def test_collection_within_a_text_is_refused(sandbox, execute, sms, native, value):
    done = execute(
        BMCreateCampaignOperator,
        xcoms={"read": value},
        native=native,
        **{**sms, "template": "It is {{ ti.xcom_pull('read') }} degrees"},
    )
    assert "has no readable form" in done.message
    assert sent(sandbox) == []


@NATIVE
@pytest.mark.parametrize("text", ["Sale until {{ ds }}", "{% if x %}Sale{% endif %}", "{{ds}}"])
def test_jinja_in_the_value_of_a_variable_is_refused(sandbox, execute, sms, native, text):
    for template in ("{{ var.value.text }}", "Hello! {{ var.value.text }}"):
        done = execute(
            BMCreateCampaignOperator, variables={"text": text}, native=native, **{**sms, "template": template}
        )
        assert "a template that Airflow does not render" in done.message
    assert sent(sandbox) == []


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("None of our shops opens today", "None of our shops opens today"),
        ("{% raw %}Code {{1}}, {{ name }}{% endraw %}", "Code {{1}}, {{ name }}"),
        ("{{ var.value.whatsapp }}", "Hello {{1}}"),
        ("Hello!{# to do: a better text #}", "Hello!"),
        ("p{#main}", "p{#main}"),
        ("It is {{ 21 }} degrees, {{ 1.5 }} m", "It is 21 degrees, 1.5 m"),
        ("{{ '+41' }} {{ '1_000' }}", "+41 1_000"),
    ],
)
@NATIVE
def test_text_that_is_sent_unchanged(sandbox, execute, sms, native, template, text):
    done = execute(
        BMCreateCampaignOperator,
        variables={"whatsapp": "Hello {{1}}"},
        native=native,
        **{**sms, "template": template},
    )
    assert done.error is None
    assert sent(sandbox)[0]["template"] == text


@NATIVE
@pytest.mark.parametrize("value", [0.1 + 0.2, 1e20, 1e-7, numpy.float64(1 / 3)], ids=repr)
def test_float_with_many_digits_needs_float_format(sandbox, execute, sms, native, value):
    arguments = {**sms, "template": "{{ ti.xcom_pull('read') }} m"}
    done = execute(BMCreateCampaignOperator, xcoms={"read": value}, native=native, **arguments)
    assert "float_format" in done.message
    assert sent(sandbox) == []
    done = execute(
        BMCreateCampaignOperator, xcoms={"read": value}, native=native, float_format=".1f", **arguments
    )
    assert sent(sandbox)[0]["template"] == f"{float(value):.1f} m"


@NATIVE
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (numpy.int64(7), "7"),
        (numpy.float32(0.5), "0.5"),
        (Decimal("1.50"), "1.50"),
        (7, "7"),
        (-0.25, "-0.25"),
    ],
    ids=repr,
)
def test_numbers_in_template_vars_are_sent_as_text(sandbox, execute, draft, native, value, text):
    for template_vars in ({"temp": value}, {"temp": "{{ ti.xcom_pull('read') }}"}):
        done = execute(
            BMCloneCampaignOperator,
            xcoms={"read": value},
            native=native,
            run_id=str(template_vars),
            clone_uuid=draft["uuid"],
            template_vars=template_vars,
        )
        assert done.error is None
        assert sent(sandbox)[-1]["template_vars"] == {"temp": text}


def test_float_format_applies_to_template_vars(sandbox, execute, draft):
    arguments = {"clone_uuid": draft["uuid"], "template_vars": {"temp": 1 / 3}}
    assert "float_format" in execute(BMCloneCampaignOperator, **arguments).message
    execute(BMCloneCampaignOperator, float_format=".2f", **arguments)
    assert sent(sandbox)[0]["template_vars"] == {"temp": "0.33"}


@NATIVE
@pytest.mark.parametrize("sender", [41587000000, "{{ ti.xcom_pull('read') }}"])
def test_sender_that_is_a_number_is_refused(sandbox, execute, sms, native, sender):
    done = execute(
        BMCreateCampaignOperator, xcoms={"read": 41587000000}, native=native, **{**sms, "sender": sender}
    )
    assert "sender=" in done.message
    assert "'+41587000000'" in done.message or "'41587000000'" in done.message
    assert sent(sandbox) == []


@NATIVE
@pytest.mark.parametrize("field", ["query", "schedule_rrule", "recipient_lists", "service_uuid"])
def test_argument_that_renders_to_none_is_refused(sandbox, execute, sms, native, field):
    """Without its query a campaign would message the whole list; without its schedule, at once."""
    done = execute(BMCreateCampaignOperator, native=native, **{**sms, field: "{{ ti.xcom_pull('read') }}"})
    assert isinstance(done.error, AirflowFailException)
    assert sent(sandbox) == []


def test_rendering_that_bypasses_the_checks_is_refused(sandbox, execute, sms, monkeypatch):
    """Simulates a future Airflow that renders through another method."""
    monkeypatch.delattr(BMTemplating, "render_template")
    done = execute(BMCreateCampaignOperator, **{**sms, "template": "It is {{ ds }}"})
    assert "was not rendered with the checks of this provider" in done.message
    assert sent(sandbox) == []


def test_unrendered_template_is_refused(sandbox, sms):
    task = BMCreateCampaignOperator(task_id="send", **{**sms, "query": "{{ nothing }}"})
    with pytest.raises(AirflowFailException, match=r"query=.* was not rendered"):
        task.execute({})
    assert sent(sandbox) == []


def test_expressions_in_a_segmentation_query_are_rendered(sandbox, execute, sms):
    query = SegmentationQuery.where(city="{{ ti.xcom_pull('read') }}").and_not(region__in=["{{ ds }}"])
    done = execute(BMCreateCampaignOperator, query=query, xcoms={"read": "Bern"}, **sms)
    assert done.error is None
    (body,) = sent(sandbox)
    assert body["query"] == SegmentationQuery.where(city="Bern").and_not(region__in=["2026-01-05"]).to_json()


def test_missing_value_in_a_segmentation_query_is_refused(sandbox, execute, sms):
    query = SegmentationQuery.where(city="{{ ti.xcom_pull('read') }}")
    done = execute(BMCreateCampaignOperator, query=query, xcoms={"read": None}, **sms)
    assert "there is no value" in done.message
    assert sent(sandbox) == []


def test_unrendered_segmentation_query_is_refused(sandbox, sms):
    task = BMCreateCampaignOperator(task_id="send", query=SegmentationQuery.where(city="{{ ds }}"), **sms)
    with pytest.raises(AirflowFailException, match="was not rendered"):
        task.execute({"ti": None})
    assert sandbox.requests() == []


class PrintsNone:
    """A value that is missing in a library that this package does not know, such as a PyArrow scalar."""

    def __str__(self):
        return "None"


@NATIVE
def test_object_that_prints_a_missing_value_is_refused(sandbox, execute, sms, native):
    template = "It is {{ ti.xcom_pull('read') }} degrees"
    done = execute(
        BMCreateCampaignOperator, native=native, xcoms={"read": PrintsNone()}, **{**sms, "template": template}
    )
    assert "there is no value" in done.message
    assert sent(sandbox) == []


def test_jinja_in_a_key_of_a_json_template_is_refused(sandbox, execute, sms):
    """Airflow renders values only."""
    message = {**sms, "sending_type": "telegram", "template": {"text": "Hello.", "{{ ds }}": "x"}}
    done = execute(BMCreateCampaignOperator, **message)
    assert "was not rendered" in done.message
    done = execute(
        BMCreateCampaignOperator,
        native=True,
        xcoms={"read": message["template"]},
        **{**message, "template": "{{ ti.xcom_pull('read') }}"},
    )
    assert "would be sent unrendered" in done.message
    assert sent(sandbox) == []


@pytest.mark.parametrize("template", [{"text": "nan"}, {"body": [{"text": " None "}]}, '{"text": "<NA>"}'])
def test_missing_value_that_became_text_in_a_json_template_is_refused(sandbox, execute, sms, template):
    """As of a data frame that was converted to text."""
    message = {**sms, "sending_type": "telegram", "template": template}
    done = execute(BMCreateCampaignOperator, **message)
    assert "is a missing value" in done.message
    assert sent(sandbox) == []
