"""Rows from a file: CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO, Any, Final

from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.campaigns.problems import Problems
from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError

#: Suffixes of the files that can be read.
FILE_SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def read_file(path: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    :param path: a path with an ``open`` method, such as ``ObjectStoragePath``. Its suffix determines the
        format: ``.csv`` and ``.tsv`` (UTF-8, a line of column names first; an empty cell is a missing value),
        ``.jsonl`` and ``.ndjson`` (an object on each line), or ``.parquet`` (needs PyArrow).
    :raises BMPayloadError: its content does not have that format
    """
    suffix = next((suffix for suffix in FILE_SUFFIXES if str(path).lower().endswith(suffix)), None)
    if suffix is None:
        raise _problem(path, f"must be a file of one of the types {', '.join(FILE_SUFFIXES)}")
    if suffix == ".parquet":
        with path.open("rb") as file:
            yield from _parquet(file)
    elif suffix in (".csv", ".tsv"):
        with path.open("r", encoding="utf-8-sig", newline="") as file:
            yield from _csv(path, _lines(path, file), "\t" if suffix == ".tsv" else ",")
    else:
        with path.open("r", encoding="utf-8") as file:
            yield from _json_lines(path, _lines(path, file))


def _lines(path: Any, file: IO[str]) -> Iterator[str]:
    try:
        # Not the file itself: Airflow 2's wrapper of one is not iterable.
        yield from iter(file.readline, "")
    except UnicodeDecodeError as error:
        raise _problem(path, f"is not encoded in UTF-8: {error}") from None


def _csv(path: Any, text: Iterator[str], delimiter: str) -> Iterator[dict[str, Any]]:
    lines = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        columns = next(lines, None) or []
        if len(columns) == 1 and ";" in columns[0]:
            raise _problem(path, "its columns are separated by semicolons; commas are needed")
        repeated = next((name for name in columns if columns.count(name) > 1), None)
        if repeated is not None:
            raise _problem(path, f"two columns are named {repeated!r}")
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(columns):
                raise _problem(
                    path,
                    f"line {lines.line_num} has {len(cells)} cells, but there are {len(columns)} columns",
                )
            yield {name: cell or None for name, cell in zip(columns, cells, strict=True)}
    except csv.Error as error:
        raise _problem(path, f"line {lines.line_num} is not CSV: {error}") from None


def _json_lines(path: Any, text: Iterator[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise _problem(path, f"line {number} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise _problem(path, f"line {number} must be a JSON object")
        yield row


def _parquet(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise BMConfigError("Reading a .parquet file needs PyArrow: install pyarrow.") from None
    for chunk in parquet.ParquetFile(file).iter_batches():
        yield from chunk.to_pylist()


def _problem(path: Any, expected: str) -> BMPayloadError:
    problems = Problems()
    problems.add("rows", str(path), expected)
    return BMPayloadError(problems, "table", nothing_sent=True)
