"""The rows of a table, and the key that identifies each."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from airflow_provider_bm.batch.spool import Spool
from airflow_provider_bm.campaigns.problems import Problems, did_you_mean
from airflow_provider_bm.campaigns.values import is_missing, is_number, is_readable
from airflow_provider_bm.exceptions import BMPayloadError, truncated_repr
from airflow_provider_bm.idempotency.key import row_key

RowStatus = Literal["sent", "adopted", "changed", "invalid", "failed", "unknown", "not_sent"]
#: Statuses of rows that have no campaign, or whose campaign is not known to be right.
FAILURES: Final = ("failed", "unknown", "not_sent")


@dataclass(slots=True)
class BatchRow:
    """A row of a table, and its campaign. Its values and its payload are in a spool.

    :ivar number: position in the table, from 1
    :ivar spool: where its values and its payload are
    :ivar position: of its values in the spool
    :ivar key_columns: the columns that identify it
    :ivar row_key: its key in the name of the campaign; empty if it has none
    :ivar status: the outcome: ``sent`` by this try, ``adopted`` (sent by an earlier try), ``changed`` (sent
        by an earlier try, with other values), ``invalid`` (refused by a check), ``failed`` (refused by the
        server), ``unknown`` (perhaps sent), ``not_sent`` (not tried)
    :ivar uuid: the campaign
    :ivar campaign_status: its status
    :ivar reason: why the row was not sent, or how the campaign differs
    :ivar permanent: whether another try would be pointless
    """

    number: int
    spool: Spool
    position: int
    key_columns: Sequence[str]
    row_key: str = ""
    payload_position: int | None = None
    status: RowStatus = "not_sent"
    uuid: str | None = None
    campaign_status: str | None = None
    reason: str = ""
    permanent: bool = False

    @property
    def values(self) -> dict[str, Any]:
        """The row."""
        values: dict[str, Any] = self.spool.get(self.position)
        return values

    @property
    def key(self) -> dict[str, Any]:
        """The values that identify it, by column."""
        values = self.values
        return {name: values[name] for name in self.key_columns}

    @property
    def payload(self) -> dict[str, Any]:
        """Body of the POST; empty if the row is invalid."""
        return {} if self.payload_position is None else self.spool.get(self.payload_position)

    @payload.setter
    def payload(self, payload: Mapping[str, Any]) -> None:
        self.payload_position = self.spool.put(payload)

    def __str__(self) -> str:
        values = ", ".join(f"{name}={truncated_repr(value, 60)}" for name, value in self.key.items())
        return f"row {self.number} ({values})" if values else f"row {self.number}"

    def fail(self, status: RowStatus, reason: str, *, permanent: bool = False) -> None:
        """Record why the row has no campaign."""
        self.status, self.reason, self.permanent = status, reason, permanent

    def set_campaign(self, campaign: Mapping[str, Any], status: RowStatus, reason: str = "") -> None:
        """Record the row's campaign."""
        self.uuid, self.campaign_status = campaign["uuid"], campaign["status"]
        self.status, self.reason, self.permanent = status, reason, False


def iterate_rows(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts.

    :param table: an iterable of mappings, or a data frame: of pandas, polars, PyArrow, or whatever narwhals
        reads, if that is installed
    :raises BMPayloadError: it is something else
    """
    for number, row in enumerate(_records(table), 1):
        if not isinstance(row, Mapping):
            raise _problem("rows", row, f"row {number} must be a mapping of columns to values")
        wrong = next((name for name in row if not isinstance(name, str)), None)
        if wrong is not None:
            raise _problem("rows", wrong, f"row {number}: the name of a column must be a string")
        yield dict(row)


def _records(table: Any) -> Iterable[Any]:
    if isinstance(table, (str, bytes, Mapping)):
        raise _problem("rows", table, "must be a list of dicts, a data frame, or the path of a file")
    columns = getattr(table, "column_names", None) or getattr(table, "columns", None)
    if columns is not None and not callable(columns):
        names = [str(name) for name in columns]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise _problem("rows", repeated, "two columns have this name")
    if hasattr(table, "iter_rows"):  # polars
        records: Iterable[Any] = table.iter_rows(named=True)
    elif hasattr(table, "to_pylist"):  # PyArrow
        records = table.to_pylist()
    elif hasattr(table, "itertuples"):  # pandas
        names = list(table.columns)
        records = (dict(zip(names, values, strict=True)) for values in table.itertuples(False, None))
    elif isinstance(table, Iterable) and not hasattr(table, "__dataframe__"):
        records = table
    else:
        records = _through_narwhals(table)
    return records


def _through_narwhals(table: Any) -> Iterable[Any]:
    wanted = "must be a list of dicts, a data frame, or the path of a file"
    try:
        import narwhals
    except ImportError:
        raise _problem("rows", table, f"{wanted}; with narwhals installed, other data frames") from None
    try:
        frame = narwhals.from_native(table)
        rows: Iterable[Any] = frame.lazy().collect().iter_rows(named=True)
    except TypeError:
        raise _problem("rows", table, wanted) from None
    return rows


def identify(
    rows: Iterable[dict[str, Any]],
    key: str | Sequence[str],
    spool: Spool,
    max_campaigns: int | None = None,
) -> list[BatchRow]:
    """Identify each row by a key, and put it into a spool.

    A row without a value in a key column is invalid.

    :param key: the columns whose values identify a row
    :param max_campaigns: number of rows above which reading stops; None: any
    :raises BMPayloadError: there are more rows, there is no such column, or two rows have the same values in
        them
    """
    columns = [part.strip() for part in key.split(",")] if isinstance(key, str) else list(key)
    if not columns or not all(isinstance(name, str) and name for name in columns):
        raise _problem("key", key, "must be the name of a column, or several")
    found: list[BatchRow] = []
    first: dict[str, BatchRow] = {}
    duplicates: list[tuple[BatchRow, BatchRow]] = []
    for number, values in enumerate(rows, 1):
        if max_campaigns is not None and number > max_campaigns:
            expected = f"the table has more than {max_campaigns} rows, each a campaign. Is that intended?"
            raise _problem("max_campaigns", max_campaigns, expected)
        absent = [name for name in columns if name not in values]
        if absent:
            hint = did_you_mean(absent[0], values) or f"; there are {', '.join(values) or 'none'}"
            raise _problem("key", absent[0], f"row {number} has no such column{hint}")
        row = BatchRow(number, spool, spool.put(values), columns)
        found.append(row)
        key_values = {name: values[name] for name in columns}
        missing = [name for name, value in key_values.items() if is_missing(value) or not str(value).strip()]
        if missing:
            row.fail("invalid", f"{missing[0]} is missing, which identifies the row", permanent=True)
            continue
        unusable = next((name for name, value in key_values.items() if not is_readable(value)), None)
        if unusable is not None:
            what = f"{unusable} is a {type(key_values[unusable]).__name__}"
            row.fail(
                "invalid", f"{what}, which cannot identify a row: use a text or a number", permanent=True
            )
            continue
        row.row_key = row_key(_key_text(value) for value in key_values.values())
        if row.row_key in first:
            duplicates.append((first[row.row_key], row))
        first.setdefault(row.row_key, row)
    if duplicates:
        original, duplicate = duplicates[0]
        more = f", and {len(duplicates) - 1} more rows repeat another" if len(duplicates) > 1 else ""
        raise _problem(
            "key",
            ", ".join(columns),
            f"does not identify a row: {original} and {duplicate} are the same{more}. Remove one, or add a "
            "column",
        )
    return found


def _key_text(value: Any) -> str:
    """Return a value as text, the same for 7, 7.0 and NumPy's 7, and for all spellings of an umlaut."""
    text = " ".join(str(value).split())
    if is_number(value):
        try:
            digits = f"{Decimal(text):f}"
        except ArithmeticError:
            return text  # a fraction
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return unicodedata.normalize("NFC", text)


def _problem(name: str, value: Any, expected: str) -> BMPayloadError:
    problems = Problems()
    problems.add(name, value, expected)
    return BMPayloadError(problems, "table", nothing_sent=True)
