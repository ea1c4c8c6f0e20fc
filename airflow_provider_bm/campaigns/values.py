"""Missing values, numbers and leftover Jinja in data from pipelines. Does not import pandas.

Used where a value becomes text: in rendered templates, in ``template_vars``, and in rows of a table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final

#: What Python, NumPy and pandas print for a value that is missing.
MISSING_TEXTS: Final = ("None", "nan", "NaN", "NaT", "<NA>")
#: Maximum decimal places of a float; more suggest a rounding error.
MAX_DECIMALS: Final = 6
_JINJA = re.compile(r"\{\{(?!\s*\d+\s*\}\}).*?\}\}|\{%.*?%\}", re.DOTALL)


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, NaT, ``<NA>``, Undefined, or the text of one of these."""
    if value is None:
        return True
    if isinstance(value, str):
        return value.strip() in MISSING_TEXTS
    if isinstance(value, (Mapping, list, tuple, AbstractSet)):
        return False
    if any(cls.__name__ in ("Undefined", "NAType", "NaTType") for cls in type(value).__mro__):
        return True
    try:
        return bool(value != value)
    except Exception:  # noqa: BLE001 - a foreign type may raise anything
        # A signaling NaN raises; an array or a data frame has no truth value.
        return isinstance(value, Decimal)


def leftover_jinja(text: str) -> str | None:
    """Return the first Jinja expression or statement in a text, or None.

    ``{{1}}``, as WhatsApp numbers its variables, is not Jinja.
    """
    match = _JINJA.search(text)
    return match[0] if match else None


def is_number(value: object) -> bool:
    """Return whether a value is a number: ``numbers.Real`` (so NumPy's too) or Decimal, but not a bool."""
    return (
        isinstance(value, (Real, Decimal)) and not isinstance(value, bool) and type(value).__name__ != "bool_"
    )


def is_readable(value: object) -> bool:
    """Return whether a value has a text of its own: no collection, no bytes, no ``<… object at 0x7f…>``."""
    if isinstance(value, (str, bool, timedelta)) or is_number(value):
        return True  # pendulum's intervals can be iterated, too
    return not isinstance(value, Iterable) and type(value).__str__ is not object.__str__


def format_number(value: Any, float_format: str | None = None) -> str:
    """Format a number for a message.

    :param value: a number, see :func:`is_number`
    :param float_format: format specification such as ``.2f``, applied to all but integers
    :raises ValueError: the number is infinite, would print more than six decimal places or an exponent and
        there is no ``float_format``, or the format is invalid
    """
    if isinstance(value, Integral):
        return str(int(value))  # ValueError over 4,300 digits
    if not math.isfinite(value):  # ValueError for a signaling NaN
        raise ValueError("must be a finite number, since people will read it")
    if float_format is not None:
        number = value if isinstance(value, Decimal) else float(value)
        try:
            return format(number, float_format)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"float_format={float_format!r} is not a format specification: {error}"
            ) from None
    # str(), not repr(): NumPy 2 prints np.float64(1.5) for the latter. float32 prints its own precision.
    text = str(value)
    decimals = text.partition(".")[2]
    if "e" in text.lower() or "/" in text or len(decimals) > MAX_DECIMALS:
        raise ValueError(
            f"would be sent as {text}; round it, or set float_format, such as float_format='.2f'"
        )
    return text
