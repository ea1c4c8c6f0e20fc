"""Asset events, in a real Airflow: one for each execution, also when the triggerer dies."""

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
#: Airflow 3.3+ keeps an asset's state; before, what happens while no triggerer runs is not told.
KEEPS_STATE = tuple(map(int, airflow_version().split(".")[:2])) >= (3, 3)


class Events:
    """What has executed, and what Airflow was told of it."""

    def __init__(self, airflow: RunningAirflow, sandbox: Sandbox) -> None:
        self.airflow, self.sandbox = airflow, sandbox

    def told(self) -> Counter[tuple[str, str]]:
        """Campaigns and times of the asset events, with how many there are of each."""
        events = self.airflow.until("the asset events", self._asset_events)["asset_events"]
        payloads = [event["extra"]["payload"] for event in events]
        return Counter((each["campaign"]["uuid"], each["campaign"]["last_dt"]) for each in payloads)

    def _asset_events(self) -> Any:
        try:
            return self.airflow.api("GET", "/assets/events?limit=100")
        except AssertionError:
            # 3.3.2 answers 500 as long as one of their runs is queued, and so has no start_date.
            return None

    def executed(self, *campaign_uuids: str) -> set[tuple[str, str]]:
        return {
            (each["campaign_uuid"], each["dt"])
            for each in self.sandbox.executions()
            if each["campaign_uuid"] in campaign_uuids
        }

    def until_told(self, expected: set[tuple[str, str]]) -> None:
        self.airflow.until(f"events: {expected}", lambda: expected <= set(self.told()))

    def until_looked(self, rounds: int = 2) -> list[dict[str, Any]]:
        """Wait for some rounds of looks from now on, and return their requests."""
        before = len(self.sandbox.requests())

        def looked() -> list[dict[str, Any]] | None:
            asked = self.sandbox.requests()[before:]
            lists = [each for each in asked if "startswith" in str(each["query"])]
            return asked if len(lists) > rounds else None

        return list(self.airflow.until("has looked", looked))


@pytest.fixture(scope="module")
def events(airflow: RunningAirflow, sandboxes: dict[str, Sandbox]) -> Events:
    return Events(airflow, sandboxes[EVENTS])


def test_one_event_for_each_execution(events: Events) -> None:
    # 21 watchers are one poll loop.
    asked = events.until_looked(4)
    assert len({each["connection"] for each in asked}) == 1
    assert len(asked) <= 2 * 6, "a list for the filter, and one for all that are watched by their UUID"

    # What was before the first look is no news.
    before = events.executed(*WATCHED)
    storm = events.sandbox.create(name="Storm", status="active")["uuid"]
    daily = events.sandbox.create(
        name="Storms, daily", status="active", schedule_type="scheduled", schedule_rrule="FREQ=DAILY"
    )["uuid"]
    other = events.sandbox.create(name="Sunshine", status="active")["uuid"]
    events.until_told(events.executed(storm, daily))
    events.sandbox.clock.advance(24 * 3600)
    events.until_told(events.executed(storm, daily, *WATCHED) - before)

    # While no triggerer runs, nobody is told.
    events.airflow.signal("triggerer", signal.SIGKILL)
    told = events.told()
    events.sandbox.clock.advance(24 * 3600)
    missed = events.executed(storm, daily, *WATCHED) - before - set(told)
    assert len(missed) == 1 + len(WATCHED)
    events.airflow.start("triggerer")
    events.until_looked()
    if KEEPS_STATE:
        events.until_told(missed)
    events.sandbox.clock.advance(24 * 3600)
    expected = events.executed(storm, daily, *WATCHED) - before
    events.until_told(expected if KEEPS_STATE else expected - missed)
    events.until_looked()

    assert set(events.told().values()) == {1}, "an event was sent twice"
    assert set(events.told()) == (expected if KEEPS_STATE else expected - missed)
    assert not events.executed(other) & set(events.told())
    runs = events.airflow.api("GET", f"/dags/{EVENTS}/dagRuns")["dag_runs"]
    assert runs
    events.airflow.until(
        "the runs succeed",
        lambda: all(
            run["state"] == "success"
            for run in events.airflow.api("GET", f"/dags/{EVENTS}/dagRuns")["dag_runs"]
        ),
    )
