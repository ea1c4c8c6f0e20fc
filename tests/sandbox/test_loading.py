"""``--load``: the sandbox starts with the campaigns and lists of a file."""

from __future__ import annotations

import json
import re

import pytest

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.contacts import DEFAULT_SERVICE
from tests.sandbox.conftest import Api

SERVICE = "0b2d2b4e-5f4c-4d7e-9f58-3f1f6a1c7d10"
LIST = "6f1c1f5e-7c0b-4c53-8f2f-2f3c0f3f4c11"
CAMPAIGN = "8d0c9a50-43ab-4f86-8f57-0a8a52f1aa12"
CONTENT = {
    "services": [SERVICE],
    "clients": [{"client_id": "shop", "client_secret": "shop-secret", "services": [SERVICE]}],
    "contacts": [
        {"uuid": "crm-1", "mobile": "+41790000001", "first_name": "Ada"},
        {"uuid": "crm-2", "mobile": "+41790000002", "opt_status": "out"},
    ],
    "lists": [
        {"uuid": LIST, "name": "mine", "contacts": ["crm-1", "crm-2"]},
        {"name": "others", "contacts": ["crm-1", {"mobile": "+41790000003"}]},
    ],
    "campaigns": [
        {"uuid": CAMPAIGN, "service_uuid": SERVICE, "name": "Storm", "recipient_lists": LIST},
        {"name": "Without a UUID", "status": "active"},
    ],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bm.json"
    path.write_text(json.dumps(CONTENT))
    return path


def test_same_state_at_every_start_and_after_reset(file):
    def state(sandbox):
        return [campaign["uuid"] for campaign in sandbox.campaigns()], sandbox.recipient_lists

    with Sandbox(load=file, execution_seconds=0) as sandbox:
        uuids, lists = state(sandbox)
        assert uuids[0] == CAMPAIGN
        assert lists["mine"] == LIST
        api = Api(sandbox, SERVICE).login(client_id="shop", client_secret="shop-secret")
        assert api.get(CAMPAIGN)["name"] == "Storm"
        sandbox.start_campaign(CAMPAIGN)
        assert [message["to"] for message in sandbox.messages(CAMPAIGN)] == ["+41790000001"]
        sandbox.create(name="more")
        sandbox.reset()
        assert state(sandbox) == (uuids, lists)
    assert state(Sandbox(load=CONTENT)) == (uuids, lists)


@pytest.mark.parametrize(
    ("section", "content", "message"),
    [
        ("campaign", [], "campaign: there is no such section; did you mean 'campaigns'?"),
        ("services", SERVICE, "services: must be an array"),
        ("services", [SERVICE, "mine"], "services[1]: a service must be a UUID, not 'mine'"),
        ("clients", [{"client_id": "a"}], "clients[0]: client_secret: is required"),
        (
            "clients",
            [{"client_id": "a", "client_secret": "b", "services": [LIST]}],
            "clients[0]: no such service",
        ),
        (
            "contacts",
            [{"uuid": "crm-1", "opt_status": "yes"}],
            "contacts[0]: a contact: opt_status must be one",
        ),
        (
            "lists",
            [{"name": "x", "contacts": ["crm-9"]}],
            "lists[0]: contacts[0]: there is no contact 'crm-9'",
        ),
        (
            "lists",
            [{"name": "x", "contacts": [{"mobil": "1"}]}],
            "lists[0]: contacts[0]: unknown contact field",
        ),
        ("campaigns", [{"uuid": "x"}], "campaigns[0]: uuid: 'x' is not a UUID"),
        ("campaigns", [{"status": "drafft"}], "campaigns[0]: status: must be one of"),
        ("campaigns", ["x"], "campaigns[0]: must be an object"),
        ("campaigns", [{}, {}], "campaigns[1]: campaign"),
    ],
)
def test_errors_name_file_and_path(file, section, content, message):
    file.write_text(json.dumps({section: content}))
    with pytest.raises(ValueError, match=re.escape(f"{file}: {message}")):
        Sandbox(load=file)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "must be a JSON object"), (None, "cannot read")]
)
def test_not_a_json_object(file, text, message):
    file.write_text(text) if text is not None else file.unlink()
    with pytest.raises(ValueError, match=message):
        Sandbox(load=file)


def test_default_service_may_be_named():
    assert Sandbox(load={"services": [DEFAULT_SERVICE]}).campaigns() == []
