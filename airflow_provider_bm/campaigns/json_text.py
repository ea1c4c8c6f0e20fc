"""JSON, read strictly and written compactly."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse_json(text: str) -> Any:
    """Parse JSON strictly: ``NaN`` and repeated keys are errors.

    :param text: the JSON
    :raises ValueError: the text is not JSON, or is nested too deeply; the message says where
    """
    try:
        return json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_reject_repeated_keys)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump_json(value: Any) -> str:
    """Serialize a value compactly, without escaping letters.

    :param value: anything that JSON can represent
    :raises ValueError: JSON cannot represent the value
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except TypeError as error:
        raise ValueError(str(error)) from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {name!r} occurs twice in one object")
            seen.add(name)
    return result
