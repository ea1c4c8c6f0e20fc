"""The table of a batch, from a task, a file or a database, and templates that are rendered for each row."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook

from airflow_provider_bm.batch.files import FILE_SUFFIXES, read_file
from airflow_provider_bm.batch.preparation import RowTemplateError
from airflow_provider_bm.batch.rows import iterate_rows
from airflow_provider_bm.campaigns.local_times import LocalTime
from airflow_provider_bm.campaigns.problems import Problems, did_you_mean
from airflow_provider_bm.exceptions import BMPayloadError, truncated_repr
from airflow_provider_bm.operators.templating import compile_template, render_compiled

if TYPE_CHECKING:
    import jinja2.nodes

#: Name of the row in templates.
ROW: Final = "row"
#: Number of rows to fetch from a database at once.
FETCH_SIZE: Final = 1_000


def read_rows(rows: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch operator's argument ``rows``.

    :param rows: a list of dicts, a data frame, or the path of a file
    """
    if isinstance(rows, str) and rows.lower().endswith(FILE_SUFFIXES):
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        return read_file(ObjectStoragePath(rows))
    return read_file(rows) if hasattr(rows, "open") else iterate_rows(rows)


def query_rows(sql: str, sql_conn_id: str, parameters: Any = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a query, fetched in chunks.

    :param sql_conn_id: Airflow connection of a database, of any type that has a ``DbApiHook``
    :param parameters: of the query
    """
    hook = BaseHook.get_connection(sql_conn_id).get_hook()
    if not hasattr(hook, "get_records"):
        raise _problem(
            "sql_conn_id", sql_conn_id, f"is not the connection of a database: {type(hook).__name__}"
        )
    with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql, *([] if parameters is None else [parameters]))
        if cursor.description is None:
            raise _problem("sql", sql, "returns no rows")
        columns = [column[0] for column in cursor.description]
        repeated = next((name for name in columns if columns.count(name) > 1), None)
        if repeated is not None:
            raise _problem("sql", repeated, "two columns have this name")
        while chunk := cursor.fetchmany(FETCH_SIZE):
            for values in chunk:
                # Some cursors return dicts: zip() would take their keys for the values.
                is_dict = isinstance(values, Mapping)
                yield dict(values) if is_dict else dict(zip(columns, values, strict=True))


class RowView:
    """A row in a template: ``row.city`` and ``row["city"]`` are columns; it has no other attributes."""

    __slots__ = ("_values",)
    #: Without this, Python would look for the columns 0, 1, 2.
    __iter__ = None

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


class RowTemplates:
    """Renders values for each row.

    :param env: the DAG's Jinja environment
    :param texts: the texts that are templates over the row
    :param context: of the task
    :param float_format: format of numbers that are not whole
    :param now: a :func:`~airflow_provider_bm.campaigns.local_time` becomes its next occurrence after this
    """

    def __init__(
        self,
        env: jinja2.Environment,
        texts: Iterable[str],
        context: Mapping[str, Any],
        float_format: str | None,
        now: datetime,
    ) -> None:
        self._env = env
        self._templates = {text: compile_template(env, text, float_format, native=True) for text in texts}
        self._context: Any = copy.copy(context)
        self._now = now

    def check_columns(self, columns: Iterable[str]) -> None:
        """Check that each column in a template exists.

        :raises BMPayloadError: naming each that does not
        """
        known, problems = list(columns), Problems()
        for text in self._templates:
            for name in row_columns(self._env, text):
                if name not in known:
                    hint = did_you_mean(name, known) or f"; there are {', '.join(known) or 'none'}"
                    problems.add(ROW, text, f"there is no column {name!r}{hint}")
        if problems:
            raise BMPayloadError(problems, "table", nothing_sent=True)

    def render(self, value: Any, row: Mapping[str, Any]) -> Any:
        """Return a value with its templates rendered for a row.

        :raises RowTemplateError: an expression has no value, or one that must not become text
        """
        if isinstance(value, str):
            template = self._templates.get(value)
            if template is None:
                return value
            self._context[ROW] = RowView(row)
            try:
                return render_compiled(template, self._context)
            except AirflowFailException as error:
                raise RowTemplateError(str(error)) from error
            except Exception as error:
                raise RowTemplateError(f"{value!r}: {type(error).__name__}: {error}") from error
        if isinstance(value, LocalTime):
            return value.next(row, self._now)
        if isinstance(value, Mapping):
            return {name: self.render(part, row) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.render(part, row) for part in value]
        return value


def is_row_template(env: jinja2.Environment, text: str) -> bool:
    """Return whether a text is a template over the row."""
    if ROW not in text:
        return False
    from jinja2.meta import find_undeclared_variables

    return ROW in find_undeclared_variables(env.parse(text))


def row_columns(env: jinja2.Environment, text: str) -> list[str]:
    """Return the columns that a template names."""
    from jinja2 import nodes

    found = []
    tree = env.parse(text)
    for attribute in tree.find_all(nodes.Getattr):
        if _is_row(attribute.node):
            found.append(attribute.attr)
    for item in tree.find_all(nodes.Getitem):
        if _is_row(item.node) and isinstance(item.arg, nodes.Const) and isinstance(item.arg.value, str):
            found.append(item.arg.value)
    return list(dict.fromkeys(found))


def _is_row(node: jinja2.nodes.Node) -> bool:
    return getattr(node, "name", None) == ROW


def _problem(name: str, value: Any, expected: str) -> BMPayloadError:
    problems = Problems()
    problems.add(name, truncated_repr(value) if name == "sql" else value, expected)
    return BMPayloadError(problems, "table", nothing_sent=True)
