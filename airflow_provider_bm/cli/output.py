"""Tables for people, JSON for programs, and errors as one line."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from airflow_provider_bm.cli import ERROR
from airflow_provider_bm.exceptions import BMError

#: Exit code and output of a command.
Result = tuple[int, str]


def as_text(rows: Sequence[Mapping[str, Any]], output: str, *, empty: str = "") -> str:
    """Return rows as a table, or as one JSON array.

    :param output: ``table`` or ``json``
    :param empty: the text of a table without rows
    """
    if output == "json":
        return json.dumps(list(rows), indent=2, ensure_ascii=False, default=str)
    return table(rows) if rows else empty


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
    """Return a value on one line, without control characters: a name may contain any."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def execute(run: Callable[[], Result]) -> int:
    """Run a command, print its output, and return its exit code.

    Only the output goes to standard output. What Airflow logs, and what DAG files print, goes to standard
    error, and so do errors: as one line, without a traceback.
    """
    with _stdout_to_stderr():
        code, text = _run(run)
    if text:
        print(text)
    return code


def _run(run: Callable[[], Result]) -> Result:
    from airflow.providers.common.compat.sdk import AirflowException

    # Requests are logged at INFO and below: not for the output of a command.
    logging.getLogger("airflow_provider_bm").setLevel(logging.WARNING)
    try:
        return run()
    except (BMError, AirflowException, CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
    except (KeyboardInterrupt, EOFError):
        print("interrupted", file=sys.stderr)
    return ERROR, ""


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    is_real = sys.stdout is sys.__stdout__
    sys.stdout.flush()
    with redirect_stdout(sys.stderr):
        if not is_real:
            yield
            return
        # Airflow's log handlers refer to the stream itself.
        stdout = os.dup(1)
        os.dup2(2, 1)
        try:
            yield
        finally:
            if sys.__stdout__ is not None:
                sys.__stdout__.flush()
            os.dup2(stdout, 1)
            os.close(stdout)


class CommandError(Exception):
    """The arguments of a command are invalid."""
