"""Variables that have no value, told from text that only looks like one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Final

#: Longer texts are cut: a page is no place to read megabytes.
MAX_TEXT: Final = 10_000

#: A text; or ``{"unknown": "{temp}"}``, which stands there as it is, as no contact has such a field; or
#: ``{"empty": "first_name"}``, a field that this contact has no value of, so that nothing stands there.
Piece = str | dict[str, str]


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Shorten a text that is too long to be shown."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


class Marks:
    """Finds them in a message that was rendered with ``sign`` around each."""

    def __init__(self) -> None:
        """Make a sign that no text has in it."""
        self.sign: Final = "\ufdd0" + secrets.token_hex(4)
        self._marked = re.compile(f"{self.sign}(.*?){self.sign}", re.DOTALL)

    def plain(self, text: str) -> str:
        """Give a text as it is sent."""
        return self._marked.sub(lambda found: found[1] if found[1].startswith("{") else "", text)

    def pieces(self, text: str, limit: int = MAX_TEXT) -> list[Piece]:
        """Take a text apart, and cut it if it is long."""
        made: list[Piece] = []
        left = limit
        for piece, words in self._split(text):
            if len(words) > left:
                whole = len(self.plain(text))
                return [*made, f"{words[:left] if isinstance(piece, str) else ''}… ({whole} characters)"]
            left -= len(words)
            made.append(piece)
        return made

    def _split(self, text: str) -> Iterator[tuple[Piece, str]]:
        """Give each piece with the words that are sent."""
        for number, words in enumerate(self._marked.split(text)):
            if number % 2 == 0:
                if words:
                    yield words, words
            elif words.startswith("{"):
                yield {"unknown": words}, words
            else:
                yield {"empty": words}, ""
