"""The outcome of each row, as data for JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.batch.rows import BatchRow
from airflow_provider_bm.campaigns.values import is_missing, is_readable

Result = dict[str, Any]


def result(row: BatchRow) -> Result:
    """Return the outcome of a row."""
    return {
        "number": row.number,
        "key": _as_json(row.key),
        "uuid": row.uuid,
        "status": row.status,
        "campaign_status": row.campaign_status,
        "reason": row.reason,
        "row": _as_json(row.values),
    }


class Summary:
    """Counts results, and keeps what goes into XCom, as long as it is not too large.

    :param max_size: number of characters above which nothing is kept
    :ivar results: the results; None: too large
    :ivar failed_rows: the rows that certainly have no campaign, as input for another task; None: too large.
        Rows with an unknown outcome are not among them: only a retry of the same task can resolve them.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._rows = 0
        self._statuses: Counter[str] = Counter()
        self._campaigns: Counter[str] = Counter()
        self._sizes = [0, 0]
        self.results: list[Result] | None = []
        self.failed_rows: list[dict[str, Any]] | None = []

    def add(self, row_result: Result) -> None:
        """Count a result."""
        self._rows += 1
        self._statuses[row_result["status"]] += 1
        if row_result["campaign_status"]:
            self._campaigns[row_result["campaign_status"]] += 1
        self.results = self._kept(0, self.results, row_result)
        if row_result["uuid"] is None and row_result["status"] in ("invalid", "failed", "not_sent"):
            self.failed_rows = self._kept(1, self.failed_rows, row_result["row"])

    def counts(self) -> dict[str, Any]:
        """Return the number of rows, and of campaigns, by status."""
        return {
            "rows": self._rows,
            **dict(sorted(self._statuses.items())),
            "campaigns": dict(self._campaigns),
        }

    def _kept(self, index: int, values: list[Any] | None, value: Any) -> list[Any] | None:
        self._sizes[index] += len(str(value))
        if values is None or self._sizes[index] > self._max_size:
            return None
        values.append(value)
        return values


def json_line(row_result: Result) -> str:
    """Return a result as a line of JSON."""
    return f"{json.dumps(row_result, ensure_ascii=False)}\n"


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
