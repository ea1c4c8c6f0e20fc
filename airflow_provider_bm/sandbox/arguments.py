"""Validation of caller arguments, which may come from JSON, with readable errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_bm.campaigns.problems import did_you_mean


def number(name: str, value: object, maximum: float) -> float:
    """Return a number from 0 to ``maximum``.

    :raises ValueError: it is not such a number; a boolean is not a number
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise ValueError(f"{name} must be a number from 0 to {maximum:.15g}, not {value!r}")
    return float(value)


def boolean(name: str, value: object) -> bool:
    """Return a boolean.

    :raises ValueError: it is not a boolean; the text ``"no"`` would count as true
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r}")
    return value


def strings(values: Mapping[str, object]) -> dict[str, str | None]:
    """Return strings by name; None for those that are not set.

    :raises ValueError: a value is something else, which would never match anything
    """
    checked: dict[str, str | None] = {}
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} must be a string, not {value!r}")
        checked[name] = value
    return checked


def choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed values.

    :raises ValueError: it is not one of them
    """
    if not isinstance(value, str) or value not in allowed:
        hint = did_you_mean(value, allowed)
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}{hint}")
    return value


def uuids(name: str, value: object) -> list[str]:
    """Return a list of UUIDs.

    :raises ValueError: it is not a list; a string would be taken for a list of its letters
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a list of UUIDs, not {value!r}")
    return list(value)


def header_text(name: str, value: object) -> str:
    """Return the value of an HTTP header: one line of text, or a number.

    :raises ValueError: it is neither
    """
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "\r" in text or "\n" in text:
        raise ValueError(f"{name} must be one line of text, not {value!r}")
    return text
