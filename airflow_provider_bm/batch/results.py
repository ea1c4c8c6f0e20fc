"""What became of each row, as JSON can represent it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from airflow_provider_bm.batch.rows import BatchRow

Result = dict[str, Any]


def result(row: BatchRow) -> Result:
    """Return what became of a row."""
    values = {
        "number": row.number,
        "key": row.key,
        "uuid": row.uuid,
        "status": row.status,
        "campaign_status": row.campaign_status,
        "reason": row.reason,
        # JSON has no NaN.
        "row": {name: None if value != value else value for name, value in row.values.items()},
    }
    plain: Result = json.loads(json.dumps(values, default=_plain))
    return plain


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


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)  # NumPy's scalars
    return item() if callable(item) and not hasattr(value, "__len__") else str(value)
