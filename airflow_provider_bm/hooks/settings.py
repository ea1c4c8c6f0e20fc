"""Client settings from an Airflow connection and section ``[bm]`` of Airflow's configuration.

The one place that reads both: for hook, triggers and poller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_bm.client.connection import (
    hide_connection,
    read_boolean,
    read_recipient_lists,
    settings_of,
)
from airflow_provider_bm.exceptions import BMConfigError

if TYPE_CHECKING:
    from airflow_provider_bm.client.connection import AirflowConnection
    from airflow_provider_bm.client.settings import BMSettings

SECTION = "bm"
DEFAULT_MAX_AGE = timedelta(days=1)
T = TypeVar("T")


@hide_connection
def configured_settings(connection: AirflowConnection, service_uuid: str | None = None) -> BMSettings:
    """Read a connection, and restrict it by section ``[bm]``: where both restrict, both apply.

    :param service_uuid: the BM account to use instead of the connection's (field Schema)
    :raises BMConfigError: naming the field or option that is missing or wrong
    :raises BMPayloadError: ``service_uuid`` is not a UUID
    """
    settings = settings_of(connection, service_uuid)
    return replace(
        settings,
        draft_only=_option("draft_only", read_boolean, False) or settings.draft_only,
        allowed_recipient_lists=_intersection(
            settings.allowed_recipient_lists, _option("allowed_recipient_lists", read_recipient_lists, None)
        ),
        key_namespace=_option("key_namespace", str, ""),
        max_age=_max_age(),
    )


def _option(name: str, read: Callable[[Any], T], default: T) -> T:
    """Read an option; empty: the default."""
    value = conf.get(SECTION, name, fallback="")
    if value is None or not str(value).strip():
        return default
    try:
        return read(str(value).strip())
    except ValueError as error:
        failure = BMConfigError(f"[{SECTION}] {name} of Airflow's configuration: {error}")
    raise failure


def _max_age() -> timedelta | None:
    value = conf.get(SECTION, "max_age", fallback=None)
    if value is None:
        return DEFAULT_MAX_AGE
    return _option("max_age", _seconds, None)


def _seconds(text: str) -> timedelta:
    try:
        age = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        age = timedelta(0)
    if age <= timedelta(0):
        raise ValueError(f"must be a number of seconds above 0, or empty, not {text!r}")
    return age


def _intersection(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return what both allow; None allows everything."""
    if one is None or other is None:
        return other if one is None else one
    return tuple(name for name in one if name in other)
