"""What became of each row, as JSON can represent it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_bm.batch.rows import BatchRow
from airflow_provider_bm.campaigns.values import is_missing, is_readable

Result = dict[str, Any]


def result(row: BatchRow) -> Result:
    """Return what became of a row."""
    return {
        "number": row.number,
        "key": _as_json(row.key),
        "uuid": row.uuid,
        "status": row.status,
        "campaign_status": row.campaign_status,
        "reason": row.reason,
        "row": _as_json(row.values),
    }


def counts(results: Sequence[Result]) -> dict[str, Any]:
    """Return the number of rows by status, and of campaigns by theirs."""
    by_status = Counter(each["status"] for each in results)
    campaigns = Counter(each["campaign_status"] for each in results if each["campaign_status"])
    return {"rows": len(results), **dict(sorted(by_status.items())), "campaigns": dict(campaigns)}


def repeatable(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the rows that certainly have no campaign, to be given to another task.

    One whose outcome is unknown is not among them: only the same task can find out.
    """
    return [
        each["row"]
        for each in results
        if each["uuid"] is None and each["status"] in ("invalid", "failed", "not_sent")
    ]


def json_lines(results: Iterable[Result]) -> Iterable[str]:
    """Yield a line of JSON for each row."""
    return (f"{json.dumps(each, ensure_ascii=False)}\n" for each in results)


def _as_json(value: Any) -> Any:
    """Return a value as JSON can represent it: a date as text, and what has no text as null."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _as_json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(part) for part in value]
    if is_missing(value) or not is_readable(value):
        return None
    item = getattr(value, "item", None)  # NumPy's scalars
    plain = item() if callable(item) else value
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    return plain if isinstance(plain, int) else str(plain)
