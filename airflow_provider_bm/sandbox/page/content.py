"""A message as a phone would show it: a title, a text, and what else is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from airflow_provider_bm.campaigns.vocabulary import JSON_TEMPLATE_SENDING_TYPES

#: Longer texts are cut: a page is no place to read megabytes.
MAX_TEXT: Final = 10_000
MAX_DETAILS: Final = 50

_TITLES = ("title", "subject", "heading")
_TEXTS = ("text", "body", "message", "caption", "content")
_WEBPUSH_DETAILS = {"webpush_target_url": "opens", "webpush_icon": "icon", "webpush_image": "image"}


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Shorten a text that is too long to be shown."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def content(message: Mapping[str, Any]) -> dict[str, Any]:
    """Make what is shown of a message: ``title``, ``text`` and ``details``, pairs of a label and a value.

    The inner model of JSON templates is not published. What is named like a title or a text is shown as one,
    and everything else by its name.
    """
    text = str(message["text"])
    if message["channel"] == "webpush":
        title, details = str(message.get("webpush_title", "")), _webpush_details(message)
        if "webpush_body" in message:
            text = str(message["webpush_body"])
    elif message["channel"] in JSON_TEMPLATE_SENDING_TYPES:
        title, text, details = _parts(text)
    else:
        title, details = "", []
    shown = [[cut(label, 100), cut(value, 1000)] for label, value in details[:MAX_DETAILS]]
    return {"title": cut(title), "text": cut(text), "details": shown}


def _webpush_details(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [(label, str(message[name])) for name, label in _WEBPUSH_DETAILS.items() if name in message]
    if "webpush_body" in message and message["text"] != message["webpush_body"]:
        found.append(("template", str(message["text"])))
    return found


def _parts(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    try:
        leaves = list(_leaves(json.loads(text)))
    except (ValueError, RecursionError):
        return "", text, []
    titles: list[str] = []
    texts: list[str] = []
    details: list[tuple[str, str]] = []
    for path, value in leaves:
        name = path.rpartition(".")[2].partition("[")[0].lower()
        if name in _TITLES and not titles:
            titles.append(value)
        elif name in _TEXTS:
            texts.append(value)
        else:
            details.append((path, value))
    return "".join(titles), "\n".join(texts), details


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)
