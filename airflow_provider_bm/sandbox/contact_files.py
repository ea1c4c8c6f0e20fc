"""Reading contacts of one's own from files: CSV with a heading, or JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any


def read_contacts(path: Path) -> list[dict[str, Any]]:
    """Read a file of contacts.

    :param path: ``.json``: an array of objects; anything else: CSV whose first line names contact fields.
    :raises ValueError: if it cannot be read as that.
    """
    try:
        # A spreadsheet puts a mark at the beginning of the file, which is no part of the first name.
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None
    if path.suffix.lower() != ".json":
        rows = csv.DictReader(io.StringIO(text, newline=""), restkey="more values than the heading has names")
        try:
            return [dict(row) for row in rows]
        except csv.Error as error:
            raise ValueError(f"{path} is not CSV: {error}") from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, list):
        raise ValueError(f"{path} must be an array of contacts")
    return found
