"""Asset events in a real Airflow: one for each execution, even if the triggerer is killed."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from airflow_provider_bm.sandbox import Sandbox
from tests.system.running import RunningAirflow
from tests.system.scenarios import EVENTS, WATCHED
from tools.airflow_env import airflow_version, is_airflow_2

pytestmark = pytest.mark.skipif(is_airflow_2(), reason="Airflow 2 has no event triggers")
#: Airflow 3.3+ stores an asset's state. Older versions miss events while no triggerer runs.
HAS_ASSET_STATE = tuple(map(int, airflow_version().split(".")[:2])) >= (3, 3)


class Events:
    """Executions of campaigns, and the asset events that Airflow received."""

    def __init__(self, airflow: RunningAirflow, sandbox: Sandbox) -> None:
        self.airflow, self.sandbox = airflow, sandbox

    def asset_events(self) -> Counter[tuple[str, str]]:
        """Count the asset events by campaign and time."""
        events = self.airflow.wait_until("the asset events", self._read_asset_events)["asset_events"]
        payloads = [event["extra"]["payload"] for event in events]
        return Counter((each["campaign"]["uuid"], each["campaign"]["last_dt"]) for each in payloads)

    def _read_asset_events(self) -> Any:
        try:
            return self.airflow.api("GET", "/assets/events?limit=100")
        except AssertionError:
            # 3.3.2 answers 500 while one of the triggered runs is queued, since it has no start_date yet.
            return None

    def executed(self, *campaign_uuids: str) -> set[tuple[str, str]]:
        return {
            (each["campaign_uuid"], each["dt"])
            for each in self.sandbox.executions()
            if each["campaign_uuid"] in campaign_uuids
        }

    def wait_for_events(self, expected: set[tuple[str, str]]) -> None:
        self.airflow.wait_until(f"events: {expected}", lambda: expected <= set(self.asset_events()))

    def wait_for_polls(self, rounds: int = 2) -> list[dict[str, Any]]:
        """Wait for some rounds of polls from now on, and return their requests."""
        before = len(self.sandbox.requests())

        def polled() -> list[dict[str, Any]] | None:
            requests = self.sandbox.requests()[before:]
            lists = [each for each in requests if "startswith" in str(each["query"])]
            return requests if len(lists) > rounds else None

        return list(self.airflow.wait_until("has polled", polled))


@pytest.fixture(scope="module")
def events(airflow: RunningAirflow, sandboxes: dict[str, Sandbox]) -> Events:
    return Events(airflow, sandboxes[EVENTS])


def test_one_event_for_each_execution(events: Events) -> None:
    # All 21 watchers share one poller.
    requests = events.wait_for_polls(4)
    assert len({each["connection"] for each in requests}) == 1
    assert len(requests) <= 2 * 6, "a list for the filter, and one for all campaigns watched by UUID"

    # Executions before the first poll cause no events.
    before = events.executed(*WATCHED)
    storm = events.sandbox.create(name="Storm", status="active")["uuid"]
    daily = events.sandbox.create(
        name="Storms, daily", status="active", schedule_type="scheduled", schedule_rrule="FREQ=DAILY"
    )["uuid"]
    other = events.sandbox.create(name="Sunshine", status="active")["uuid"]
    events.wait_for_events(events.executed(storm, daily))
    events.sandbox.clock.advance(24 * 3600)
    events.wait_for_events(events.executed(storm, daily, *WATCHED) - before)

    # While no triggerer runs, there are no events.
    events.airflow.signal("triggerer", signal.SIGKILL)
    received = events.asset_events()
    events.sandbox.clock.advance(24 * 3600)
    missed = events.executed(storm, daily, *WATCHED) - before - set(received)
    assert len(missed) == 1 + len(WATCHED)
    events.airflow.start("triggerer")
    events.wait_for_polls()
    if HAS_ASSET_STATE:
        events.wait_for_events(missed)
    events.sandbox.clock.advance(24 * 3600)
    expected = events.executed(storm, daily, *WATCHED) - before
    events.wait_for_events(expected if HAS_ASSET_STATE else expected - missed)
    events.wait_for_polls()

    assert set(events.asset_events().values()) == {1}, "an event was sent twice"
    assert set(events.asset_events()) == (expected if HAS_ASSET_STATE else expected - missed)
    assert not events.executed(other) & set(events.asset_events())
    runs = events.airflow.api("GET", f"/dags/{EVENTS}/dagRuns")["dag_runs"]
    assert runs
    events.airflow.wait_until(
        "the runs succeed",
        lambda: all(
            run["state"] == "success"
            for run in events.airflow.api("GET", f"/dags/{EVENTS}/dagRuns")["dag_runs"]
        ),
    )
