"""Collection of validation problems, so that all of them are reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_bm.exceptions import Problem, truncated_repr

#: Text that is the ``repr`` of a Python container, which is what Jinja makes of one.
_PYTHON_REPR = re.compile(r"\s*(?:[\[({]\s*)+(?:'|UUID\()")

NATIVE_HINT = (
    "this looks like a Python object that Jinja rendered as text: set render_template_as_native_obj=True "
    "on the DAG, or pass the XComArg itself (task.output)"
)


class Problems(list[Problem]):
    """A list of problems."""

    def add(self, field: str, value: Any, expected: str) -> None:
        """Add a problem.

        :param field: the field, as a path such as ``query.segmentation[0].operator``
        :param value: its value
        :param expected: what would be right
        """
        self.append(Problem(field, value, expected))


def field_label(name: object) -> str:
    """Return a field's name for messages; a mapping's key may be any object.

    :param name: the key
    """
    return name if isinstance(name, str) and name.isprintable() else truncated_repr(name)


def sort_key(value: object) -> str:
    """Return a key that sorts a set of any values, so that a task always sends the same payload.

    :param value: a member of the set
    """
    return value if isinstance(value, str) else truncated_repr(value)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'sms'?``, or an empty text if no known word is similar.

    :param word: the unknown word
    :param known: the known words
    """
    if not isinstance(word, str):
        return ""
    spellings = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.strip().lower(), list(spellings), n=1)
    return f"; did you mean {spellings[near[0]]!r}?" if near else ""


def looks_like_python(text: str) -> bool:
    """Return whether a text looks like the ``repr`` of a Python list, tuple or dict."""
    return _PYTHON_REPR.match(text) is not None


def check_choice(field: str, value: Any, allowed: tuple[str, ...], problems: Problems) -> str | None:
    """Check that a value is one of the API's values, with the same spelling.

    :param field: the field
    :param value: its value
    :param allowed: the API's values
    :param problems: the list to which problems are added
    :return: the value, or None if there is a problem
    """
    if isinstance(value, str) and value in allowed:
        return allowed[allowed.index(value)]
    problems.add(field, value, f"must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}")
    return None


def check_keys(
    path: str, mapping: Mapping[Any, Any], known: tuple[str, ...], problems: Problems, required: bool = True
) -> None:
    """Check a mapping's keys: none unknown and, if required, none missing.

    :param path: where the mapping is, empty for the payload itself
    :param mapping: the mapping
    :param known: the keys that it may have
    :param problems: the list to which problems are added
    :param required: whether it must have all of them; default True
    """
    prefix = f"{path}." if path else ""
    for key in mapping:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
            problems.add(f"{prefix}{field_label(key)}", mapping[key], f"there is no such field{hint}")
    if required:
        for key in known:
            if key not in mapping:
                problems.add(f"{prefix}{key}", None, "is required")


def json_problem(field: str, text: str, error: ValueError, expected: str, problems: Problems) -> None:
    """Add the problem that a text is not the expected JSON.

    :param field: the field
    :param text: its value
    :param error: the error of :func:`.parse_json`
    :param expected: what would be right
    :param problems: the list to which the problem is added
    """
    hint = f"; {NATIVE_HINT}" if looks_like_python(text) else ""
    problems.add(field, text, f"{expected}: {error}{hint}")
