"""A campaign is sent once although the server trims, truncates, escapes or normalises its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.idempotency.timing import Timing, use_timing
from tests.idempotency.killed_task import FileStore, TaskInstance, run

POLICIES = [
    "trim",
    "collapse",
    "cut:40",
    "cut:100",
    "cut:255",
    "cut_at_emoji",
    "escape_html",
    "nfc",
    "upper",
    "emoji_to_question_mark",
]
NAME = "  Sturm \u26c8\ufe0f \U0001f32a & <Regen>\tim  Norden, fu\u0308r alle Kunden " + "sehr lang " * 30


class VirtualClock:
    """A clock that only advances by sleeping, so that a busy machine does not matter."""

    def __init__(self) -> None:
        self.seconds, self.start = 0.0, datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("lost", [True, False], ids=["reply lost", "reply kept"])
@pytest.mark.parametrize("stored", [False, True], ids=["no store", "store"])
@pytest.mark.parametrize("kind", ["create", "clone", "staged"])
def test_campaign_is_sent_once_although_its_name_is_changed(
    sandbox, task, tmp_path, monkeypatch, assert_sent_once, policy, lost, stored, kind
):
    monkeypatch.setenv("AIRFLOW_CONN_BM_DEFAULT", sandbox.connection_json(timeout=10))
    monkeypatch.setattr(BMClient, "server_now", lambda self: None)
    store = FileStore(tmp_path / "state", lambda _: None) if stored else None
    sandbox.name_policy = policy
    if lost:
        sandbox.fault(method="POST", path="/campaigns$", lose_reply=True)
    arguments = {**task["clone" if kind == "clone" else "create"], "name": NAME, "staged": kind == "staged"}
    clock = VirtualClock()
    with use_timing(Timing(draft_pause=20, sleep=clock.sleep, monotonic=clock.monotonic, now=clock.now)):
        for number in (1, 2):
            ti = TaskInstance("run", number, lambda _: None)
            run("clone" if kind == "clone" else "create", arguments, ti, store)
    assert_sent_once("run")
