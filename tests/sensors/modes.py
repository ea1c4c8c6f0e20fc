"""Run a sensor in any of its modes, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, TaskDeferred

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS
from airflow_provider_bm.sensors import BMCampaignSensor
from airflow_provider_bm.triggers import BMCampaignTrigger
from tests.support import xcoms
from tests.support.virtual_time import run

#: Arguments of each mode.
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "deferred": {"deferrable": True},
    "ended": {"deferrable": True, "end_from_trigger": True},
    "started": {"start_from_trigger": True},
    "started and ended": {"start_from_trigger": True, "end_from_trigger": True},
}
if not HAS_TRIGGERER_TASKS:
    MODES = {name: arguments for name, arguments in MODES.items() if name in ("poke", "deferred")}


@dataclass
class Ended:
    """How a task ended.

    :ivar state: ``success``, ``skipped``, ``failed`` (without retries) or ``retry``
    :ivar where: ``worker`` or ``triggerer``
    """

    state: str
    where: str
    xcoms: dict[str, Any] = field(default_factory=dict)
    message: str = ""


class TaskInstance(SimpleNamespace):
    """The part of a task instance that a sensor and its trigger use."""

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.xcoms[key] = value

    def get_template_context(self) -> dict[str, Any]:
        return {"ti": self, "task_instance": self, "params": self.params, "task": self.task}


def task_instance(sensor: BMCampaignSensor, **params: Any) -> TaskInstance:
    return TaskInstance(
        dag_id="d",
        task_id=sensor.task_id,
        run_id="r",
        map_index=-1,
        try_number=1,
        task=sensor,
        params=params,
        xcoms={},
    )


def wait(
    sensor: BMCampaignSensor,
    *,
    meanwhile: Callable[[], object] = lambda: None,
    supervised: bool = True,
    **params: Any,
) -> Ended:
    """Run a sensor until it ends, as Airflow does.

    :param meanwhile: called once, between two polls
    :param supervised: whether triggers can push XComs
    """
    ti = task_instance(sensor, **params)
    context = ti.get_template_context()
    try:
        trigger = _start(sensor, ti, context, meanwhile)
        if isinstance(trigger, BMCampaignTrigger):
            trigger.task_instance = ti
            with xcoms.recorded(ti, ti.xcoms) if supervised else xcoms.refused():
                event = run(_event(trigger, meanwhile))
            state = getattr(event, "task_instance_state", None)
            if state is not None:
                assert not event.xcoms  # Airflow 3.3.2 would store each value as a text of JSON
                return Ended(str(state.value), "triggerer", ti.xcoms)
            sensor.render_template_fields(context)
            returned = sensor.resume_execution("execute_complete", {"event": event.payload}, context)
        else:
            returned = trigger
    except AirflowSkipException as error:
        return Ended("skipped", "worker", ti.xcoms, str(error))
    except AirflowException as error:
        permanent = type(error).__name__ in ("AirflowFailException", "AirflowSensorTimeout")
        return Ended("failed" if permanent else "retry", "worker", ti.xcoms, str(error))
    return Ended("success", "worker", {**ti.xcoms, "return_value": returned})


def _start(
    sensor: BMCampaignSensor, ti: TaskInstance, context: dict[str, Any], meanwhile: Callable[[], object]
) -> Any:
    """Return the trigger that the task defers with, or the result of `execute`."""
    if sensor.start_from_trigger:
        arguments = sensor.start_trigger_args
        trigger = BMCampaignTrigger(**arguments.trigger_kwargs)
        trigger.task_instance = ti
        trigger.timeout_after = datetime.now(UTC) + arguments.timeout
        trigger.render_template_fields(context)
        return trigger
    sensor.render_template_fields(context)
    if not sensor.deferrable:
        poke, called = sensor.poke, []

        def poke_then(context: Any) -> Any:
            result = poke(context)
            if not called:
                called.append(1)
                meanwhile()
            return result

        sensor.poke = poke_then
        return sensor.execute(context)
    try:
        return sensor.execute(context)
    except TaskDeferred as deferred:
        _, kwargs = deferred.trigger.serialize()
        return BMCampaignTrigger(**kwargs)


async def _event(trigger: BMCampaignTrigger, meanwhile: Callable[[], object]) -> Any:
    async def call_later() -> None:
        await asyncio.sleep(30)
        meanwhile()

    pending = asyncio.create_task(call_later())
    events = trigger.run()
    event = await anext(events)
    await events.aclose()
    pending.cancel()
    return event


def deadline(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
