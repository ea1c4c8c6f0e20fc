"""Checks of a task's arguments when it is constructed: what can never be right fails when the DAG is parsed.

Only literals are checked: no templates in templated fields, and no XComs. Whether the content of a
campaign is valid is checked before the first request, by :mod:`airflow_provider_bm.campaigns`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from numbers import Number
from typing import Any, Final
from uuid import UUID

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_bm.campaigns.constants import (
    OPTIONAL_FIELDS,
    QUERY_TYPES,
    SCHEDULE_TYPES,
    SENDING_TYPES,
    STATUSES,
    WEBPUSH_FIELDS,
)
from airflow_provider_bm.exceptions import BMPayloadError, Problem

#: Longer durations, and infinity, do not fit into a timedelta from now.
_MAX_SECONDS: Final = 10**9
#: Returns what would be right, or None if the value may be right.
Check = Callable[[Any], str | None]


class BMArgumentError(BMPayloadError, AirflowFailException):
    """An argument can never be right. A mapped task, which is constructed late, fails without retries."""


def one_of(*choices: str) -> Check:
    """Return a check that a value is one of these."""

    def check(value: Any) -> str | None:
        if isinstance(value, str) and value in choices:
            return None
        from airflow_provider_bm.campaigns.problems import did_you_mean

        return f"must be one of {', '.join(choices)}{did_you_mean(value, choices)}"

    return check


def some_of(*choices: str) -> Check:
    """Return a check that a value is a list of these, or names them separated by commas."""
    expected = f"must be some of {', '.join(choices)}"

    def check(value: Any) -> str | None:
        parts = _parts(value)
        if all(part in choices or not part or not _is_literal(part) for part in parts):
            return None
        return expected

    return check


def is_a(expected: str, *types: type, but: tuple[type, ...] = (bool,)) -> Check:
    """Return a check that a value is of one of these types."""
    return lambda value: None if isinstance(value, types) and not isinstance(value, but) else expected


def _is_not_a(expected: str, *types: type) -> Check:
    return lambda value: expected if isinstance(value, types) else None


def _whole_number(lowest: int, highest: int | None = None) -> Check:
    limits = f"from {lowest}" if highest is None else f"from {lowest} to {highest}"

    def check(value: Any) -> str | None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if is_whole and lowest <= value and (highest is None or value <= highest):
            return None
        return f"must be a whole number {limits}"

    return check


def _limit(value: Any) -> str | None:
    # A template renders to a text.
    return _whole_number(1)(int(value) if isinstance(value, str) and value.isdecimal() else value)


def _duration(value: Any) -> str | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if is_number and 0 < seconds < _MAX_SECONDS:
        return None
    return "must be a number of seconds above 0, or a timedelta"


def _max_age(value: Any) -> str | None:
    from airflow_provider_bm.operators.guards import parse_max_age

    return _problem_of(parse_max_age, value)


def _send_window(value: Any) -> str | None:
    from airflow_provider_bm.campaigns import SendWindow

    return _problem_of(SendWindow.parse, value)


def _problem_of(parse: Callable[[Any], object], value: Any) -> str | None:
    try:
        parse(value)
    except BMPayloadError as error:
        return error.problems[0].expected
    return None


def _float_format(value: Any) -> str | None:
    expected = "must be a format specification, such as '.2f'"
    try:
        format(1.5, value)
    except (ValueError, TypeError):
        return expected
    return None if value else expected


def _number_range(value: Any) -> str | None:
    numbers = value if isinstance(value, (tuple, list)) and len(value) == 2 else [None]
    if all(isinstance(each, int) and not isinstance(each, bool) for each in numbers):
        return None
    return "must be the lowest and the highest number, such as (1, 50)"


def _parts(value: Any) -> list[Any]:
    """Return the members of a list or set, or the parts of a comma separated text."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    is_collection = isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, bytes)
    return list(value) if is_collection else [value]


def _names(value: Any) -> str | None:
    if all(isinstance(part, str) or not _is_literal(part) for part in _parts(value)):
        return None
    return "must be a list of names, or names separated by commas"


_TEXT: Final = is_a("must be a string", str)
_SENDER: Final = is_a("must be a string, such as '+41587000000': a number has lost its plus or zeros", str)
_LABEL: Final = is_a("must be a string", str, Number)
_ID: Final = is_a("must be a UUID", str, UUID)
_FLAG: Final = is_a("must be True or False", bool, but=())
_LISTS: Final = is_a(
    "must be a list of UUIDs, or UUIDs separated by commas", str, UUID, Sequence, AbstractSet, but=(bytes,)
)
_MOMENT: Final = _is_not_a("must be an aware datetime, or text", bool, Number, Mapping, list, tuple)

CHECKS: Final[Mapping[str, Check]] = {
    "allow_immediate": _FLAG,
    "allow_second_execution": _FLAG,
    "allowed_variables": _names,
    "bm_conn_id": _TEXT,
    "campaign_uuid": _ID,
    "clone_uuid": _ID,
    "deduplicate": _FLAG,
    "deferrable": _FLAG,
    "event": _TEXT,
    "executed_after": _MOMENT,
    "expected_rows": _number_range,
    "failed_status": some_of(*STATUSES),
    "fields": some_of(*OPTIONAL_FIELDS),
    "float_format": _float_format,
    "hash_phone_numbers": _FLAG,
    "key": _names,
    "limit": _limit,
    "max_age": _max_age,
    "max_campaigns": _whole_number(0),
    "max_failures": _whole_number(0),
    "max_workers": _whole_number(1, 10),
    "missing_ok": _FLAG,
    "name": _LABEL,
    "on_draft_only": one_of("succeed", "fail", "skip"),
    "on_empty": one_of("warn", "fail", "skip"),
    "on_error": one_of("stop", "continue"),
    "on_invalid": one_of("fail", "skip"),
    "on_reject": one_of("keep", "delete"),
    "on_removed_rows": one_of("fail", "warn"),
    "on_stale": one_of("fail", "skip"),
    "on_unknown_variable": one_of("fail", "warn"),
    "poke_interval": _duration,
    "query": _is_not_a("must be a SegmentationQuery, a dict, or JSON", bool, Number, list, tuple, bytes),
    "query_type": one_of(*QUERY_TYPES),
    "recipient_lists": _LISTS,
    "replace": _FLAG,
    "response_timeout": is_a("must be a timedelta", timedelta),
    "schedule_rrule": _MOMENT,
    "schedule_type": one_of(*SCHEDULE_TYPES),
    "send_window": _send_window,
    "sender": _SENDER,
    "sending_type": one_of(*SENDING_TYPES),
    "service_uuid": _ID,
    "sql": _TEXT,
    "sql_conn_id": _TEXT,
    "staged": _FLAG,
    "stop_on_kill": _FLAG,
    "target_status": one_of(*STATUSES),
    "template": is_a("must be a string or a dict", str, Mapping),
    "template_vars": is_a("must be a dict such as {'temp': '-22C'}", Mapping),
    "timeout": _duration,
    "wait_for_completion": _FLAG,
    **dict.fromkeys(WEBPUSH_FIELDS, _LABEL),
}


def check_arguments(task: Any, label: str | None) -> None:
    """Check the arguments of a task or notifier, its attributes so far, that are literals.

    :param task: its class may override checks with ``argument_checks``, and add some about several
        arguments with ``argument_problems()``
    :param label: the ``task_id``; None: it has none
    :raises BMArgumentError: naming each argument that can never be right
    """
    cls: type = type(task)
    defaults, own = _defaults(cls), task.argument_checks
    problems = []
    for name, default in defaults.items():
        check, value = own.get(name) or CHECKS.get(name), vars(task).get(name, default)
        if check is None or value is default or (value is None and name in _NONE_MEANS_ANY):
            continue
        if name in task.template_fields and not _is_literal(value):
            continue
        if expected := check(value):
            problems.append(Problem(name, value, expected))
    problems += task.argument_problems()
    if problems:
        subject = f"arguments of {cls.__name__}" + (f" {label!r}" if label else "")
        raise BMArgumentError(problems, subject)


def suggestions(cls: type, names: Iterable[str]) -> str:
    """Return hints for arguments that a class does not have, such as ``; did you mean 'bm_conn_id'?``."""
    from airflow_provider_bm.campaigns.problems import did_you_mean

    known = _parameters(cls.__mro__)
    return "".join(did_you_mean(name, known) for name in names if name not in known)


def schedule_and_query_problems(task: Any) -> Iterator[Problem]:
    """Yield the contradictions between schedule and type, and query and type."""
    if task.schedule_type == "now" and _is_given(task.schedule_rrule):
        yield Problem("schedule_type", "now", "contradicts schedule_rrule; leave one of them out")
    if task.query_type == "all" and _is_given(task.query):
        yield Problem("query_type", "all", "contradicts query; leave one of them out")


def missing_parts(task: Any) -> Iterator[Problem]:
    """Yield what a complete campaign lacks."""
    if task.schedule_type in ("once", "scheduled") and task.schedule_rrule is None:
        yield Problem("schedule_rrule", None, f"schedule_type {task.schedule_type!r} needs it")
    if task.query_type == "segmentation" and task.query is None:
        yield Problem("query", None, "query_type 'segmentation' needs it")


#: Arguments whose default is something else, and for which None means: no limit.
_NONE_MEANS_ANY: Final = ("max_age", "limit", "max_campaigns")


@functools.cache
def _defaults(cls: type) -> dict[str, Any]:
    """Return the parameters of this package's classes with their defaults.

    Base classes first: a user's subclass may have None as default where None is not valid.
    """
    package = __name__.partition(".")[0]
    return _parameters(each for each in reversed(cls.__mro__) if each.__module__.startswith(f"{package}."))


def _parameters(classes: Iterable[type]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in classes:
        if "__init__" in vars(each) and each is not object:
            for parameter in inspect.signature(vars(each)["__init__"]).parameters.values():
                if (
                    parameter.kind is parameter.KEYWORD_ONLY
                    or parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                ):
                    found.setdefault(parameter.name, parameter.default)
    found.pop("self", None)
    return found


def _is_literal(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    return not hasattr(value, "resolve")  # An XComArg.


def _is_given(value: Any) -> bool:
    return value is not None and _is_literal(value)
