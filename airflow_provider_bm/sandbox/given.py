"""What callers give, perhaps in JSON: said in words if it is not what it must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_bm.campaigns.problems import did_you_mean


def number(name: str, value: object, most: float) -> float:
    """Take a number from 0 to ``most``.

    :raises ValueError: if it is none; true and false are none either.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a number from 0 to {most:.15g}, not {value!r}")
    return float(value)


def truth(name: str, value: object) -> bool:
    """Take true or false.

    :raises ValueError: if it is neither: the text ``"no"`` would count as true.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r}")
    return value


def strings(given: Mapping[str, object]) -> dict[str, str | None]:
    """Take texts by their names, None for those that are not given.

    :raises ValueError: if one is something else: nothing would be found by it, whatever there is.
    """
    taken: dict[str, str | None] = {}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} must be a string, not {value!r}")
        taken[name] = value
    return taken


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Take one of these words, spelled exactly so.

    :raises ValueError: if it is none of them.
    """
    if value not in allowed:
        hint = did_you_mean(value, allowed)
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}{hint}")
    return value


def uuids(name: str, value: object) -> list[str]:
    """Take a list of UUIDs.

    :raises ValueError: if it is none: one text would be taken for a list of its letters.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a list of UUIDs, not {value!r}")
    return list(value)


def header_text(name: str, value: object) -> str:
    """Take the value of an HTTP header: a text of one line, or a number.

    :raises ValueError: if it is neither.
    """
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "\r" in text or "\n" in text:
        raise ValueError(f"{name} must be a text of one line, not {value!r}")
    return text
