"""Approval in a real Airflow, by the REST API that its UI uses: how many messages go out."""

from __future__ import annotations

import pytest

from airflow_provider_bm.operators.approve import HAS_HITL
from tools.airflow_env import ROOT

if not HAS_HITL:
    pytest.skip("Airflow before 3.1 has no human-in-the-loop operators", allow_module_level=True)

#: Run in a whole Airflow by tests/system/dags/approval.py, with other arguments.
EXAMPLE = ROOT / "dags_examples" / "approval.py"


def test_approved(approval):
    run = approval()
    review = run.wait_until_waiting()
    assert review["subject"] == "Send campaign 'Storm test_approved'?"
    assert "Stay at home, {first_name}." in review["body"]
    assert run.sent == 0
    run.respond("Approve")
    run.wait_for_state("success")
    assert run.sent == 1


def test_rejected(approval):
    run = approval()
    run.wait_until_waiting()
    run.respond("Reject")
    run.wait_for_state("skipped")
    assert (run.sent, run.exists) == (0, False)


def test_nobody_responds(approval):
    run = approval("approval_times_out")
    run.wait_for_state("failed")
    assert (run.sent, run.exists, run.try_number()) == (0, False, 1)


def test_changed_during_the_review(approval):
    run = approval()
    run.wait_until_waiting()
    run.sandbox.update_campaign(run.draft, template="Run, {first_name}.")
    run.respond("Approve")
    run.wait_for_state("failed")
    assert (run.sent, run.exists) == (0, True)


def test_killed_after_the_approval(approval):
    run = approval()
    run.wait_until_waiting()
    # Carried out, and no reply as long as the test lasts.
    run.sandbox.fault("PUT", run.draft, delay_after=1000)
    run.respond("Approve")
    run.airflow.wait_until("the campaign is activated", lambda: run.sent)
    run.kill()
    run.wait_for_state("success")
    assert (run.sent, run.try_number()) == (1, 2)


def test_cleared_after_sending(approval):
    run = approval()
    run.wait_until_waiting()
    run.respond("Approve")
    run.wait_for_state("success")
    run.clear()
    run.airflow.wait_until("has run again", lambda: run.try_number() == 2 and run.state() == "success")
    assert run.sent == 1
