"""Send a campaign for each row of a table."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_bm.campaigns.constants import CAMPAIGN_FIELDS, CREATE_STATUSES
from airflow_provider_bm.exceptions import Problem
from airflow_provider_bm.operators.arguments import is_a, missing_parts, one_of, schedule_and_query_problems
from airflow_provider_bm.operators.base import CONNECTION_FIELDS
from airflow_provider_bm.operators.guards import DEFAULT_MAX_AGE, start_of_run
from airflow_provider_bm.operators.send import (
    DEFAULT_DEFERRABLE,
    SEVEN_DAYS,
    ActivatingOperator,
)

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.batch.preparation import RowPreparation
    from airflow_provider_bm.batch.rows import BatchRow
    from airflow_provider_bm.batch.sender import RowSender
    from airflow_provider_bm.batch.spool import Spool
    from airflow_provider_bm.campaigns import SegmentationQuery, SendWindow, Verdict
    from airflow_provider_bm.campaigns.local_times import LocalTime

log = logging.getLogger(__name__)

#: XCom keys.
ROWS_KEY, FAILED_ROWS_KEY, RETURN_KEY = "rows", "failed_rows", "return_value"
#: Size of an XCom, in characters of JSON, above which rows are not pushed.
MAX_XCOM: Final = 500_000
#: Fields that may be templates over the row.
ROW_FIELDS: Final = ("clone_uuid", "template_vars", *CAMPAIGN_FIELDS)
#: Maximum number of rows to name in a message.
_NAMED: Final = 10


class BMCampaignBatchOperator(ActivatingOperator):
    """Sends a campaign for each row of a table, exactly once, many at a time (API 1.4, 3.1, 4.2).

    Each row becomes a clone of a draft or, without ``clone_uuid``, a new campaign. All rows are checked, and
    all problems are reported, before the first row is sent. A row is sent once, even after failures: the name
    of its campaign starts with a key of task instance and row, by which every try finds it.

    Returns counts: ``{"rows": 3, "sent": 2, "failed": 1, "campaigns": {"active": 2}, …}``. XCom ``rows`` (or
    the file at ``results_path``) lists each row's key, UUID, status and reason; ``failed_rows`` the rows
    that were certainly not sent, as input for another task; ``sent`` is whether any row was sent.

    .. code-block:: python

        BMCampaignBatchOperator(
            task_id="send",
            sql="SELECT shop, list, headline FROM storms WHERE day = '{{ ds }}'",
            sql_conn_id="warehouse",
            key="shop",
            clone_uuid="1592695e-c1b1-11ee-b153-774c9d3a7957",
            name="Storm {{ row.shop }}",
            recipient_lists="{{ row.list }}",
        )

    :param rows: the table: a list of dicts, a data frame (pandas, polars, PyArrow), or the path of a
        ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.parquet`` file, also in an object storage
        (templated)
    :param sql: instead of ``rows``: a query that returns them (templated)
    :param sql_conn_id: Airflow connection for ``sql``, of any database (templated)
    :param sql_parameters: parameters of ``sql`` (templated)
    :param key: the columns whose values identify a row, as a list or separated by commas
    :param clone_uuid: the campaign to clone; None: create new ones (templated, also over the row)
    :param template_vars: values of the variables in the source: a list of columns, or a dict of names and
        values; None: all columns that the source's texts name (templated, also over the row)
    :param name: name of each campaign; None: DAG, task and key (templated, also over the row, as are all
        following fields)
    :param sending_type: channel: ``sms``, ``webpush``, ``email``, ``telegram``, ``rbm``, ``viber``,
        ``whatsapp``
    :param template: the message: plain text for sms and webpush, otherwise JSON, as a dict, a string, or
        the name of a ``.json`` file
    :param sender: sender ID, e-mail address, or phone number ID, by channel; a phone number as text
    :param recipient_lists: UUIDs of the lists to message: a list, or a comma separated string
    :param status: ``active`` (send) or ``draft``
    :param schedule_type: ``now``, ``once`` or ``scheduled``; None: inferred from
        ``schedule_rrule``, else the source's, or ``now``
    :param schedule_rrule: an aware datetime, a string with offset, ``Y-m-d H:i:s`` (UTC), an iCal RRULE,
        or :func:`~airflow_provider_bm.campaigns.local_time`: that time in each row's own zone, from the start
        of the run on
    :param query_type: ``all`` or ``segmentation``
    :param query: segmentation: a :class:`~airflow_provider_bm.campaigns.SegmentationQuery`, a dict, a JSON
        string, or the name of a ``.json`` file
    :param webpush_title: title of a web push message
    :param webpush_body: body of a web push message
    :param webpush_target_url: URL that a web push message opens
    :param webpush_icon: URL of a web push message's icon
    :param webpush_image: URL of a web push message's image
    :param max_campaigns: number of rows above which nothing is sent; None: any. Default: 1000
    :param expected_rows: lowest and highest number of rows with which anything is sent. Default: any
    :param on_invalid: what to do if a row is refused by a check: ``fail`` (send nothing; default) or ``skip``
        (send the others)
    :param on_removed_rows: what to do if an earlier try has sent rows that are not in the table any more, and
        others are to be sent, which may be the same under another key: ``fail`` (default) or ``warn``
    :param on_error: what to do once more than ``max_failures`` rows have failed: ``stop`` (default) or
        ``continue`` with the others. The task fails in both cases.
    :param max_failures: failed rows with which the task still succeeds. Default: 0
    :param max_workers: number of campaigns to send at a time, from 1 to 10. Default: 8
    :param results_path: file for the results, a line of JSON for each row, also in an object storage
        (templated)
    :param wait_for_completion: wait until all campaigns have finished. Default: False
    :param deferrable: wait in the triggerer, without a worker slot. Default: Airflow's
        ``operators.default_deferrable``
    :param poke_interval: seconds (or a timedelta) between two polls. Default: 60
    :param timeout: seconds (or a timedelta) to wait at most; the campaigns continue. Default: 7 days
    :param stop_on_kill: stop the campaigns if the task is killed while it waits. Nothing more is sent in any
        case. Default: True
    :param float_format: format of numbers that are not whole, such as ``.2f``. Without it a number with more
        than six decimal places is refused.
    :param max_age: age up to which a scheduled or backfill run sends: a timedelta or seconds; None: any.
        Default: ``[bm] max_age`` of Airflow's configuration, or a day. (templated)
    :param on_stale: what an older run does: ``fail`` (default) or ``skip``
    :param send_window: when messages may go out: a :class:`~airflow_provider_bm.campaigns.SendWindow`
    :param allow_immediate: accept a recurring rule that fires as soon as it is saved, and a time in the past.
        Default: False
    :param allowed_variables: names of variables that BM fills, besides contact fields (templated)
    :param on_unknown_variable: what to do about a variable that is not filled, and about a name in
        ``template_vars`` that does not occur: ``fail`` (default) or ``warn``
    :param on_draft_only: how the task ends if the connection is ``draft_only``: ``succeed`` (default),
        ``fail`` or ``skip``
    :param bm_conn_id: Airflow connection of type ``bm``; default ``bm_default`` (templated)
    :param service_uuid: BM account; None: the connection's (templated)
    :raises AirflowFailException: the table, a row, or the server's answer to it does not allow to send
    :raises AirflowSkipException: ``on_stale``, ``on_draft_only`` or a send window is set to skip
    :raises AirflowException: rows have failed that another try may send
    """

    operator_extra_links: Any = ()
    template_fields: Sequence[str] = (
        "rows",
        "sql",
        "sql_conn_id",
        "sql_parameters",
        *ROW_FIELDS,
        "results_path",
        "max_age",
        "allowed_variables",
        *CONNECTION_FIELDS,
    )
    argument_checks = {
        "status": one_of(*CREATE_STATUSES),
        "template_vars": is_a("must be a dict, or a list of columns", Mapping, list, tuple, str),
    }
    template_fields_renderers = {"sql": "sql", "template": "json", "query": "json", "template_vars": "json"}
    _sender: RowSender | None = None
    _waiting: tuple[Any, list[str]] | None = None

    def __init__(
        self,
        *,
        key: str | Sequence[str],
        rows: Any = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        sql_parameters: Any = None,
        clone_uuid: str | None = None,
        template_vars: Sequence[str] | Mapping[str, Any] | None = None,
        name: str | None = None,
        sending_type: str | None = None,
        template: str | dict[str, Any] | None = None,
        sender: str | None = None,
        recipient_lists: str | Sequence[str] | None = None,
        status: str = "active",
        schedule_type: str | None = None,
        schedule_rrule: str | datetime | LocalTime | None = None,
        query_type: str | None = None,
        query: str | dict[str, Any] | SegmentationQuery | None = None,
        webpush_title: str | None = None,
        webpush_body: str | None = None,
        webpush_target_url: str | None = None,
        webpush_icon: str | None = None,
        webpush_image: str | None = None,
        max_campaigns: int | None = 1_000,
        expected_rows: tuple[int, int] | None = None,
        on_invalid: str = "fail",
        on_removed_rows: str = "fail",
        on_error: str = "stop",
        max_failures: int = 0,
        max_workers: int = 8,
        results_path: Any = None,
        wait_for_completion: bool = False,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poke_interval: float | timedelta = 60,
        timeout: float | timedelta = SEVEN_DAYS,
        stop_on_kill: bool = True,
        float_format: str | None = None,
        max_age: timedelta | float | str | None = DEFAULT_MAX_AGE,
        on_stale: str = "fail",
        send_window: SendWindow | Mapping[str, Any] | str | None = None,
        allow_immediate: bool = False,
        allowed_variables: str | Sequence[str] = (),
        on_unknown_variable: str = "fail",
        on_draft_only: str = "succeed",
        bm_conn_id: str = "bm_default",
        service_uuid: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.key = key
        self.rows = rows
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters
        self.clone_uuid = clone_uuid
        self.template_vars = template_vars
        self.name = name
        self.sending_type = sending_type
        self.template = template
        self.sender = sender
        self.recipient_lists = recipient_lists
        self.status = status
        self.schedule_type = schedule_type
        self.schedule_rrule = schedule_rrule
        self.query_type = query_type
        self.query = query
        self.webpush_title = webpush_title
        self.webpush_body = webpush_body
        self.webpush_target_url = webpush_target_url
        self.webpush_icon = webpush_icon
        self.webpush_image = webpush_image
        self.max_campaigns = max_campaigns
        self.expected_rows = expected_rows
        self.on_invalid = on_invalid
        self.on_removed_rows = on_removed_rows
        self.on_error = on_error
        self.max_failures = max_failures
        self.max_workers = max_workers
        self.results_path = results_path
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        self.stop_on_kill = stop_on_kill
        self.float_format = float_format
        self.max_age = max_age
        self.on_stale = on_stale
        self.send_window = send_window
        self.allow_immediate = allow_immediate
        self.allowed_variables = allowed_variables
        self.on_unknown_variable = on_unknown_variable
        self.on_draft_only = on_draft_only
        self.bm_conn_id = bm_conn_id
        self.service_uuid = service_uuid
        super().__init__(**kwargs)
        #: Texts that are rendered for each row, instead of once.
        self._row_templates: frozenset[str] = frozenset()

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render what does not depend on the row."""
        from airflow_provider_bm.operators.batch_rows import is_row_template

        is_mapped = seen_oids is not None and id(content) in seen_oids
        is_text = isinstance(content, str) and not is_mapped
        if is_text and is_row_template(jinja_env or self.get_template_env(), content):
            self._row_templates |= {content}
            self._rendered |= {content}
            return content
        return super().render_template(content, context, jinja_env, seen_oids)

    def call_api(self, context: Context) -> dict[str, Any]:
        """Send the campaigns, push the result of each row, and wait if requested."""
        from airflow_provider_bm.batch.spool import Spool

        self._check_rendered_arguments()
        with Spool() as spool:
            return self._send_table(context, spool)

    def _send_table(self, context: Context, spool: Spool) -> dict[str, Any]:
        from airflow_provider_bm.batch.results import result
        from airflow_provider_bm.batch.rows import identify
        from airflow_provider_bm.triggers.deferral import fail_wait

        rows = identify(self._read(), self.key, spool, self.max_campaigns)
        self._check_number(len(rows))
        self._check_results_path()
        log.info("The table has %d rows", len(rows))
        try:
            self._send(context, rows)
        except (AirflowFailException, AirflowSkipException) as error:
            sent = sum(row.uuid is not None for row in rows)
            if not sent:
                raise
            # Never skipped: a part was sent.
            raise AirflowFailException(
                f"{sent} of {len(rows)} rows have a campaign. Of the others: {error}"
            ) from None
        finally:
            manifest = self._push_results(context, map(result, rows))
        self._raise_failures(rows)
        settings = self.hook.client.settings
        if settings.draft_only and self.status != "draft":
            drafts = manifest["campaigns"].get("draft", 0)
            self.end_unsent(
                f"NOTHING WAS SENT: the connection {settings.conn_id!r} or [bm] draft_only of Airflow's "
                f"configuration is draft_only. {drafts} campaigns are drafts."
            )
            return manifest
        uuids = [row.uuid for row in rows if row.uuid is not None and row.campaign_status == "active"]
        if self.wait_for_completion and uuids:
            verdict, statuses = self._wait(context, uuids, manifest)
            manifest = self._push_results(context, _with_statuses(map(result, rows), statuses))
            if verdict.state == "failed":
                fail_wait(verdict.reason)
        return manifest

    def _key(self, context: Context) -> str:
        from airflow_provider_bm.idempotency.key import task_key

        ti, namespace = context["ti"], self.hook.client.settings.key_namespace
        return task_key(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, namespace)

    def argument_problems(self) -> Iterator[Problem]:
        """Yield problems that concern several arguments."""
        if (self.rows is None) == (self.sql is None):
            yield Problem("rows", self.rows, "pass either rows or sql")
        if (self.sql is None) != (self.sql_conn_id is None):
            yield Problem("sql_conn_id", self.sql_conn_id, "belongs to sql")
        if self.template_vars is not None and self.clone_uuid is None:
            yield Problem(
                "template_vars", self.template_vars, "needs clone_uuid; in a template, use {{ row.x }}"
            )
        if self.wait_for_completion and self.status == "draft":
            yield Problem("wait_for_completion", True, "a draft does not finish: it needs status='active'")
        yield from schedule_and_query_problems(self)
        if self.clone_uuid is None:
            yield from missing_parts(self)

    def _check_rendered_arguments(self) -> None:
        """Check what only rendering shows, before the table is read."""
        from airflow_provider_bm.exceptions import BMPayloadError

        problems = list(self.argument_problems())
        problems += [
            Problem(name, value, "cannot depend on the row")
            for name in self.template_fields
            if name not in ROW_FIELDS
            and isinstance(value := getattr(self, name), str)
            and value in self._row_templates
        ]
        if problems:
            raise BMPayloadError(problems, "arguments", nothing_sent=True)

    def _check_number(self, rows: int) -> None:
        limits = self.expected_rows
        if limits is not None and not limits[0] <= rows <= limits[1]:
            self._refuse("expected_rows", limits, f"the table has {rows} rows", "table")

    def _check_results_path(self) -> None:
        """Create the file of the results, before anything is sent."""
        if self.results_path is None:
            return
        path, table = _path(self.results_path), self.rows
        if (isinstance(table, str) or hasattr(table, "open")) and str(_path(table)) == str(path):
            self._refuse("results_path", str(path), "is the file of the table, which would be lost")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("w", encoding="utf-8").close()
        except OSError as error:
            raise AirflowException(
                f"results_path={str(path)!r} cannot be written: {error}. Nothing was sent."
            ) from None

    def _refuse(self, name: str, value: Any, expected: str, subject: str = "arguments") -> NoReturn:
        from airflow_provider_bm.exceptions import BMPayloadError, Problem

        raise BMPayloadError([Problem(name, value, expected)], subject, nothing_sent=True)

    def _read(self) -> Iterator[dict[str, Any]]:
        from airflow_provider_bm.operators.batch_rows import query_rows, read_rows

        if self.sql is not None and self.sql_conn_id is not None:
            return query_rows(self.sql, self.sql_conn_id, self.sql_parameters)
        return read_rows(self.rows)

    def _send(self, context: Context, rows: list[BatchRow]) -> None:
        from airflow_provider_bm.batch.gate import Gate
        from airflow_provider_bm.batch.sender import RowSender
        from airflow_provider_bm.exceptions import BMPayloadError
        from airflow_provider_bm.hooks.bm import client_with
        from airflow_provider_bm.idempotency.compare import CONTENT_FIELDS

        ti, settings = context["ti"], self.hook.client.settings
        gate = Gate()
        client = client_with(settings, sleep=gate.sleep)
        key = self._key(context)
        preparation = self._preparation(context, key)
        for row in rows:
            if row.status != "invalid":
                preparation.prepare(row)
        windows = self.send_window is not None or settings.send_window is not None

        def check(row: BatchRow) -> dict[str, Any]:
            now = self.hook.client.server_now()
            return self.guards(context).check_post(preparation.content(row), now) if _sends(row) else {}

        def before_post(row: BatchRow) -> None:
            if changes := check(row):
                row.payload = {**row.payload, **changes}

        self._sender = sender = RowSender(
            client=client,
            gate=gate,
            key=key,
            tried_before=ti.try_number > 1,
            since=start_of_run(context),
            store=context.get("task_state_store"),
            expected=preparation.expected,
            before_post=before_post,
            max_workers=self.max_workers,
            stop_after=self.max_failures if self.on_error == "stop" else None,
            # The time of a campaign that waits for a window depends on when it was sent.
            compared=[name for name in CONTENT_FIELDS if not (windows and name.startswith("schedule"))],
        )
        try:
            left = sender.adopt_earlier(rows)
            for row in left:
                if row.status != "invalid":
                    try:
                        check(row)
                    except BMPayloadError as error:
                        row.fail("invalid", _in_one_line(error), permanent=True)
            self._report_invalid(left)
            valid = [row for row in left if row.status != "invalid"]
            self._check_removed(sender, valid)
            limit, sending = settings.max_campaigns_per_hour, sum(map(_sends, valid))
            if limit is not None and sending > limit:
                raise AirflowFailException(
                    f"{sending} rows would be sent, and the connection's max_campaigns_per_hour is {limit}. "
                    "Nothing was sent."
                )
            sender.send(valid)
        finally:
            client.close()

    def _preparation(self, context: Context, key: str) -> RowPreparation:
        from airflow_provider_bm.batch.preparation import RowPreparation
        from airflow_provider_bm.operators.batch_rows import RowTemplates

        templates = RowTemplates(
            self.get_template_env(),
            self._row_templates,
            context,
            self.float_format,
            start_of_run(context) or datetime.now(UTC),
        )
        fields = self.provided(CAMPAIGN_FIELDS)
        if self.hook.client.settings.draft_only:
            fields["status"] = "draft"
        guards = self.guards(context)
        # One warning per variable, not per row.
        warns, guards = guards.on_unknown_variable == "warn", replace(guards, on_unknown_variable="fail")
        return RowPreparation(
            client=self.hook.client,
            key=key,
            fields=fields,
            clone_uuid=self.clone_uuid,
            template_vars=self.template_vars,
            default_name=f"{context['ti'].dag_id}.{context['ti'].task_id}",
            float_format=self.float_format,
            templates=templates,
            check_variables=guards.check_variables,
            warn_about_variables=warns,
        )

    def _check_removed(self, sender: RowSender, valid: Sequence[BatchRow]) -> None:
        """Refuse to send rows that may have been sent under another key."""
        from airflow_provider_bm.campaigns.labels import campaign_label

        removed = sender.removed
        if not removed:
            return
        example = removed[0]
        message = (
            f"{len(removed)} of {sender.found} campaigns of earlier tries belong to no row of this table, "
            f"such as {campaign_label(example['uuid'], example)}"
        )
        if valid and self.on_removed_rows == "fail":
            raise AirflowFailException(
                f"{message}, and {len(valid)} rows have no campaign, such as {valid[0]}. If these are the "
                "same rows with another key, they would be sent twice. Nothing was sent. Restore the key, or "
                "the rows; if the table has new rows, set on_removed_rows='warn'."
            )
        log.warning("%s. They continue.", message)

    def _report_invalid(self, rows: list[BatchRow]) -> None:
        """Log every row that a check refused and, unless they are skipped, fail."""
        invalid = [row for row in rows if row.status == "invalid"]
        for row in invalid:
            log.error("%s is invalid: %s", row, row.reason)
        if invalid and self.on_invalid == "fail":
            raise AirflowFailException(
                f"{len(invalid)} of {len(rows)} rows are invalid; nothing was sent.{_listed(invalid)}\n"
                "To send the others, set on_invalid='skip'."
            )

    def _push_results(self, context: Context, results: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Write the results of the rows, and return the counts."""
        from airflow_provider_bm.batch.results import Summary, json_line
        from airflow_provider_bm.waiting.result import SENT_KEY

        summary, written = Summary(MAX_XCOM), None
        if self.results_path is None:
            for each in results:
                summary.add(each)
        else:
            path = _path(self.results_path)
            written = str(path)
            # A half surrogate becomes an escape, as JSON has it.
            with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
                for each in results:
                    summary.add(each)
                    file.write(json_line(each))
        manifest = {**summary.counts(), "results_path": written}
        log.info("%s", manifest)
        if not self.do_xcom_push:
            return manifest
        ti = context["ti"]
        ti.xcom_push(key=SENT_KEY, value=bool({"active", "finished"} & manifest["campaigns"].keys()))
        contents: dict[str, Any] = {FAILED_ROWS_KEY: summary.failed_rows}
        if self.results_path is None:
            contents[ROWS_KEY] = summary.results
        for name, content in contents.items():
            if content is not None:
                ti.xcom_push(key=name, value=content)
            else:
                log.warning("XCom %s is not pushed, since it would be too large: set results_path", name)
        return manifest

    def _earlier_results(self, context: Context) -> Iterable[dict[str, Any]] | None:
        """Return the results that this task has written before it was deferred; None if there are none."""
        if self.results_path is None:
            found: list[dict[str, Any]] | None = self._pull(context, ROWS_KEY)
            return found
        path = _path(self.results_path)
        try:
            with path.open("r", encoding="utf-8") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            log.warning("%s does not exist on this machine: the results are not updated", path)
            return None
        return (json.loads(line) for line in lines if line)

    def _pull(self, context: Context, key: str) -> Any:
        ti = context["ti"]
        return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)

    def _raise_failures(self, rows: list[BatchRow]) -> None:
        from airflow_provider_bm.batch.rows import FAILURES

        failed = [row for row in rows if row.status in FAILURES]
        if len(failed) <= self.max_failures:
            for row in failed:
                log.warning("%s: %s (%s)", row, row.status, row.reason)
            return
        tried = [row for row in failed if row.status != "not_sent"] or failed
        permanent = all(row.permanent for row in tried)
        advice = (
            "" if permanent else "\nLeave it to the retries, or clear the task: no row is sent a second time."
        )
        raise (AirflowFailException if permanent else AirflowException)(
            f"{len(failed)} of {len(rows)} rows have failed; "
            f"{sum(row.uuid is not None for row in rows)} have a campaign.{_listed(tried)}{advice}"
        )

    def _wait(
        self, context: Context, uuids: list[str], manifest: dict[str, Any]
    ) -> tuple[Verdict, dict[str, str]]:
        """Wait until all campaigns have ended.

        :param manifest: the counts, which the task needs after a deferred wait
        :return: the end of the wait, and the statuses of the campaigns
        """
        from airflow_provider_bm.triggers.batch import BMCampaignBatchTrigger, pack_uuids
        from airflow_provider_bm.triggers.campaign import DEFER_MARGIN, timeout_message
        from airflow_provider_bm.triggers.deferral import seconds
        from airflow_provider_bm.waiting.batch import BatchWait

        timeout = timedelta(seconds=seconds(self.timeout))
        deadline = datetime.now(UTC) + timeout
        if self.deferrable:
            if self.do_xcom_push:
                context["ti"].xcom_push(key=RETURN_KEY, value=manifest)
            trigger = BMCampaignBatchTrigger(
                campaigns=pack_uuids(uuids),
                bm_conn_id=self.bm_conn_id,
                service_uuid=self.hook.client.settings.service_uuid,
                poke_interval=seconds(self.poke_interval),
                deadline=deadline.isoformat(),
                stop_on_kill=self.stop_on_kill,
            )
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout + DEFER_MARGIN)
        wait, self._waiting = BatchWait(uuids), (context["ti"], uuids)
        try:
            while (verdict := wait.poll(self.hook.client)).state == "waiting":
                remaining = (deadline - datetime.now(UTC)).total_seconds()
                if remaining <= 0:
                    raise AirflowSensorTimeout(timeout_message(wait.last_seen()))
                time.sleep(min(seconds(self.poke_interval), remaining))
        finally:
            self._waiting = None
        return verdict, wait.statuses

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Return the counts after the trigger has waited, or fail with its reason."""
        from airflow_provider_bm.idempotency.search import campaigns_of_rows
        from airflow_provider_bm.triggers.deferral import campaign_from_event, fail_wait

        state = event.get("state") if isinstance(event, dict) else None
        if state not in ("done", "failed"):
            campaign_from_event(event)
        client, manifest = self.hook.client, self._pull(context, RETURN_KEY) or {}
        rows = manifest.get("rows", 0)
        found = campaigns_of_rows(client, self._key(context), start_of_run(context), rows=rows)
        results = self._earlier_results(context)
        if results is None:
            campaigns = Counter(matches[0]["status"] for matches in found.values())
            manifest = {**manifest, "campaigns": dict(campaigns)}
        else:
            statuses = {each["uuid"]: each["status"] for matches in found.values() for each in matches}
            manifest = self._push_results(context, _with_statuses(results, statuses))
        if state == "failed":
            fail_wait(event.get("reason"))
        log.info("%s", event.get("reason"))
        return manifest

    def on_kill(self) -> None:
        """Send nothing more, and stop the campaigns that this task waits for, if a person has ended it."""
        if self._sender is not None:
            self._sender.stopped.set()
        # Reset first: a second signal must not stop them a second time.
        waiting, self._waiting = self._waiting, None
        if waiting is None or not self.stop_on_kill:
            return
        from airflow_provider_bm.hooks.bm import BMHook
        from airflow_provider_bm.triggers.on_kill import stop_within_grace

        ti, uuids = waiting
        # A new hook: the signal may have interrupted a request of the other one.
        hook = BMHook(self.bm_conn_id, self.service_uuid)
        if stop_within_grace(ti, uuids, lambda: hook.client, label=f"{len(uuids)} of a batch"):
            # Airflow 3 continues after a signal, for example of a worker that shuts down.
            self._waiting = waiting


def _with_statuses(
    results: Iterable[dict[str, Any]], statuses: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the results with the current status of each campaign."""
    for each in results:
        yield {**each, "campaign_status": statuses.get(each["uuid"], each["campaign_status"])}


def _path(value: Any) -> Any:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return value if hasattr(value, "open") else ObjectStoragePath(str(value))


def _sends(row: BatchRow) -> bool:
    return row.payload.get("status") == "active"


def _in_one_line(error: Exception) -> str:
    problems = getattr(error, "problems", None)
    return "; ".join(map(str, problems)) if problems else str(error)


def _listed(rows: Sequence[BatchRow]) -> str:
    lines = [f"\n  {row}: {row.reason}" for row in rows[:_NAMED]]
    return "".join(lines) + (f"\n  … and {len(rows) - _NAMED} more" if len(rows) > _NAMED else "")
