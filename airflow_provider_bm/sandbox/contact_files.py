"""Reading custom contacts from files: CSV with a heading, or JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.sandbox.recipients import CONTACT_KEYS


def read_contacts(path: Path) -> list[dict[str, Any]]:
    """Read a file of contacts.

    :param path: ``.json``: an array of objects; anything else: CSV whose first line names contact fields
    :raises ValueError: the file cannot be read, or is not such a file
    """
    try:
        # A spreadsheet puts a byte order mark at the beginning, which is not part of the first name.
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None
    if path.suffix.lower() != ".json":
        try:
            return _read_csv(text)
        except csv.Error as error:
            raise ValueError(f"{path} is not CSV: {error}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    try:
        found = parse_json(text)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, list):
        raise ValueError(f"{path} must be an array of contacts")
    return found


def _read_csv(text: str) -> list[dict[str, Any]]:
    # Strict: a quote that is not closed would take all lines that follow for one value.
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading = [name.strip() for name in next(rows, [])]
    if not any(name in CONTACT_KEYS for name in heading):
        raise ValueError(
            f"the first line must be a heading with contact fields, such as mobile, not {heading}"
        )
    twice = [name for name in heading if heading.count(name) > 1]
    if twice:
        raise ValueError(f"the heading has the column {twice[0]!r} twice")
    contacts = []
    for row in rows:
        if len(row) > len(heading):
            raise ValueError(f"line {rows.line_num} has more values than the heading has columns")
        if row:
            contacts.append(dict(zip(heading, row, strict=False)))
    return contacts
