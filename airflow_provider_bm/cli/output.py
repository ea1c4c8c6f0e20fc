"""Tables for people, JSON for programs, and errors as one line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_bm.cli import ERROR
from airflow_provider_bm.exceptions import BMError


def show(rows: Sequence[Mapping[str, Any]], output: str, *, empty: str) -> None:
    """Print rows as a table, or as one JSON array.

    :param output: ``table`` or ``json``
    :param empty: what a table without rows says
    """
    if output == "json":
        print(json.dumps(list(rows), indent=2, ensure_ascii=False, default=str))
    elif not rows:
        print(empty)
    else:
        print(table(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows with the same keys as a table."""
    titles = [key.upper().replace("_", " ") for key in rows[0]]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (titles, *cells)
    )
    return "\n".join(lines)


def _cell(value: Any) -> str:
    """Return a value on one line, without control characters: a name may hold any."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def readable_errors(run: Callable[[], int]) -> int:
    """Run a command; print an expected error on standard error instead of raising it."""
    from airflow.providers.common.compat.sdk import AirflowException

    # Requests are logged at INFO and below: not for the output of a command.
    logging.getLogger("airflow_provider_bm").setLevel(logging.WARNING)
    try:
        return run()
    except (BMError, AirflowException, CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
    except (KeyboardInterrupt, EOFError):
        print("interrupted", file=sys.stderr)
    return ERROR


class CommandError(Exception):
    """A command cannot be run as it was given."""
