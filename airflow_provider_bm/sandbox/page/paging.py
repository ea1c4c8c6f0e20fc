"""Lists that are shown a page at a time."""

from __future__ import annotations


def page_of(wanted: str, count: int, size: int) -> tuple[int, int]:
    """Give the number of a page, which may not exist any more, and how many pages there are."""
    pages = max(1, -(-count // size))
    return min(max(1, int(wanted)), pages), pages
