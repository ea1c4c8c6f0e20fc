"""Custom recipient lists and contacts."""

from __future__ import annotations

import json
import uuid

import pytest

from airflow_provider_bm.sandbox import Sandbox, SandboxClient
from airflow_provider_bm.sandbox.contact_files import read_contacts

ADA = {"mobile": "+41790000001", "first_name": "Ada", "language": "en"}
BOB = {"mobile": "+41790000002", "first_name": "Bob", "email": "bob@example.com"}


@pytest.mark.parametrize("remote", [False, True])
def test_custom_recipient_list(api, sandbox, remote):
    handle = SandboxClient(sandbox.url) if remote else sandbox
    mine = handle.add_recipient_list("mine", [ADA, BOB])
    assert handle.recipient_lists["mine"] == mine
    assert len(handle.recipient_lists) == 8
    reply = api.post(recipient_lists=mine)
    assert reply.status_code == 201, reply.text
    sandbox.clock.advance(10)
    assert [(message["to"], message["text"]) for message in sandbox.messages()] == [
        ("+41790000001", "Hello Ada"),
        ("+41790000002", "Hello Bob"),
    ]


def test_list_uuid_is_derived_from_the_name(sandbox):
    assert sandbox.add_recipient_list("mine", [ADA]) == Sandbox().add_recipient_list("mine", [])
    # That of the real BM does, too: then a DAG needs no change.
    real = "CF9EEB30-c1af-11ee-8073-bf4d6e8c1618"
    assert sandbox.add_recipient_list(real, [ADA]) == real.lower()


def test_example_list_can_be_replaced(api, sandbox):
    """The examples of the documentation work unchanged."""
    example = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
    api.post(recipient_lists=example)
    sandbox.add_recipient_list(example, [ADA])
    api.post(recipient_lists=example)
    sandbox.clock.advance(10)
    assert [execution["contacts"] for execution in sandbox.executions()] == [3, 1]


def test_channels_and_segmentation(api, sandbox):
    mine = sandbox.add_recipient_list("mine", [ADA, BOB])
    api.post(recipient_lists=mine, sending_type="email", template='{"subject": "{first_name}"}')
    rule = {"field": "language", "condition": "eq", "value": "en", "operator": "AND"}
    query = json.dumps({"segmentation": [{"operator": "OR", "rules": [rule]}]})
    api.post(recipient_lists=mine, query_type="segmentation", query=query)
    sandbox.clock.advance(10)
    assert [message["to"] for message in sandbox.messages()] == ["bob@example.com", "+41790000001"]


def test_contact_in_two_lists_gets_one_message(api, sandbox):
    lists = [sandbox.add_recipient_list("one", [ADA]), sandbox.add_recipient_list("two", [ADA | BOB, ADA])]
    api.post(recipient_lists=",".join(lists))
    sandbox.clock.advance(10)
    assert sorted(message["to"] for message in sandbox.messages()) == ["+41790000001", "+41790000002"]


EMAIL = {"sending_type": "email", "template": '{"subject": "Hi"}'}


@pytest.mark.parametrize(
    ("first", "second", "campaign"),
    [
        (BOB, {"email": BOB["email"]}, EMAIL),
        ({"uuid": "crm-7", "mobile": ADA["mobile"]}, ADA, {}),
        # The contact with an address counts, even if another list has it without.
        ({"mobile": BOB["mobile"]}, BOB, EMAIL),
    ],
)
def test_address_of_two_contacts_gets_one_message(api, sandbox, first, second, campaign):
    lists = [sandbox.add_recipient_list("one", [first]), sandbox.add_recipient_list("two", [second])]
    for order in (lists, lists[::-1]):
        api.post(recipient_lists=",".join(order), **campaign)
    api.post(recipient_lists=sandbox.add_recipient_list("both", [first, second]), **campaign)
    sandbox.clock.advance(10)
    assert [execution["contacts"] for execution in sandbox.executions()] == [1, 1, 1]


def test_query_decides_between_contacts_with_the_same_address(api, sandbox):
    rule = {"field": "language", "condition": "eq", "value": "en", "operator": "AND"}
    query = json.dumps({"segmentation": [{"operator": "OR", "rules": [rule]}]})
    plain = {"uuid": "crm-7", "mobile": ADA["mobile"]}
    mine = sandbox.add_recipient_list("mine", [plain, ADA, ADA | {"uuid": "crm-8"}])
    api.post(recipient_lists=mine, query_type="segmentation", query=query)
    sandbox.clock.advance(10)
    assert [message["text"] for message in sandbox.messages()] == ["Hello Ada"]


def test_replaced_list_keeps_running_executions(api, sandbox):
    mine = sandbox.add_recipient_list("mine", [ADA])
    api.post(recipient_lists=mine)
    later = api.post(recipient_lists=mine, schedule_type="once", schedule_rrule="2026-03-02 12:00:05").json()
    sandbox.clock.advance(6)
    # Running executions message the recipients from before the change.
    sandbox.add_recipient_list("mine", [BOB])
    sandbox.start_campaign(sandbox.create(recipient_lists=mine, name="new")["uuid"])
    sandbox.clock.advance(20)
    sent = {(message["campaign_name"], message["to"]) for message in sandbox.messages()}
    assert sent == {("Storm warning", "+41790000001"), ("new", "+41790000002")}
    assert [message["to"] for message in sandbox.messages(later["uuid"])] == ["+41790000001"]


@pytest.mark.parametrize(
    ("name", "contact", "message"),
    [
        ("mine", {"mobil": "+41790000001"}, "contact 1: unknown contact field mobil"),
        ("mine", {"mobile": 41790000001}, "contact 1: mobile must be a string, not 41790000001"),
        ("mine", {"mobile": "+\ud800"}, "contact 1: mobile is not valid Unicode"),
        ("mine", {"first_name": "Ada"}, "contact 1 needs a mobile, an email or a uuid"),
        ("mine", "Ada", "contact 1 must be an object"),
        ("staff", ADA, "every sandbox has a list staff"),
        ("", ADA, "needs a name"),
    ],
)
def test_invalid_recipient_lists(sandbox, name, contact, message):
    with pytest.raises(ValueError, match=message):
        sandbox.add_recipient_list(name, [contact])
    assert "mine" not in sandbox.recipient_lists


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.csv", '\ufefffirst_name,mobile,b_company\nAda,+41790000001,\nBob,+41790000002,"A, \nB"\n'),
        (
            "mine.json",
            '[{"first_name": "Ada", "mobile": "+41790000001"},'
            ' {"first_name": "Bob", "mobile": "+41790000002", "b_company": "A, \\nB"}]',
        ),
    ],
)
def test_read_contact_files(sandbox, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    mine = sandbox.add_recipient_list("mine", read_contacts(path))
    sandbox.create(status="active", recipient_lists=mine, template="{first_name} {b_company}")
    sandbox.clock.advance(10)
    assert [message["text"] for message in sandbox.messages()] == ["Ada ", "Bob A, \nB"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[", "is not JSON"),
        ("a.json", "{}", "must be an array of contacts"),
        ("a.csv", "mobile\n+41790000001,Ada\n", "line 2 has more values than the heading has columns"),
        ("a.csv", "mobile,first_name,mobile\n+41790000001,Ada,+41790000099\n", "the column 'mobile' twice"),
        ("a.csv", "+41790000001,Ada\n", "the first line must be a heading"),
        ("a.csv", "", "the first line must be a heading"),
        ("a.csv", 'mobile,first_name\n+41790000001,"Ada\n+41790000002,Bob\n', "is not CSV"),
        ("a.json", '[{"mobile": "1", "mobile": "2"}]', "the key 'mobile' occurs twice"),
        ("a.csv", "mobile\n" + "1" * 200_000, "is not CSV"),
        ("a.csv", None, "cannot read"),
    ],
)
def test_invalid_contact_files(sandbox, tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        sandbox.add_recipient_list(str(uuid.uuid4()), read_contacts(path))


def test_contacts_who_opted_out_get_nothing(api, sandbox):
    mine = sandbox.add_recipient_list("mine", [ADA, {**BOB, "opt_status": "out"}])
    others = sandbox.add_recipient_list("others", [BOB, {"mobile": "+41790000003", "opt_status": "in"}])
    api.post(recipient_lists=f"{others},{mine}")
    sandbox.clock.advance(10)
    assert {message["to"] for message in sandbox.messages()} == {"+41790000001", "+41790000003"}
    with pytest.raises(ValueError, match=r"contact 1: opt_status must be one of in, out, not 'OUT'"):
        sandbox.add_recipient_list("mine", [{**ADA, "opt_status": "OUT"}])
