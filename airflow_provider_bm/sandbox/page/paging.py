"""Lists in pages."""

from __future__ import annotations


def page_of(wanted: str, count: int, size: int) -> tuple[int, int]:
    """Return the number of an existing page, the nearest to the wanted one, and the number of pages."""
    pages = max(1, -(-count // size))
    return min(max(1, int(wanted)), pages), pages
