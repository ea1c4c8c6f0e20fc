"""Comparison of a campaign with what a task would send: channel, sender, lists, segment, schedule, text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import WEBPUSH_FIELDS
from airflow_provider_bm.campaigns.times import read_time
from airflow_provider_bm.campaigns.variables import fill_variables
from airflow_provider_bm.exceptions import truncated_repr

#: Fields that determine recipients, content and sender.
IDENTITY_FIELDS: Final = ("sender", "template", "recipient_lists")
#: All fields to compare with what a task would send.
CONTENT_FIELDS: Final = (
    "sending_type",
    *IDENTITY_FIELDS,
    "webpush_title",
    "webpush_body",
    "webpush_target_url",
    "webpush_icon",
    "webpush_image",
    "query_type",
    "query",
    "schedule_type",
    "schedule_rrule",
)

_ABSENT: Final = object()


def differences(
    expected: Mapping[str, Any], campaign: Mapping[str, Any], fields: tuple[str, ...] = CONTENT_FIELDS
) -> list[str]:
    """Return the fields in which a campaign differs from the expected content, each as a phrase.

    Ignores notation: white space, the order of lists and of JSON keys, and time zones.

    :param expected: the fields of a payload; missing fields are not compared. A tuple lists alternatives.
    :param campaign: as the server returned it
    """
    return [
        f"{name} is {truncated_repr(campaign.get(name))} instead of {truncated_repr(_alternatives(value)[0])}"
        for name in fields
        if (value := expected.get(name, _ABSENT)) is not _ABSENT
        and _normal(name, campaign.get(name)) not in [_normal(name, each) for each in _alternatives(value)]
    ]


def expected_content(content: Mapping[str, Any], template_vars: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the content of the campaign that a payload creates, for :func:`differences`.

    A text with variables has two alternatives: with and without their values filled in.

    :param content: the payload, with the fields that a clone inherits from its source
    """
    # A field that is absent is expected to be empty: a campaign with a segment is not one for the whole list.
    expected = {**dict.fromkeys(CONTENT_FIELDS), **content}
    for name in ("template", *WEBPUSH_FIELDS):
        text = content.get(name)
        if template_vars and isinstance(text, str):
            expected[name] = (fill_variables(text, template_vars), text)
    return expected


def _alternatives(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _normal(name: str, value: Any) -> Any:
    if value is None or value == "":
        return "all" if name == "query_type" else "now" if name == "schedule_type" else ""
    normalize: Callable[[Any], Any] = _NORMALIZERS.get(name, _text)
    try:
        return normalize(value)
    except (ValueError, TypeError, RecursionError):
        return _text(value)


def _text(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _template(value: Any) -> Any:
    is_json = isinstance(value, str) and value.lstrip().startswith(("{", "["))
    return _json(value) if is_json or not isinstance(value, str) else _text(value)


def _lists(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    return {str(part).strip().casefold() for part in parts if str(part).strip()}


def _schedule(value: Any) -> Any:
    text = str(value).strip()
    try:
        return read_time(text if any(sign in text[10:] for sign in "Zz+-") else f"{text}Z").astimezone(UTC)
    except ValueError:
        rule = text.upper().removeprefix("RRULE:").rstrip(";")
        return frozenset(rule.split(";")) if "\n" not in rule else " ".join(rule.split())


_NORMALIZERS: Final[dict[str, Callable[[Any], Any]]] = {
    "query": _json,
    "template": _template,
    "recipient_lists": _lists,
    "schedule_rrule": _schedule,
}
