"""Fields of plain text, the message template, and the variables of a cloned template."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import JSON_TEMPLATE_SENDING_TYPES
from airflow_provider_bm.campaigns.json_text import dump_json, parse_json
from airflow_provider_bm.campaigns.problems import (
    NATIVE_HINT,
    Problems,
    is_rendered_none,
    json_problem,
    looks_like_python,
)

#: Control characters that are white space to people.
_BREAKS: Final = "\t\n\v\f\r\x85"
_HALF_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def normalize_name(value: str) -> str:
    """Return a campaign's name in the form in which any server keeps it: stripped, white space collapsed.

    White space includes line breaks and tabs.

    :param value: the name
    :raises ValueError: it contains another control character or half of a surrogate pair, or is empty
    """
    name = " ".join(value.split())
    # str.split() takes the separators U+001C to U+001F for white space; they are control characters.
    unwanted = [char for char in value if unicodedata.category(char) == "Cc" and char not in _BREAKS]
    if unwanted:
        raise ValueError(f"must not contain the control character {unwanted[0]!r}")
    check_unicode(name)
    if not name:
        raise ValueError("must not be empty")
    return name


def check_unicode(text: str) -> None:
    """Check that a text can be sent.

    :param text: the text
    :raises ValueError: it contains half of a surrogate pair, as when text is cut in the middle of an emoji
    """
    half = _HALF_SURROGATE.search(text)
    if half is not None:
        raise ValueError(
            f"has half of a surrogate pair, {half[0]!r} at position {half.start()}: the text was cut in the "
            "middle of an emoji, or decoded wrongly"
        )


def check_text(field: str, value: Any, problems: Problems, *, may_be_empty: bool = False) -> str | None:
    """Check a field of plain text.

    :param field: the field
    :param value: a string, or a whole number, which native rendering makes of a string of digits
    :param problems: where a problem is noted
    :param may_be_empty: whether the empty text is fine; default False
    :return: the text, unchanged, or None if there is a problem
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        problems.add(field, value, "must be a string")
    elif not value.strip() and not may_be_empty:
        problems.add(field, value, "must not be empty")
    elif not is_rendered_none(field, value, problems):
        return value
    return None


def check_template(value: Any, sending_type: str | None, problems: Problems) -> str | None:
    """Check a message template: plain text for sms and webpush, else a JSON object.

    :param value: a string, or a mapping for the channels that take JSON
    :param sending_type: the channel; None if it is not known, as on a clone: then a string is not looked into
    :param problems: where a problem is noted
    :return: the text to send, or None if there is a problem

    Source: Campaign API 4.1 (``template``).
    """
    field = "template"
    is_json = sending_type in JSON_TEMPLATE_SENDING_TYPES
    if isinstance(value, Mapping):
        if sending_type is not None and not is_json:
            problems.add(field, value, f"must be plain text, since sending_type is {sending_type}")
        elif not value:
            problems.add(field, value, "must not be empty")
        else:
            try:
                return dump_json(dict(value))
            except ValueError as error:
                problems.add(field, value, f"must be something that JSON can hold: {error}")
        return None
    if not isinstance(value, str):
        wanted = "a string or a dict" if is_json or sending_type is None else "a string"
        problems.add(field, value, f"must be {wanted}")
        return None
    if not value.strip():
        problems.add(field, value, "must not be empty")
        return None
    if is_rendered_none(field, value, problems):
        return None
    if is_json:
        wanted = f"must be a JSON object, since sending_type is {sending_type}"
        try:
            parsed = parse_json(value)
        except ValueError as error:
            json_problem(field, value, error, wanted, problems)
            return None
        if not isinstance(parsed, dict) or not parsed:
            problems.add(field, value, wanted)
            return None
    return value


def check_template_vars(value: Any, problems: Problems) -> dict[str, str] | None:
    """Check the values for a cloned template's ``{variables}``. Text is never changed.

    :param value: a mapping of names without braces to strings or numbers
    :param problems: where problems are noted
    :return: the same with every value a string, or None if there is a problem

    Source: Campaign API 4.2 (``template_vars``).
    """
    field = "template_vars"
    if not isinstance(value, Mapping):
        hint = f": {NATIVE_HINT}" if isinstance(value, str) and looks_like_python(value) else ""
        problems.add(field, value, f"must be a dict such as {{'temp': '-22C'}}{hint}")
        return None
    before = len(problems)
    result: dict[str, str] = {}
    for name, content in value.items():
        if not isinstance(name, str) or not name.strip():
            problems.add(field, name, "a variable's name must be a string and not empty")
            continue
        path = f"{field}.{name}"
        if "{" in name or "}" in name:
            problems.add(path, content, f"a variable's name stands without braces: {name.strip('{} ')!r}")
        elif is_rendered_none(path, content, problems):
            continue
        elif isinstance(content, str):
            result[name] = content
        elif isinstance(content, bool) or not isinstance(content, int | float | Decimal):
            problems.add(path, content, "must be a string or a number, since people will read it")
        elif not math.isfinite(content):
            problems.add(path, content, "must be a finite number, since people will read it")
        else:
            result[name] = str(content)
    return result if len(problems) == before else None
