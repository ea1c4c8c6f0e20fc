"""Variables without a value, distinguished from text that only looks like one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Final

from airflow_provider_bm.exceptions import truncate

#: Longer texts are truncated: nobody reads megabytes on a page.
MAX_TEXT: Final = 10_000

#: A text; or ``{"unknown": "{temp}"}``, which is sent unchanged, since contacts do not have such a field; or
#: ``{"empty": "first_name"}``, a field without a value, which is sent as nothing.
Piece = str | dict[str, str]


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Truncate a text that is too long to be shown."""
    return truncate(text, limit)


class Marks:
    """Finds variables in a message that was rendered with ``sign`` around each."""

    def __init__(self) -> None:
        """Choose a sign that no text contains."""
        self.sign: Final = "\ufdd0" + secrets.token_hex(4)
        self._marked = re.compile(f"{self.sign}(.*?){self.sign}", re.DOTALL)

    def plain(self, text: str) -> str:
        """Return a text as it is sent."""
        return self._marked.sub(lambda found: found[1] if found[1].startswith("{") else "", text)

    def pieces(self, text: str, limit: int = MAX_TEXT) -> list[Piece]:
        """Split a text into pieces, and truncate it if it is long."""
        pieces: list[Piece] = []
        remaining = limit
        for piece, words in self._split(text):
            if len(words) > remaining:
                beginning = words[:remaining] if isinstance(piece, str) else ""
                return [*pieces, f"{beginning}… ({len(self.plain(text))} characters)"]
            remaining -= len(words)
            pieces.append(piece)
        return pieces

    def _split(self, text: str) -> Iterator[tuple[Piece, str]]:
        """Return each piece with the words that are sent."""
        for number, words in enumerate(self._marked.split(text)):
            if number % 2 == 0:
                if words:
                    yield words, words
            elif words.startswith("{"):
                yield {"unknown": words}, words
            else:
                yield {"empty": words}, ""
