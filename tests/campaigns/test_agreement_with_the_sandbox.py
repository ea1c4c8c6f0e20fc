"""The sandbox accepts what the models accept. Payloads that only the sandbox accepts are listed here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_bm.campaigns import CampaignCreate
from airflow_provider_bm.exceptions import BMPayloadError
from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.validation import new_campaign
from tests.campaigns.samples import LIST_A, required

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Parts of the messages for problems that the sandbox, as a lenient server, accepts.
STRICTER: Final = (
    "must not be empty",
    "must contain at least one contact list",
    "must be an array of strings",
    "must be empty, since the server may ignore it",
    "is a missing value",
    "control character",
    "half of a surrogate pair",
    "an extra semicolon",
    "UNTIL is in UTC, but DTSTART has no time zone",
    "contradicts query",
)

rules = st.fixed_dictionaries(
    {
        "field": st.sampled_from(["city", "birthday", "mobile", "town"]),
        "condition": st.sampled_from(["eq", "neq", "in", "isnull", "ann_in_days", "startswith", "is"]),
        "value": st.sampled_from(["Bern", "", ["a", "b"], [], "7", "-1", 5, None, "false", "nan"]),
        "operator": st.sampled_from(["AND", "OR"]),
    }
)
groups = st.fixed_dictionaries(
    {"operator": st.sampled_from(["OR", "AND NOT", "AND"]), "rules": st.lists(rules, max_size=2)}
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Storm", " ", "a\nb", "\x00", "\ud83d", "", "nan"]),
        "status": st.sampled_from(["active", "draft", "finished"]),
        "sending_type": st.sampled_from(["sms", "email", "webpush", "SMS"]),
        "schedule_type": st.sampled_from(["now", "once", "scheduled"]),
        "schedule_rrule": st.sampled_from(
            [
                "2027-01-01 00:00:00",
                "2027-13-01 00:00:00",
                "FREQ=DAILY;BYHOUR=8",
                "FREQ=DAILY;",
                "FREQ=DAILY;BYMONTHDAY=0",
                "FREQ=DAILY;BYHOUR=24",
                "FREQ=DAILY;BYHOUR=8;BYHOUR=9",
                "FREQ=DAILY\nFREQ=DAILY",
                "DTSTART:20260401T080000Z\nRRULE:FREQ=DAILY;BYSETPOS=1;BYHOUR=8,9",
                "DTSTART:20260401T080000\nRRULE:FREQ=DAILY;UNTIL=20270101T000000Z",
            ]
        ),
        "template": st.sampled_from(
            ["Hi", "{}", '{"a":1}', '{"a":1,"a":2}', " ", '{"a":NaN}', '{"a":"\\ud83d"}']
        ),
        "sender": st.sampled_from(["+41", ""]),
        "recipient_lists": st.sampled_from([LIST_A, f"{LIST_A}, {LIST_A}", "x", ""]),
        "query_type": st.sampled_from(["all", "segmentation"]),
        "query": st.fixed_dictionaries({"segmentation": st.lists(groups, max_size=2)}).map(json.dumps),
        "webpush_title": st.sampled_from(["Title", "", "\ud83d"]),
    },
)


@settings(deadline=None, database=None, max_examples=400)
@given(fields)
@example({"sending_type": "email", "template": "{}"})
def test_sandbox_agrees_with_the_models(changes: dict[str, Any]) -> None:
    payload = required(**changes)
    problems: tuple[str, ...] = ()
    try:
        payload = CampaignCreate.from_mapping(payload).to_payload()
    except BMPayloadError as error:
        problems = tuple(problem.expected for problem in error.problems)
        payload.setdefault("status", "active")
        rrule = payload.get("schedule_rrule", "")
        payload.setdefault("schedule_type", "scheduled" if "FREQ" in rrule else "once" if rrule else "now")
        if "query" in payload:
            payload.setdefault("query_type", "segmentation")
    try:
        new_campaign(payload, NOW, lists={LIST_A})
    except ApiError:
        assert problems, payload
    else:
        assert all(any(part in problem for part in STRICTER) for problem in problems), problems
