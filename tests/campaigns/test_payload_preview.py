from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bm.campaigns import CampaignClone, CampaignCreate, SegmentationQuery, preview
from tests.campaigns.samples import LIST_A, LIST_B, problems_of, required

NOW = datetime(2026, 3, 27, 12, 30, tzinfo=UTC)

PRINTED = """\
Name          Storm
Status        active
Channel       sms, from +41587000000
Text          Hi {first_name}, wind 100km/h,
              {tmp}
Filled by BM  {first_name}
NOT FILLED    {tmp}
SMS           1 part, 40 characters in GSM 03.38, before BM fills variables
Schedule      daily at 08:00 UTC
Executions    Sat 2026-03-28 09:00 CET
              Sun 2026-03-29 10:00 CEST
Contacts      city is "Bern" or "Basel"
Lists         cf9eeb30-c1af-11ee-8073-bf4d6e8c1618
              1592695e-c1b1-11ee-b153-774c9d3a7957"""


def test_a_preview_for_people() -> None:
    payload = required(
        status="active",
        template="Hi {first_name}, wind {wind},\n{tmp}",
        template_vars={"wind": "100km/h"},
        schedule_type="scheduled",
        schedule_rrule="FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
        query=SegmentationQuery.where(city__in=["Bern", "Basel"]),
        recipient_lists=f"{LIST_A}, {LIST_B}",
    )
    assert str(preview(payload, tz="Europe/Zurich", now=NOW, count=2)) == PRINTED


def test_a_preview_for_programs() -> None:
    seen = preview(
        CampaignCreate(
            **required(template="Hi {first_name}, {link} {x}", schedule_rrule="2026-04-01T10:00Z")
        ),
        now=NOW,
        allowed_variables=["link"],
        contact={"first_name": "Ada"},
    )
    assert seen.text == "Hi Ada, {link} {x}"
    assert (seen.variables, seen.missing) == (("link",), ("x",))
    assert seen.executions == (datetime(2026, 4, 1, 10, tzinfo=UTC),)
    assert seen.schedule == "once, 2026-04-01 10:00 UTC"
    assert seen.segment == "all of the lists"
    assert seen.recipient_lists == (LIST_A,)
    assert seen.sms is not None
    assert seen.sms.parts == 1


@pytest.mark.parametrize("payload", [{}, {"template": "Hi"}, {"name": "Storm", "sending_type": "email"}])
def test_partial_payloads(payload: dict[str, Any]) -> None:
    seen = preview(payload, now=NOW)
    assert (seen.name, seen.text) == (payload.get("name"), payload.get("template"))
    assert seen.schedule == "at once"
    assert seen.executions == (NOW,)
    assert str(seen)


def test_a_clone_takes_the_rest_from_its_source() -> None:
    seen = preview(CampaignClone(clone_uuid=LIST_A, template_vars={"wind": 5}), now=NOW)
    assert seen.schedule == seen.segment == "as in the campaign that is cloned"
    assert seen.executions == ()
    assert seen.text is None


@pytest.mark.parametrize(
    ("payload", "attribute", "expected"),
    [
        ({"schedule_rrule": "0 8 * * *"}, "schedule", "looks like cron"),
        ({"schedule_rrule": "FREQ=NEVER", "schedule_type": "scheduled"}, "schedule", "not a valid RRULE"),
        ({"schedule_rrule": "FREQ=DAILY;BYHOUR=8;"}, "schedule", "FREQ=DAILY;BYHOUR=8"),
        ({"query": "{"}, "segment", "Expecting property name"),
        ({"query": {"segmentation": []}}, "segment", "must not be empty"),
        ({"query_type": "segmentation"}, "segment", "NO QUERY"),
        ({"query_type": "all", "query": "{"}, "segment", "all of the lists"),
        ({"sending_type": "email", "template": "{broken"}, "text", "{broken"),
    ],
)
def test_invalid_values_are_shown(payload: dict[str, Any], attribute: str, expected: str) -> None:
    assert expected in getattr(preview(payload, now=NOW), attribute)


def test_json_templates() -> None:
    template = '{"subject": "Hi {city}", "{key}": ["{x}", 5]}'
    seen = preview({"sending_type": "email", "template": template, "template_vars": {"x": 'a"b'}}, now=NOW)
    assert seen.text == '{\n  "subject": "Hi {city}",\n  "{key}": [\n    "a\\"b",\n    5\n  ]\n}'
    assert (seen.variables, seen.missing, seen.sms) == (("city",), (), None)


def test_webpush() -> None:
    payload = {
        "sending_type": "webpush",
        "template": "{a}",
        "webpush_title": "T {a}",
        "template_vars": {"a": 1},
    }
    assert preview(payload, now=NOW).text == "webpush_title: T 1\n1"


def test_an_unknown_time_zone() -> None:
    assert list(problems_of(lambda: preview({}, tz="Mars/Olympus"))) == ["tz"]
