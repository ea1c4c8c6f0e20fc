"""A message as a phone would show it: a title, a text, and what else is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.sandbox.reading import parts

from .marks import Marks, cut


def content(message: Mapping[str, Any], marks: Marks) -> dict[str, Any]:
    """Make what is shown of a message: ``title``, ``text``, and ``details``: pairs of a label and a value.

    ``more`` is how many details are left out.
    """
    title, texts, details, more = parts(message)
    return {
        "title": marks.pieces(title),
        "text": marks.pieces("\n".join(texts)),
        "details": [[cut(marks.plain(label), 100), marks.pieces(value, 1000)] for label, value in details],
        "more": more,
    }
