"""A message as a phone would show it: title, text and details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.sandbox.page.marks import Marks, cut
from airflow_provider_bm.sandbox.reading import parts


def content(message: Mapping[str, Any], marks: Marks) -> dict[str, Any]:
    """Return ``title``, ``text`` and ``details`` of a message: pairs of a label and a value.

    ``more`` is the number of omitted details.
    """
    title, texts, details, more = parts(message)
    return {
        "title": marks.pieces(title),
        "text": marks.pieces("\n".join(texts)),
        "details": [[cut(marks.plain(label), 100), marks.pieces(value, 1000)] for label, value in details],
        "more": more,
    }
