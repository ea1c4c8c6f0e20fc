"""Collecting what is wrong with a payload, so that all of it is reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_bm.exceptions import Problem

#: Text that is the ``repr`` of a Python container, which is what Jinja makes of one.
_PYTHON_REPR = re.compile(r"\s*(?:[\[({]\s*)+(?:'|UUID\()")

NATIVE_HINT = (
    "this looks like a Python object that Jinja rendered as text: set render_template_as_native_obj=True "
    "on the DAG, or pass the XComArg itself (task.output)"
)
_NONE_HINT = "this is what Jinja makes of a value that is not there; leave the field out, or find the value"


class Problems(list[Problem]):
    """A list of problems with a short way to add one."""

    def add(self, field: str, value: Any, expected: str) -> None:
        """Note a problem.

        :param field: the field, as a path such as ``query.segmentation[0].operator``
        :param value: its value
        :param expected: what would be right
        """
        self.append(Problem(field, value, expected))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'sms'?``, or nothing if no known word is near.

    :param word: what was given
    :param known: what is known
    """
    if not isinstance(word, str):
        return ""
    spellings = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.strip().lower(), list(spellings), n=1)
    return f"; did you mean {spellings[near[0]]!r}?" if near else ""


def looks_like_python(text: str) -> bool:
    """Whether a text looks like the ``repr`` of a Python list, tuple or dict."""
    return _PYTHON_REPR.match(text) is not None


def check_choice(field: str, value: Any, allowed: tuple[str, ...], problems: Problems) -> str | None:
    """Check that a value is one of the API's words, spelled exactly so.

    :param field: the field
    :param value: its value
    :param allowed: the API's words
    :param problems: where a problem is noted
    :return: the word, or None if there is a problem
    """
    if isinstance(value, str) and value in allowed:
        return allowed[allowed.index(value)]
    problems.add(field, value, f"must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}")
    return None


def check_keys(
    path: str, mapping: Mapping[Any, Any], known: tuple[str, ...], problems: Problems, required: bool = True
) -> None:
    """Check a mapping's keys: none unknown and, if so asked, none missing.

    :param path: where the mapping stands, empty for the payload itself
    :param mapping: the mapping
    :param known: the keys that it may have
    :param problems: where problems are noted
    :param required: whether it must have all of them
    """
    prefix = f"{path}." if path else ""
    for key in mapping:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
            problems.add(f"{prefix}{key}", mapping[key], f"there is no such field{hint}")
    if required:
        for key in known:
            if key not in mapping:
                problems.add(f"{prefix}{key}", None, "is required")


def is_rendered_none(field: str, value: Any, problems: Problems) -> bool:
    """Whether a text is ``None`` in letters; notes the problem, since people would be sent that word.

    :param field: the field
    :param value: its value
    :param problems: where a problem is noted
    """
    if isinstance(value, str) and value.strip() == "None":
        problems.add(field, value, _NONE_HINT)
        return True
    return False


def json_problem(field: str, text: str, error: ValueError, wanted: str, problems: Problems) -> None:
    """Note that a text is not the JSON it should be.

    :param field: the field
    :param text: its value
    :param error: what :func:`parse_json` said
    :param wanted: what would be right
    :param problems: where the problem is noted
    """
    hint = f"; {NATIVE_HINT}" if looks_like_python(text) else ""
    problems.add(field, text, f"{wanted}: {error}{hint}")
