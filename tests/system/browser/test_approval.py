"""Approval by a person in a real browser: what the reviewer sees, and how many messages go out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_provider_bm.operators.approve import HAS_HITL
from tests.system.approval import Approval

if not HAS_HITL:
    pytest.skip("Airflow before 3.1 has no human-in-the-loop operators", allow_module_level=True)


class Review:
    """The page of a task that waits for an approval."""

    def __init__(self, page: Page, run: Approval) -> None:
        run.wait_until_waiting()
        self.page = page
        page.goto(run.page)

    @property
    def preview(self) -> str:
        return self.page.locator("code").filter(has_text="Channel").inner_text()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)


def test_approve_in_the_browser(page: Page, approval: Callable[[], Approval]) -> None:
    run = approval()
    review = Review(page, run)
    expect(page.get_by_text(f"Send campaign 'Storm {run.run_id}'?")).to_be_visible()
    for expected in ("Stay at home, {first_name}.", "at once", run.sandbox.recipient_lists["staff"]):
        assert expected in review.preview
    expect(page.locator("code").get_by_text(run.draft, exact=True)).to_be_visible()
    assert run.sent == 0
    review.button("Approve").dblclick()
    run.wait_for_state("success")
    assert run.sent == 1

    # There is nothing left to approve.
    page.reload()
    expect(page.get_by_text(f"Send campaign 'Storm {run.run_id}'?")).to_be_visible()
    expect(review.button("Approve")).to_be_disabled()
    expect(review.button("Reject")).to_be_disabled()


def test_reject_in_the_browser(page: Page, approval: Callable[[], Approval]) -> None:
    run = approval()
    review = Review(page, run)
    review.button("Reject").click()
    run.wait_for_state("skipped")
    assert (run.sent, run.exists) == (0, False)
