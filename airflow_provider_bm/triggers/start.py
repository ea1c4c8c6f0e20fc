"""Starting a sensor in the triggerer, without a worker process (Airflow 3.3+)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_bm._compat import HAS_TRIGGERER_TASKS, has_execute_hook
from airflow_provider_bm.triggers.campaign import CLASS_PATH, DEFER_MARGIN
from airflow_provider_bm.triggers.deferral import end_arguments

if TYPE_CHECKING:
    from airflow.triggers.base import StartTriggerArgs


def start_arguments(sensor: Any) -> tuple[StartTriggerArgs | None, str]:
    """Return the arguments to start a sensor in the triggerer, or the reason why it must start on a worker.

    The templated fields are passed as they are: Airflow renders them in the triggerer.

    :param sensor: a :class:`.BMCampaignSensor`
    """
    if not HAS_TRIGGERER_TASKS:
        return None, "Airflow is older than 3.3"
    if sensor.execution_timeout is not None:
        # Airflow would end the wait at that time, as if it were the trigger's own timeout.
        return None, "execution_timeout is set; use timeout"
    if sensor.on_execute_callback:
        return None, "the task has on_execute_callback"
    if has_execute_hook(sensor, "pre_execute"):
        return None, "the task has pre_execute"
    fields: dict[str, Any] = {}
    for name in sensor.template_fields:
        value = getattr(sensor, name)
        if type(value).__name__ == "PlainXComArg":
            value = str(value)  # a template, by Airflow's documentation
        elif isinstance(value, datetime):
            value = value.isoformat()
        elif hasattr(value, "resolve"):
            return None, f"{name} is {type(value).__name__}, which Airflow cannot render in the triggerer"
        elif isinstance(value, (tuple, set, frozenset)):
            value = list(value)
        fields[name] = value
    from airflow.triggers.base import StartTriggerArgs

    kwargs = {
        **fields,
        "poke_interval": sensor.poke_interval,
        "max_poke_interval": sensor.max_poke_interval,
        "timeout": sensor.timeout,
        "on_empty": sensor.on_empty,
        **end_arguments(sensor, end_from_trigger=sensor.end_from_trigger, return_value="campaign"),
    }
    arguments = StartTriggerArgs(
        trigger_cls=CLASS_PATH,
        trigger_kwargs=kwargs,
        next_method="execute_complete",
        next_kwargs=None,
        timeout=timedelta(seconds=sensor.timeout) + DEFER_MARGIN,
    )
    return arguments, ""
