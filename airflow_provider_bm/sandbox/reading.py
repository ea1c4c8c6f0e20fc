"""The parts of a message that a recipient reads: title, texts and details."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from airflow_provider_bm.campaigns.constants import JSON_TEMPLATE_SENDING_TYPES, WEBPUSH_FIELDS

MAX_DETAILS: Final = 50

_TITLES = ("title", "subject", "heading")
_TEXTS = ("text", "body", "message", "caption", "content", "description", "html")
#: Values inside of these are on a button, not part of the text.
_BUTTONS = re.compile(
    r"(inline_)?keyboard|buttons?|actions?|(quick_)?repl(y|ies)|suggestions?", re.IGNORECASE
)
_WEBPUSH_DETAILS = {"webpush_target_url": "opens", "webpush_icon": "icon", "webpush_image": "image"}


class Parts(NamedTuple):
    """The parts of a message."""

    title: str
    texts: list[str]
    #: Pairs of a label and a value.
    details: list[tuple[str, str]]
    #: Number of omitted details.
    more: int


def parts(message: Mapping[str, Any]) -> Parts:
    """Split a message into title, texts and details.

    The schema of JSON templates is not published. A property named like a title or a text is treated as such,
    and every other one is a detail.
    """
    text = str(message["text"])
    if message["channel"] == "webpush":
        body = str(message.get("webpush_body", text))
        return Parts(str(message.get("webpush_title", "")), [body], _webpush_details(message), 0)
    if message["channel"] in JSON_TEMPLATE_SENDING_TYPES:
        return _json_parts(text)
    return Parts("", [text], [], 0)


def texts(message: Mapping[str, Any]) -> Iterator[str]:
    """Return all texts of a message: as sent, and as read.

    In JSON, quotes, line breaks and perhaps umlauts are escaped.
    """
    yield message["text"]
    if message["channel"] == "webpush":
        yield from (message[name] for name in WEBPUSH_FIELDS if name in message)
    elif message["channel"] in JSON_TEMPLATE_SENDING_TYPES:
        try:
            parsed = json.loads(message["text"])
        except (ValueError, RecursionError):
            return
        yield from (value for _, _, _, value in _leaves(parsed) if isinstance(value, str))


def _webpush_details(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [(label, str(message[name])) for name, label in _WEBPUSH_DETAILS.items() if name in message]
    if "webpush_body" in message and message["text"] != message["webpush_body"]:
        found.append(("template", str(message["text"])))
    return found


def _json_parts(text: str) -> Parts:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return Parts("", [text], [], 0)
    titles: list[str] = []
    found: list[str] = []
    details: list[tuple[str, str]] = []
    more = 0
    for name, path, key, value in _leaves(parsed):
        if name in _TITLES and not titles and value is not None:
            titles.append(_text(value))
        elif name in _TEXTS and value is not None:
            found.append(_text(value))
        elif len(details) < MAX_DETAILS:
            details.append((".".join(_longer(path, key)), _text(value)))
        else:
            more += 1
    return Parts("".join(titles), found, details, more)


#: The end of a path, which is enough to identify a value.
_Path = tuple[str, ...]


def _leaves(parsed: Any) -> Iterator[tuple[str, _Path, str | int, Any]]:
    """Return each value with its name, empty if it is on a button, its path and its key.

    Without recursion, since JSON may be nested deeper than Python's limit; and without joining paths, since
    there may be a hundred thousand.
    """
    waiting: list[tuple[str, bool, _Path, str | int, Any]] = [("", False, (), "", parsed)]
    while waiting:
        name, on_button, path, key, value = waiting.pop()
        if isinstance(value, dict):
            here = _longer(path, key)
            waiting += [
                (inner.lower(), on_button or bool(_BUTTONS.fullmatch(inner)), here, inner, member)
                for inner, member in reversed(value.items())
            ]
        elif isinstance(value, list):
            here = _longer(path, key)
            waiting += [(name, on_button, here, n, value[n]) for n in range(len(value) - 1, -1, -1)]
        else:
            yield "" if on_button else name, path, key, value


def _longer(path: _Path, key: str | int) -> _Path:
    if isinstance(key, int):
        return (*path[:-1], f"{path[-1] if path else ''}[{key}]")
    return (*path[-2:], key) if key else path


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
