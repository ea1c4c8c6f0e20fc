"""Fields of plain text, the message template, and the variables of a cloned template."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import JSON_TEMPLATE_SENDING_TYPES
from airflow_provider_bm.campaigns.json_text import dump_json, parse_json
from airflow_provider_bm.campaigns.problems import (
    NATIVE_HINT,
    Problems,
    field_label,
    json_problem,
    looks_like_python,
)
from airflow_provider_bm.campaigns.values import format_number, is_missing, is_number
from airflow_provider_bm.campaigns.variables import strings_in
from airflow_provider_bm.exceptions import truncated_repr

#: Control characters that count as white space.
_BREAKS: Final = "\t\n\v\f\r\x85"
_HALF_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MISSING: Final = (
    "is a missing value, such as the result of a template expression or an empty cell: provide a value, or "
    "leave the field out"
)


def normalize_name(value: str) -> str:
    """Return a campaign's name in a form that every server keeps: stripped, white space collapsed.

    White space includes line breaks and tabs.

    :param value: the name
    :raises ValueError: it contains another control character or half of a surrogate pair, or is empty
    """
    name = " ".join(value.split())
    # str.split() treats the separators U+001C to U+001F as white space; they are control characters.
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
            f"contains half of a surrogate pair, {half[0]!r} at position {half.start()}: the text was cut in "
            "the middle of an emoji, or decoded wrongly"
        )


def check_text(field: str, value: Any, problems: Problems, *, may_be_empty: bool = False) -> str | None:
    """Check a field of plain text.

    :param field: the field
    :param value: a string, or a whole number, which native rendering makes of a string of digits
    :param problems: the list to which problems are added
    :param may_be_empty: whether an empty string is allowed; default False
    :return: the text, unchanged, or None if there is a problem
    """
    try:
        if is_missing(value):
            raise ValueError(_MISSING)
        text = format_number(value) if is_number(value) and isinstance(value, Integral) else value
        if not isinstance(text, str):
            raise ValueError("must be a string")
        if not text.strip() and not may_be_empty:
            raise ValueError("must not be empty")
        check_unicode(text)
    except ValueError as error:
        problems.add(field, value, str(error))
        return None
    return text


def check_name(value: Any, problems: Problems) -> str | None:
    """Check a campaign's name, and return it normalised, or None if there is a problem."""
    text = check_text("name", value, problems)
    if text is None:
        return None
    try:
        return normalize_name(text)
    except ValueError as error:
        problems.add("name", value, str(error))
        return None


def check_sender(value: Any, problems: Problems) -> str | None:
    """Check a sender, and return it unchanged, or None if there is a problem.

    A number is refused: it has lost its plus or leading zeros.
    """
    if is_number(value) and not is_missing(value):
        expected = "must be text, since a number has lost its plus or leading zeros"
        if isinstance(value, Integral):
            digits = truncated_repr(int(value))
            expected += f": write sender='+{digits}' or sender='{digits}'"
        problems.add("sender", value, expected)
        return None
    return check_text("sender", value, problems)


def check_template(value: Any, sending_type: str | None, problems: Problems) -> str | None:
    """Check a message template: plain text for sms and webpush, a JSON object for other channels.

    :param value: a string, or a mapping for the channels that take JSON
    :param sending_type: the channel; None if it is not known, as on a clone: a string is then not parsed
    :param problems: the list to which problems are added
    :return: the text to send, or None if there is a problem

    Source: Campaign API 4.1 (``template``).
    """
    field = "template"
    is_json = sending_type in JSON_TEMPLATE_SENDING_TYPES
    if isinstance(value, Mapping):
        return _check_json_template(value, sending_type, problems)
    if is_number(value):
        wanted = "a string or a dict" if is_json or sending_type is None else "a string"
        problems.add(field, value, f"must be {wanted}")
        return None
    text = check_text(field, value, problems)
    if text is None or not is_json:
        return text
    wanted = f"must be a JSON object, since sending_type is {sending_type}"
    try:
        parsed = parse_json(text)
        # It may contain an escaped half of a surrogate pair.
        check_unicode(dump_json(parsed))
    except ValueError as error:
        json_problem(field, text, error, wanted, problems)
        return None
    if not isinstance(parsed, dict) or not parsed:
        problems.add(field, value, "must not be empty" if parsed == {} else wanted)
        return None
    return text if _has_values(parsed, problems) else None


def _has_values(template: Mapping[Any, Any], problems: Problems) -> bool:
    """Check that no text in a JSON template is a missing value."""
    missing = next((text for text in strings_in(template) if is_missing(text)), None)
    if missing is not None:
        problems.add("template", missing, _MISSING)
    return missing is None


def _check_json_template(
    value: Mapping[Any, Any], sending_type: str | None, problems: Problems
) -> str | None:
    expected = None
    if sending_type is not None and sending_type not in JSON_TEMPLATE_SENDING_TYPES:
        expected = f"must be plain text, since sending_type is {sending_type}"
    elif not value:
        expected = "must not be empty"
    else:
        try:
            text = dump_json(dict(value))
            check_unicode(text)
        except ValueError as error:
            expected = f"must be serializable as JSON: {error}"
        else:
            return text if _has_values(value, problems) else None
    problems.add("template", value, expected)
    return None


def check_template_vars(
    value: Any, problems: Problems, float_format: str | None = None
) -> dict[str, str] | None:
    """Check the values for a cloned template's ``{variables}``. Text is never changed.

    :param value: a mapping of names without braces to strings or numbers
    :param problems: the list to which problems are added
    :param float_format: format of numbers that are not whole, such as ``.2f``; default: as printed,
        up to six decimal places
    :return: the mapping with all values as strings, or None if there is a problem

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
        try:
            check_unicode(name)
            if "{" in name or "}" in name:
                raise ValueError(f"write a variable's name without braces: {name.strip('{} ')!r}")
            result[name] = _variable_text(content, float_format)
        except ValueError as error:
            problems.add(f"{field}.{field_label(name)}", content, str(error))
    return result if len(problems) == before else None


def _variable_text(content: Any, float_format: str | None) -> str:
    if is_missing(content):
        raise ValueError(_MISSING)
    if is_number(content):
        return format_number(content, float_format)
    if not isinstance(content, str):
        raise ValueError("must be a string or a number, since people will read it")
    check_unicode(content)
    return content
