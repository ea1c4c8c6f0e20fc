"""Messages of failed assertions: what was expected, what was sent, and why nothing was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from airflow_provider_bm.sandbox import SandboxClient
from airflow_provider_bm.testing.sandbox import BMTestSandbox

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
ADA = {"mobile": "+41790000001", "first_name": "Ada", "email": "ada@example.com"}
BOB = {"mobile": "+41790000002", "first_name": "Bob"}


@pytest.fixture
def sandbox() -> Iterator[BMTestSandbox]:
    with BMTestSandbox(execution_seconds=10) as sandbox:
        sandbox.clock.freeze()
        sandbox.clock.set(START)
        yield sandbox


@pytest.fixture
def recipient_list(sandbox: BMTestSandbox) -> str:
    return sandbox.add_recipient_list("recipient_list", [ADA, BOB])


def storm(sandbox, recipient_list, **fields):
    arguments = {"name": "Storm [0123456789]", "status": "active", "recipient_lists": recipient_list} | fields
    return sandbox.create(template="Hello {first_name}", **arguments)


def failure(call, *args, **kwargs) -> str:
    with pytest.raises(AssertionError) as raised:
        call(*args, **kwargs)
    return str(raised.value)


def test_messages_by_recipient_and_campaign(sandbox, recipient_list):
    campaign = storm(sandbox, recipient_list)
    storm(sandbox, recipient_list, name="Other")
    sandbox.clock.advance(10)
    assert [message["text"] for message in sandbox.messages_to("+41790000002")] == ["Hello Bob", "Hello Bob"]
    by_uuid = sandbox.messages_of(campaign["uuid"].upper())
    assert [message["to"] for message in by_uuid] == ["+41790000001", "+41790000002"]
    assert by_uuid == sandbox.messages_of(campaign) == sandbox.messages_of("Storm")
    assert by_uuid == sandbox.messages_of("Storm [0123456789]")
    assert sandbox.messages_of("Storms") == []


def test_assert_sent_accepts_what_was_sent(sandbox, recipient_list):
    storm(sandbox, recipient_list)
    sandbox.assert_not_sent()
    sandbox.clock.advance(10)
    assert sandbox.assert_sent("+41790000001", campaign="Storm", text="Hello Ada", count=1) == (
        sandbox.messages_to("+41790000001")
    )
    assert len(sandbox.assert_sent()) == 2
    sandbox.assert_not_sent(text="Carl")
    sandbox.assert_not_sent(channel="email")


PUSH = {"webpush_title": "Storm, {first_name}", "webpush_body": "Stay in", "webpush_icon": "https://i/s.png"}


@pytest.mark.parametrize(
    ("fields", "read", "shown"),
    [
        ({"sending_type": "webpush", "template": "T"} | PUSH, "Storm, Ada", "'Storm, Ada', 'Stay in'"),
        ({"sending_type": "webpush", "template": "T"} | PUSH, "Stay in", "'Storm, Ada', 'Stay in'"),
        (
            {"sending_type": "webpush", "template": "T"} | PUSH,
            "s.png",
            "'Storm, Ada', 'Stay in', 'https://i/s.png'",
        ),
        ({"template": json.dumps({"text": "Grüezi {first_name}"})}, "Grüezi Ada", "'Grüezi Ada'"),
        ({"template": json.dumps({"text": "Grüezi {first_name}"})}, r"Gr\u00fcezi", r"'Grüezi Ada', '{"),
        (
            {"template": json.dumps({"a": [{"text": 'Say "hi"\nto all'}]})},
            '"hi"\nto',
            r"""'Say "hi"\nto all'""",
        ),
        (
            {"template": '{"text": "Hello", "button": {"text": "\\u00d6ffnen"}}'},
            "Öffnen",
            "'Hello', 'Öffnen'",
        ),
        ({"template": '{"other": 1}'}, "other", """'{"other": 1}'"""),
    ],
)
def test_text_of_a_message_is_its_readable_text(sandbox, fields, read, shown):
    sandbox.execution_seconds = 0
    ada = sandbox.add_recipient_list("ada", [{"uuid": "a1", **ADA}])
    sandbox.create(
        **{"name": "X", "sending_type": "viber", "status": "active", "recipient_lists": ada} | fields
    )
    assert len(sandbox.assert_sent(text=read)) == 1
    assert f": {shown}" in failure(sandbox.assert_not_sent, text=read)
    assert len(SandboxClient(sandbox.url).messages(text=read)) == 1
    sandbox.assert_not_sent(text="Something else")


def test_failure_shows_what_was_sent_instead(sandbox, recipient_list):
    storm(sandbox, recipient_list)
    sandbox.clock.advance(10)
    assert failure(sandbox.assert_sent, "+41790000003", text="Hello", count=1).splitlines() == [
        "expected one message to '+41790000003' with text 'Hello', found 0",
        "Sent instead (2):",
        "  sms to +41790000001: 'Hello Ada' (Storm [0123456789])",
        "  sms to +41790000002: 'Hello Bob' (Storm [0123456789])",
        "Campaigns (1):",
        "  'Storm [0123456789]' is finished: executed 1x, 2 of 2 messages sent; "
        "'+41790000003' is not in its recipient_lists, which have 2 contacts",
        "Time in the sandbox: 2026-03-02T12:00:10+00:00, frozen",
    ]


def test_failure_shows_the_most_similar_messages_first(sandbox, recipient_list):
    sandbox.execution_seconds = 0
    for number in range(6):
        storm(sandbox, recipient_list, name=f"Number {number}")
    message = failure(sandbox.assert_sent, "+41790000002", campaign="Number 5", text="Hello Ada").splitlines()
    assert message[2] == "  sms to +41790000002: 'Hello Bob' (Number 5)"
    assert [line[9:21] for line in message[3:8]] == ["+41790000002"] * 5
    assert message[8] == "  sms to +41790000001: 'Hello Ada' (Number 5)"


def test_failure_shows_the_expected_campaigns_first(sandbox, recipient_list):
    expected = storm(sandbox, recipient_list, name="Asked [0123456789]", status="draft")
    for number in range(12):
        sandbox.create(name=f"Other {number}", status="draft")
    for wanted in ({"campaign": "Asked"}, {"campaign": expected}, {"to": "+41790000002"}):
        message = failure(sandbox.assert_sent, **wanted).splitlines()
        start = message.index("Campaigns (13):")
        assert message[start + 1].startswith("  'Asked [0123456789]' is draft")
        assert [line.split("'")[1] for line in message[start + 2 : start + 11]] == [
            f"Other {number}" for number in range(3, 12)
        ]
        assert message[start + 11] == "  … and 3 earlier"


def test_failure_shows_the_latest_of_many_expected_campaigns(sandbox, recipient_list):
    for number in range(12):
        storm(sandbox, recipient_list, name="Asked", status="draft" if number < 11 else "stopped")
    sandbox.create(name="Later")
    message = failure(sandbox.assert_sent, campaign="Asked")
    assert "  … and 3 more\n" in message
    assert "'Asked' is stopped" in message
    assert "Later" not in message


def test_count_must_be_a_whole_number(sandbox):
    with pytest.raises(ValueError, match="count must be 0 or more, not -1"):
        sandbox.assert_sent(count=-1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channel": "SMS"}, "channel must be one of sms, webpush, .*, not 'SMS'; did you mean 'sms'"),
        ({"channel": ["sms"]}, r"channel must be a string, not \['sms'\]"),
        ({"to": ["a"]}, r"to must be a string, not \['a'\]"),
        ({"text": 5}, "text must be a string, not 5"),
        ({"campaign": 5}, "campaign must be a name, a UUID or a campaign, not 5"),
        ({"campaign": {}}, "campaign must have its uuid, a string: {} has none"),
        ({"campaign": {"uuid": None}}, "campaign must have its uuid"),
    ],
)
def test_expectation_that_can_never_be_met_is_refused(sandbox, arguments, message):
    for call in (sandbox.assert_not_sent, sandbox.assert_sent):
        with pytest.raises(ValueError, match=message):
            call(**arguments)
    if "campaign" in arguments:
        with pytest.raises(ValueError, match=message):
            sandbox.messages_of(arguments["campaign"])


def test_failure_mentions_deleted_campaigns(sandbox, recipient_list):
    campaign = storm(sandbox, recipient_list, name="Deleted", status="draft")
    storm(sandbox, recipient_list)
    sandbox.delete_campaign(campaign["uuid"])
    assert "Campaigns (2):\n  'Deleted' is deleted: never executed\n  'Storm " in failure(sandbox.assert_sent)


def test_failure_if_too_many_were_sent(sandbox, recipient_list):
    campaign = storm(sandbox, recipient_list)
    sandbox.clock.advance(10)
    message = failure(sandbox.assert_sent, campaign=campaign, count=3)
    assert message.startswith(
        "expected 3 messages of campaign 'Storm [0123456789]', found 2\nFound (2):\n  sms to"
    )
    assert failure(sandbox.assert_not_sent, "+41790000001").startswith(
        "expected no message to '+41790000001', found 1\nFound (1):\n"
    )


def query(value: str) -> dict[str, str]:
    rule = {"field": "first_name", "condition": "eq", "value": value, "operator": "AND"}
    text = json.dumps({"segmentation": [{"operator": "OR", "rules": [rule]}]})
    return {"query_type": "segmentation", "query": text}


@pytest.mark.parametrize(
    ("fields", "to", "reason"),
    [
        ({"recipient_lists": "EMPTY"}, None, "its recipient_lists are empty"),
        (
            {"recipient_lists": "MAILS"},
            None,
            "none of the 1 contact in its recipient_lists can receive sms",
        ),
        (query("Carl"), None, "its query matches none of the 2 contacts in its lists that can receive sms"),
        (
            query("Ada"),
            "+41790000002",
            "'+41790000002' is in its recipient_lists, but its query does not match",
        ),
        ({}, "ada@example.com", "'ada@example.com' is in its recipient_lists, but sms does not go to it"),
        ({"recipient_lists": "OUT"}, None, "everybody in its recipient_lists has opted out"),
        (
            {"recipient_lists": "SOME"},
            "+41790000001",
            "'+41790000001' is in its recipient_lists, but has opted out",
        ),
        (
            {"recipient_lists": "BOB"},
            "+41790000001",
            "'+41790000001' is not in its recipient_lists, which have 1 contact",
        ),
    ],
)
def test_failure_explains_why_a_contact_got_nothing(sandbox, recipient_list, fields, to, reason):
    members = {
        "EMPTY": [],
        "BOB": [BOB],
        "OUT": [{**ADA, "opt_status": "out"}],
        "SOME": [{**ADA, "opt_status": "out"}, BOB],
        "MAILS": [{"email": "carl@example.com"}],
    }
    lists = {name: sandbox.add_recipient_list(name, people) for name, people in members.items()}
    chosen = lists.get(fields.get("recipient_lists"), recipient_list)
    sandbox.execution_seconds = 0
    storm(sandbox, recipient_list, **fields | {"recipient_lists": chosen})
    assert f"; {reason}\n" in failure(sandbox.assert_sent, to, text="?")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "draft"}, "is draft: never executed; a draft sends nothing before it is activated"),
        (
            {"status": "stopped"},
            "is stopped: never executed; it sends nothing more before it is started again",
        ),
        ({"status": "finished"}, "is finished: never executed"),
        (
            {"schedule_type": "once", "schedule_rrule": "2026-03-02 13:00:00"},
            "is active: never executed; "
            "it is due at 2026-03-02T13:00:00+00:00, which bm_sandbox.clock.advance(3600) reaches",
        ),
        (
            {},
            "is active: executed 1x, 0 of 2 messages sent; "
            "it is sending until 2026-03-02T12:00:10+00:00, which bm_sandbox.clock.advance(10) reaches",
        ),
    ],
)
def test_failure_explains_why_nothing_was_sent(sandbox, recipient_list, fields, reason):
    sandbox.create(**{"name": "Storm", "status": "active", "recipient_lists": recipient_list} | fields)
    message = failure(sandbox.assert_sent)
    assert message.startswith("expected a message, found 0\nNothing was sent.\nCampaigns (1):\n")
    assert f"  'Storm' {reason}\n" in message


def test_failure_without_any_campaign(sandbox):
    assert "There is no campaign.\n" in failure(sandbox.assert_sent)


def test_long_failure_messages_are_shortened(sandbox):
    sandbox.clock.resume()
    sandbox.execution_seconds = 0
    for number in range(12):
        sandbox.create(name=f"Number {number}", status="active", template="x" * 100)
    message = failure(sandbox.assert_sent, "nobody")
    assert "Sent instead (480):" in message
    assert "  … and 470 more" in message
    assert "  … and 2 earlier" in message
    assert "'Number 11' is finished" in message
    assert f"'{'x' * 59}…'" in message
    assert message.endswith(", speed 1")
