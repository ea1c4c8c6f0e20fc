"""Where the rows of a batch come from: files, data frames, databases."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowException, BaseHook, Connection
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_bm.batch import rows as batch_rows
from airflow_provider_bm.batch.results import result
from airflow_provider_bm.batch.rows import iterate_rows
from airflow_provider_bm.batch.spool import Spool
from airflow_provider_bm.exceptions import BMConfigError, BMPayloadError
from airflow_provider_bm.operators.batch_rows import query_rows, read_rows

ROWS = [{"shop": "Chur", "price": "1.50"}, {"shop": "Zürich, HB", "price": "2"}]


def identify(rows, key):
    with Spool() as spool:
        return batch_rows.identify(rows, key, spool)


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


# Files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", 'shop,price\r\nChur,1.50\r\n"Zürich, HB",2\r\n'),
        ("rows.csv", '\ufeffshop,price\nChur,1.50\n\n"Zürich, HB",2'),
        ("ROWS.CSV", 'shop,price\nChur,1.50\n"Zürich, HB",2\n'),
        ("rows.tsv", "shop\tprice\nChur\t1.50\nZürich, HB\t2\n"),
        ("rows.jsonl", '{"shop": "Chur", "price": "1.50"}\n\n{"shop": "Zürich, HB", "price": "2"}\n'),
    ],
)
def test_files(tmp_path, name, text):
    path = write(tmp_path, name, text)
    assert list(read_rows(path)) == list(read_rows(str(path))) == list(read_rows(f"file://{path}")) == ROWS


def test_an_empty_cell_of_a_csv_file_is_missing(tmp_path):
    assert list(read_rows(write(tmp_path, "rows.csv", "shop,price\nChur,\n"))) == [
        {"shop": "Chur", "price": None}
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rows.csv", "shop;price\nChur;1", "separated by semicolons"),
        ("rows.csv", "shop,price\nChur,1,2\n", "line 2 has 3 cells, but there are 2 columns"),
        ("rows.csv", "shop,shop\nChur,1\n", "two columns are named 'shop'"),
        ("rows.csv", 'shop,price\n"Chur,1\n', "is not CSV"),
        ("rows.jsonl", '{"shop": "Chur"}\n{"shop": \n', "line 2 is not JSON"),
        ("rows.jsonl", '{"shop": 1, "shop": 2}\n', "line 1 is not JSON"),
        ("rows.jsonl", "[1]\n", "line 1 must be a JSON object"),
        ("rows.xlsx", "", "must be a file of one of the types"),
    ],
)
def test_invalid_files(tmp_path, name, text, message):
    with pytest.raises(BMPayloadError, match=message):
        list(read_rows(write(tmp_path, name, text)))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_files_in_another_encoding(tmp_path, name, encoding):
    path = tmp_path / name
    path.write_bytes('{"shop":"Zürich"}\n'.encode(encoding))
    with pytest.raises(BMPayloadError, match="is not encoded in UTF-8: 'utf-8' codec can't decode"):
        list(read_rows(path))


def test_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(BMConfigError, match="needs PyArrow"):
            list(read_rows(path))
        return
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    assert list(read_rows(path)) == ROWS


# Data frames


def test_pandas():
    pandas = pytest.importorskip("pandas", reason="a test of pandas frames")
    frame = pandas.DataFrame({"shop": ["Chur", "Bern"], "price": [1.5, None], "count": [1, 2]})
    with Spool() as spool:
        rows = batch_rows.identify(read_rows(frame), "shop", spool)
        assert [row.values["count"] for row in rows] == [1, 2]
        assert result(rows[1])["row"] == {"shop": "Bern", "price": None, "count": 2}
    with pytest.raises(BMPayloadError, match="two columns have this name"):
        list(read_rows(pandas.DataFrame([[1, 2]], columns=["shop", "shop"])))


class Polars:
    """The part of a polars frame that is used."""

    columns = ["shop", "price"]

    def iter_rows(self, *, named):
        assert named
        return iter(ROWS)


class Arrow:
    """The part of a PyArrow table that is used."""

    column_names = ["shop", "price"]
    columns = [object(), object()]

    def to_pylist(self):
        return ROWS


@pytest.mark.parametrize(
    "frame", [Polars(), Arrow(), ROWS, tuple(ROWS), iter(ROWS)], ids=lambda value: type(value).__name__
)
def test_tables(frame):
    assert list(iterate_rows(frame)) == ROWS


@pytest.mark.parametrize("table", ["Chur", b"Chur", 7, object(), None])
def test_what_is_not_a_table(table):
    with pytest.raises(BMPayloadError, match="must be a list of dicts, a data frame, or the path of a file"):
        list(iterate_rows(table))


# Databases


@pytest.fixture
def database(monkeypatch, tmp_path):
    """The connection `warehouse`, with a table `shops`."""
    path = tmp_path / "shops.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE shops (shop TEXT, price REAL)")
        connection.executemany("INSERT INTO shops VALUES (?, ?)", [(f"shop {n}", n) for n in range(2500)])

    class Hook(DbApiHook):
        def __init__(self):
            """Nothing of the connection is needed."""

        def get_conn(self):
            return sqlite3.connect(path)

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "sqlite://")
    monkeypatch.setattr(Connection, "get_hook", lambda self, **_: Hook())


@pytest.mark.usefixtures("database")
def test_a_query():
    rows = list(query_rows("SELECT shop, price AS amount FROM shops WHERE price < ?", "warehouse", (2,)))
    assert rows == [{"shop": "shop 0", "amount": 0.0}, {"shop": "shop 1", "amount": 1.0}]
    assert len(list(query_rows("SELECT * FROM shops", "warehouse"))) == 2500
    assert list(query_rows("SELECT * FROM shops WHERE price < 0", "warehouse")) == []


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT shop, price AS shop FROM shops", "two columns have this name"),
        ("DELETE FROM shops WHERE price < 0", "returns no rows"),
    ],
)
def test_queries_that_are_refused(sql, message):
    with pytest.raises(BMPayloadError, match=message):
        list(query_rows(sql, "warehouse"))


def test_a_cursor_that_returns_dicts(monkeypatch):
    """Extras of a connection can ask for one: cursor=realdictcursor of PostgreSQL, dictcursor of MySQL."""

    class Hook(DbApiHook):
        def __init__(self):
            """Nothing of the connection is needed."""

        def get_conn(self):
            connection = sqlite3.connect(":memory:")
            connection.row_factory = lambda cursor, values: {
                column[0]: value for column, value in zip(cursor.description, values, strict=True)
            }
            return connection

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "sqlite://")
    monkeypatch.setattr(Connection, "get_hook", lambda self, **_: Hook())
    assert list(query_rows("SELECT 'Chur' AS shop, 2 AS price", "warehouse")) == [
        {"shop": "Chur", "price": 2}
    ]


def test_a_connection_that_is_not_a_database(sandbox):
    del sandbox
    with pytest.raises(BMPayloadError, match="is not the connection of a database: BMHook"):
        list(query_rows("SELECT 1", "bm_default"))


#: 5,000 rows without a table, in the SQL of PostgreSQL, SQLite and MySQL.
SERIES = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)
SELECT n AS shop, 'Ünal ' || n AS headline, 1.25 AS price, NULL AS missing FROM numbers ORDER BY n
"""


@pytest.mark.parametrize("where", ["sqlite", "TEST_SQL_CONNECTION"])
def test_a_real_database(monkeypatch, tmp_path, where):
    """Through the provider of the database; TEST_SQL_CONNECTION is the URI of a connection to one."""
    sqlite = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "shops.db")})
    uri = sqlite if where == "sqlite" else os.environ.get(where)
    if uri is None:
        pytest.skip(f"{where} is not set")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", uri)
    try:
        BaseHook.get_hook("warehouse")
    except AirflowException as error:
        pytest.skip(f"the provider is not installed: {error}")
    rows = list(query_rows(SERIES, "warehouse"))
    assert len(rows) == 5000
    assert rows[0] == {"shop": 1, "headline": "Ünal 1", "price": Decimal("1.25"), "missing": None}
    with pytest.raises(Exception, match="shops"):  # of the driver: the message names what is wrong
        list(query_rows("SELECT * FROM shops", "warehouse"))


# The spool


def test_a_spool_keeps_what_cannot_be_pickled():
    lock = threading.Lock()  # like a database's handle of a large object
    with Spool() as spool:
        positions = [spool.put(value) for value in (ROWS, lock, "Zürich")]
        assert [spool.get(position) for position in positions] == [ROWS, lock, "Zürich"]


# Keys


def keys(rows, key="id"):
    return [row.row_key for row in identify(rows, key)]


@pytest.mark.parametrize(
    "same",
    [
        [7, 7.0, Decimal(7), "7"],
        [7.5, Decimal("7.50"), "7.5"],
        ["Zürich HB", " Zürich  HB ", "Zu\u0308rich HB"],
        [datetime(2026, 1, 1, tzinfo=UTC)] * 2,
    ],
)
def test_values_that_mean_the_same_row(same):
    with pytest.raises(BMPayloadError, match=r"row 1 .* and row 2 .* are the same"):
        identify([{"id": value} for value in same], "id")


def test_a_key_does_not_depend_on_order_or_other_columns():
    first = identify([{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "c": 3}], "a, b")
    second = identify([{"c": 4, "b": 3, "a": 1.0}, {"b": 2, "a": 1}], ["a", "b"])
    assert [row.row_key for row in first] == [row.row_key for row in reversed(second)]
    assert keys([{"id": "ab"}, {"id": "a"}]) != keys([{"id": "a"}, {"id": "ab"}])
    assert all(len(key) == 12 and key.isdigit() for key in keys([{"id": n} for n in range(100)]))


@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", "NaN"])
def test_a_row_without_a_key_is_invalid(value):
    (row,) = identify([{"id": value}], "id")
    assert (row.status, row.reason) == ("invalid", "id is missing, which identifies the row")


@pytest.mark.parametrize("value", [["a"], {"a"}, b"a", object()], ids=lambda value: type(value).__name__)
def test_a_value_that_cannot_be_a_key(value):
    (row,) = identify([{"id": value}], "id")
    assert (row.status, row.row_key) == ("invalid", "")
    assert "which cannot identify a row: use a text or a number" in row.reason


def test_different_texts_are_different_rows():
    values = ["Chur", "chur", "1", "01", "1.0", True, "1 0", 10, 10**40, 10**40 + 1]
    assert len({*keys([{"id": value} for value in values])}) == len(values)


@pytest.mark.parametrize("key", ["", [], [""], [7]])
def test_keys_that_are_refused(key):
    with pytest.raises(BMPayloadError, match="must be the name of a column, or several"):
        identify([{"id": 1}], key)
