"""Reports of sent campaigns: the file of their messages, and the number of messages."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_bm.operators import BMCampaignReportOperator, BMGetCampaignOperator
from airflow_provider_bm.operators.report import phone_number_hasher


@pytest.fixture
def finished(sandbox):
    campaign = sandbox.create(
        name="Storm", status="active", recipient_lists=sandbox.recipient_lists["staff"], sender="+41587000000"
    )
    sandbox.clock.advance(3600)
    return campaign["uuid"]


@pytest.fixture
def without_messages(sandbox):
    empty = sandbox.add_recipient_list("nobody", [])
    campaign = sandbox.create(name="Storm", status="active", recipient_lists=empty)
    sandbox.clock.advance(3600)
    return campaign["uuid"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reports" / "storm.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_report_writes_a_file_and_returns_its_manifest(sandbox, execute, finished, path):
    done = execute(BMCampaignReportOperator, campaign_uuid=finished, path=f"file://{path}")
    assert done.error is None
    sent = len(sandbox.messages(campaign_uuid=finished))
    rows = lines(path)
    assert sum(row["field"] == "messages" for row in rows) == sent > 10
    assert done.result == {
        "campaign_uuid": finished,
        "status": "finished",
        "executed_at": done.result["executed_at"],
        "count": len(rows),
        "messages": sent,
        "tasks": len(rows) - sent,
        "path": f"file://{path}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", done.result["executed_at"])
    assert done.pushed["messages"] == sent


def test_rows_are_unchanged_without_hashing(sandbox, execute, finished, path):
    execute(BMCampaignReportOperator, campaign_uuid=finished, path=f"file://{path}", hash_phone_numbers=False)
    campaign = execute(BMGetCampaignOperator, campaign_uuid=finished, fields=["tasks", "messages"]).result
    rows = lines(path)
    assert [each["row"] for each in rows if each["field"] == "messages"] == campaign["messages"]
    assert [each["row"] for each in rows if each["field"] == "tasks"] == campaign["tasks"]


def test_phone_numbers_are_hashed(sandbox, execute, finished, path):
    for _ in range(2):
        execute(BMCampaignReportOperator, campaign_uuid=finished, path=f"file://{path}")
    numbers = {message["to"] for message in sandbox.messages(campaign_uuid=finished)}
    text = path.read_text()
    assert not [number for number in numbers if number in text or number.lstrip("+") in text]
    assert len(set(re.findall(r"phone:[0-9a-f]{32}", text))) >= len(numbers) > 10


@pytest.mark.parametrize(
    "number", ["+41587000001", "41587000001", "+41 58 700 00 01", "+41 (58) 700-00-01", 41587000001]
)
def test_all_notations_of_a_phone_number_have_the_same_hash(number):
    redact = phone_number_hasher("secret")
    assert redact({"to": [number]}) == {"to": [redact("+41587000001")]}
    assert redact("+41587000001") != phone_number_hasher("other")("+41587000001")


@pytest.mark.parametrize(
    "value",
    [
        *("2026-01-31", "2026-01-31T08:00:00+00:00", "6eb36e51-19f9-4f55-91e0-c6e91ee35b6b", "Storm at 8"),
        *(12, 1.5, None, True),
    ],
)
def test_values_that_are_not_phone_numbers_are_not_hashed(value):
    assert phone_number_hasher("secret")(value) == value


def test_phone_number_within_a_text_is_hashed():
    assert "+41587000001" not in phone_number_hasher("secret")("Call +41587000001, or come by")


def test_report_of_an_unfinished_campaign_logs_a_warning(sandbox, execute, path, caplog):
    campaign = sandbox.create(name="Storm", status="draft")
    done = execute(
        BMCampaignReportOperator, campaign_uuid=campaign["uuid"], path=f"file://{path}", on_empty="warn"
    )
    assert done.result["executed_at"] is None
    assert done.result["status"] == "draft"
    assert "'Storm' is draft: the report may be incomplete" in caplog.text


@pytest.mark.parametrize("operator", [BMCampaignReportOperator, BMGetCampaignOperator])
@pytest.mark.parametrize(
    ("on_empty", "error"),
    [("warn", type(None)), ("fail", AirflowFailException), ("skip", AirflowSkipException)],
)
def test_on_empty_decides_how_a_task_without_messages_ends(
    execute, without_messages, path, caplog, operator, on_empty, error
):
    own = {"path": f"file://{path}"} if operator is BMCampaignReportOperator else {"fields": "messages"}
    done = execute(operator, campaign_uuid=without_messages, on_empty=on_empty, **own)
    assert type(done.error) is error
    assert done.pushed["messages"] == 0
    assert "sent no messages" in caplog.text + done.message


def test_get_pushes_the_number_of_messages(sandbox, execute, finished, caplog):
    done = execute(BMGetCampaignOperator, campaign_uuid=finished, fields=["messages"])
    count = len(sandbox.messages(campaign_uuid=finished))
    assert done.pushed["messages"] == count
    assert f"'Storm': {count} messages" in caplog.text


def test_get_without_messages_pushes_no_count(execute, finished):
    assert "messages" not in execute(BMGetCampaignOperator, campaign_uuid=finished).pushed


def test_invalid_on_empty_fails(execute, finished):
    done = execute(BMGetCampaignOperator, campaign_uuid=finished, on_empty="shrug")
    assert "on_empty='shrug': must be one of warn, fail, skip" in done.message
