"""A message as a phone would show it: a title, a text, and what else is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from airflow_provider_bm.campaigns.vocabulary import JSON_TEMPLATE_SENDING_TYPES

from .marks import Marks, cut

MAX_DETAILS: Final = 50

_TITLES = ("title", "subject", "heading")
_TEXTS = ("text", "body", "message", "caption", "content", "description", "html")
#: What is inside of these is on a button, and no part of the text.
_BUTTONS = re.compile(
    r"(inline_)?keyboard|buttons?|actions?|(quick_)?repl(y|ies)|suggestions?", re.IGNORECASE
)
_WEBPUSH_DETAILS = {"webpush_target_url": "opens", "webpush_icon": "icon", "webpush_image": "image"}


def content(message: Mapping[str, Any], marks: Marks) -> dict[str, Any]:
    """Make what is shown of a message: ``title``, ``text``, and ``details``: pairs of a label and a value.

    The inner model of JSON templates is not published. What is named like a title or a text is shown as one,
    and everything else by its name. ``more`` is how many details are left out.
    """
    text, more = str(message["text"]), 0
    if message["channel"] == "webpush":
        title, details = str(message.get("webpush_title", "")), _webpush_details(message)
        if "webpush_body" in message:
            text = str(message["webpush_body"])
    elif message["channel"] in JSON_TEMPLATE_SENDING_TYPES:
        title, text, details, more = _parts(text)
    else:
        title, details = "", []
    return {
        "title": marks.pieces(title),
        "text": marks.pieces(text),
        "details": [[cut(marks.plain(label), 100), marks.pieces(value, 1000)] for label, value in details],
        "more": more,
    }


def _webpush_details(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [(label, str(message[name])) for name, label in _WEBPUSH_DETAILS.items() if name in message]
    if "webpush_body" in message and message["text"] != message["webpush_body"]:
        found.append(("template", str(message["text"])))
    return found


def _parts(text: str) -> tuple[str, str, list[tuple[str, str]], int]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return "", text, [], 0
    titles: list[str] = []
    texts: list[str] = []
    details: list[tuple[str, str]] = []
    more = 0
    for name, path, key, value in _leaves(parsed):
        if name in _TITLES and not titles and value is not None:
            titles.append(_text(value))
        elif name in _TEXTS and value is not None:
            texts.append(_text(value))
        elif len(details) < MAX_DETAILS:
            details.append((".".join(_longer(path, key)), _text(value)))
        else:
            more += 1
    return "".join(titles), "\n".join(texts), details, more


#: A path's end: of a long one it says what is there.
_Path = tuple[str, ...]


def _leaves(parsed: Any) -> Iterator[tuple[str, _Path, str | int, Any]]:
    """Give each value with its name, none if it is on a button, and where it is.

    Not by recursion, as JSON may be nested deeper than Python likes; and paths are not made before they are
    needed, as there may be a hundred thousand.
    """
    waiting: list[tuple[str, bool, _Path, str | int, Any]] = [("", False, (), "", parsed)]
    while waiting:
        name, on_button, path, key, value = waiting.pop()
        if isinstance(value, dict):
            here = _longer(path, key)
            waiting += [
                (inner.lower(), on_button or bool(_BUTTONS.fullmatch(inner)), here, inner, one)
                for inner, one in reversed(value.items())
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
