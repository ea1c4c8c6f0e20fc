"""Name policies: servers that change the name of a campaign."""

from __future__ import annotations

import pytest

from airflow_provider_bm.sandbox import Sandbox, SandboxClient

NAME = "  Storm \t&  Cafe\u0301 \U0001f329 north "


@pytest.mark.parametrize(
    ("policy", "stored"),
    [
        (None, NAME),
        ("trim", "Storm \t&  Cafe\u0301 \U0001f329 north"),
        ("collapse", "Storm & Cafe\u0301 \U0001f329 north"),
        ("cut:7", "  Storm"),
        ("cut_at_emoji", "  Storm \t&  Cafe\u0301 "),
        ("emoji_to_question_mark", "  Storm \t&  Cafe\u0301 ? north "),
        ("escape_html", "  Storm \t&amp;  Cafe\u0301 \U0001f329 north "),
        ("nfc", "  Storm \t&  Caf\u00e9 \U0001f329 north "),
        ("upper", "  STORM \t&  CAFE\u0301 \U0001f329 NORTH "),
    ],
)
def test_policy(api, sandbox, policy, stored):
    sandbox.name_policy = policy
    created = api.post(name=NAME).json()
    assert created["name"] == api.get(created["uuid"])["name"] == stored
    replaced = api.call("PUT", f"/{created['uuid']}", json=api.payload(name=NAME)).json()
    assert replaced["name"] == stored


def test_policy_is_an_argument_and_a_remote_setting():
    with Sandbox(name_policy="trim") as sandbox:
        client = SandboxClient(sandbox.url)
        assert client.name_policy == "trim"
        client.name_policy = "cut:40"
        assert sandbox.name_policy == "cut:40"
        sandbox.reset()
        assert sandbox.name_policy == "trim"
        for wrong in ("cut", "cut:0", "strip", 5):
            with pytest.raises(ValueError, match="name_policy must be one of trim, collapse"):
                client.name_policy = wrong
    with pytest.raises(ValueError, match="name_policy must be one of"):
        Sandbox(name_policy="TRIM")
