"""Sending the campaigns of a batch: one for each row, once, many at a time.

The protocol is that of :mod:`airflow_provider_bm.idempotency.find_or_create`, for all rows together: one list
request finds what an earlier try has created. Before requests leave, the rows that may be in flight are
recorded, some dozens at a time, with the time until which they may leave. Another try waits for these only.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bm.batch.gate import Gate
from airflow_provider_bm.batch.progress import Progress
from airflow_provider_bm.batch.rows import BatchRow
from airflow_provider_bm.campaigns.labels import campaign_label, name_without_key
from airflow_provider_bm.exceptions import (
    BMAuthError,
    BMCampaignStateError,
    BMConfigError,
    BMConnectError,
    BMError,
    BMForbiddenError,
    BMHeldError,
    BMOutcomeUnknownError,
    BMPolicyError,
    BMRateLimitError,
    truncated_repr,
)
from airflow_provider_bm.idempotency.adopt import SEND_AGAIN, refuse_unsent
from airflow_provider_bm.idempotency.compare import CONTENT_FIELDS, differences
from airflow_provider_bm.idempotency.record import Record, StateStore, intent_time
from airflow_provider_bm.idempotency.search import campaigns_of_rows
from airflow_provider_bm.idempotency.timing import Stopwatch, Timing, current_timing
from airflow_provider_bm.idempotency.verify import verify_reply

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Number of rows to record at once as possibly in flight.
CLAIM_SIZE: Final = 64
#: Seconds within which their requests leave.
LEASE: Final = 30.0
#: Maximum seconds to wait without sending anything while the server limits requests.
LONGEST_PAUSE: Final = 900.0
#: Seconds to wait after a 429 without ``Retry-After``.
DEFAULT_PAUSE: Final = 5.0
#: Consecutive requests without a response after which the server is considered down.
MAX_UNANSWERED: Final = 20
#: Errors that every other row would get, too.
_CONCERNS_ALL: Final = (BMAuthError, BMConfigError, BMForbiddenError, BMHeldError, BMPolicyError)

Campaign = Mapping[str, Any]


@dataclass(kw_only=True)
class RowSender:
    """Sends the campaigns of a table for one task instance.

    :param client: the API; its ``sleep`` is that of the gate
    :param gate: keeps all threads waiting when the server limits requests
    :param key: key of the task instance
    :param tried_before: an earlier try may have sent requests
    :param since: start of the DAG run; None: unknown
    :param store: Airflow's ``task_state_store``; None before 3.3
    :param expected: returns the content that a row's campaign should have, see :func:`.expected_content`
    :param before_post: called in a thread before each POST; may raise, or change the payload
    :param max_workers: number of threads
    :param stop_after: stop once more rows than this have failed; None: never
    :param compared: fields in which the campaign of an earlier try is compared with its row
    :ivar stopped: set it to send nothing more
    :ivar found: number of rows that have campaigns of earlier tries
    :ivar removed: these campaigns of rows that are not in the table
    """

    client: BMClient
    gate: Gate
    key: str
    tried_before: bool
    expected: Callable[[BatchRow], Mapping[str, Any]]
    before_post: Callable[[BatchRow], object] = lambda row: None
    since: datetime | None = None
    store: StateStore | None = None
    max_workers: int = 8
    stop_after: int | None = 0
    compared: Sequence[str] = CONTENT_FIELDS
    timing: Timing = field(default_factory=current_timing)
    stopped: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        self._record = Record(client=self.client, store=self.store, timing=self.timing)
        self._rows: Sequence[BatchRow] = ()
        #: Keys of rows that may be in flight since an earlier try; None: any row.
        self._in_flight: Collection[str] | None = ()
        self._strict = True
        self.found = 0
        self.removed: list[dict[str, Any]] = []
        self._unresolved: set[str] = set()
        self._queue: deque[BatchRow] = deque()
        self._running: dict[Future[Campaign | None], BatchRow] = {}
        #: Keys of rows whose requests may leave until the lease ends, in monotonic time.
        self._claimed: set[str] = set()
        self._lease = 0.0
        #: Rows of unknown outcome that were not searched for yet.
        self._unknown: list[BatchRow] = []
        self._sent = self._failed = self._unanswered = 0
        self._last_outcome_at = self.timing.monotonic()
        self._error: Exception | None = None

    def adopt_earlier(self, rows: Sequence[BatchRow]) -> list[BatchRow]:
        """Find the campaigns of earlier tries, with one list request.

        :return: the rows that have none
        """
        self._rows = rows
        record = self._record.read()
        known = bool(record.get("rows"))
        self._strict = not known and (self.store is not None or not self.tried_before)
        found = self._list()
        self._watch = Stopwatch(self.timing)
        self._window = 0.0
        if known and intent_time(record) is not None:
            self._in_flight = frozenset(record.get("in_flight") or ())
            self._window = self._record.remaining(record).total_seconds()
        elif "intent_dt" in record or (self.tried_before and self.store is None):
            # There is no record, or it cannot be read: any row may be in flight.
            self._in_flight = None
            self._window = self.timing.in_flight_window(self.client).total_seconds()
        keys = {row.row_key for row in rows}
        self.found = len(found)
        self.removed = [matches[0] for key, matches in found.items() if key not in keys]
        left = self._adopt(rows, found)
        if len(left) < len(rows):
            log.warning(
                "%d of %d campaigns were created by an earlier request of this task instance. They are not "
                "sent again.",
                len(rows) - len(left),
                len(rows),
            )
        return left

    def send(self, rows: Sequence[BatchRow]) -> None:
        """Send the rows that :meth:`adopt_earlier` has left.

        Each row's ``status`` is its outcome.

        :raises Exception: what ``before_post`` raised besides errors of the API
        """
        waiting = [row for row in rows if self._may_be_in_flight(row)]
        for row in waiting:
            row.fail("unknown", "an earlier try may have sent it")
        self._unresolved = {row.row_key for row in waiting}
        self._progress = Progress(len(rows), self.timing.monotonic)
        self._last_outcome_at = self.timing.monotonic()
        try:
            self._post([row for row in rows if row.row_key not in self._unresolved])
            if waiting and not self._must_stop():
                left = self._search(waiting, self._watch, self._window)
                if not self.stopped.is_set():
                    for row in left:
                        row.fail("not_sent", "")
                    self._unresolved -= {row.row_key for row in waiting}
                    self._post(left)
        finally:
            for row in rows:
                if row.status == "not_sent" and not row.reason:
                    row.reason = "the batch was stopped before"
            self._record.write(rows=len(self._rows), **self._unresolved_record())
        if self._error is not None:
            raise self._error

    def _unresolved_record(self) -> dict[str, Any]:
        """Return the record of rows that may still be in flight; their intent is kept for the next try."""
        if not self._unresolved:
            return {"in_flight": []}
        record = self._record.read()
        intent: dict[str, Any] = {
            name: record[name] for name in ("intent_dt", "intent_clock") if name in record
        }
        return {"in_flight": sorted(self._unresolved), **intent}

    def _may_be_in_flight(self, row: BatchRow) -> bool:
        return self._window > 0 and (self._in_flight is None or row.row_key in self._in_flight)

    def _list(self) -> dict[str, list[dict[str, Any]]]:
        return campaigns_of_rows(self.client, self.key, self.since, rows=len(self._rows))

    def _adopt(
        self, rows: Iterable[BatchRow], found: Mapping[str, list[dict[str, Any]]], *, own: bool = False
    ) -> list[BatchRow]:
        """Assign the campaigns that were found to their rows.

        :param own: this try has sent them
        :return: the rows without one
        """
        left = []
        for row in rows:
            matches = found.get(row.row_key)
            if not matches:
                left.append(row)
                continue
            if len(matches) > 1:
                log.error(
                    "There are %d campaigns of %s: %s. The first one is used.",
                    len(matches),
                    row,
                    ", ".join(campaign_label(each["uuid"], each) for each in matches),
                )
            self._adopt_one(row, matches[0], own=own)
        return left

    def _adopt_one(self, row: BatchRow, campaign: dict[str, Any], *, own: bool) -> None:
        if row.status == "invalid":
            row.set_campaign(campaign, "changed", f"sent by an earlier try; now {row.reason}")
            return
        try:
            if row.payload.get("status") == "active":
                refuse_unsent(campaign)
        except BMCampaignStateError as error:
            row.set_campaign(campaign, "failed", str(error))
            row.permanent = True
            return
        different = self._differences(row, campaign)
        if own or not different:
            row.set_campaign(campaign, "sent" if own else "adopted")
            return
        reason = f"its campaign differs from the row: {'; '.join(different)}"
        log.warning("Campaign %s of %s: %s", campaign_label(campaign["uuid"], campaign), row, reason)
        row.set_campaign(campaign, "failed" if self._strict else "changed", reason)
        if self._strict:
            row.reason += f". {SEND_AGAIN}."
            row.permanent = True
            self._failed += 1

    def _differences(self, row: BatchRow, campaign: Campaign) -> list[str]:
        found = differences(self.expected(row), campaign, tuple(self.compared))
        name, wanted = campaign.get("name"), name_without_key(str(row.payload.get("name")))
        if isinstance(name, str) and name_without_key(name).split() != wanted.split():
            found.append(f"name is {truncated_repr(name)} instead of {truncated_repr(wanted)}")
        return found

    def _post(self, rows: Sequence[BatchRow]) -> None:
        """Send rows, and search for those whose outcome is unknown, until all are done or it must stop."""
        self._queue.extend(rows)
        while self._queue and not self._must_stop():
            self._post_until_stop()
            unknown, self._unknown = self._unknown, []
            if unknown:
                log.warning("The outcome of %d requests is unknown: searching for them", len(unknown))
                window = self.timing.in_flight_window(self.client).total_seconds()
                left = self._search(unknown, Stopwatch(self.timing), window, own=True)
                self._failed -= len(unknown) - len(left)
                self._unresolved |= {row.row_key for row in left}

    def _post_until_stop(self) -> None:
        """Send rows from the queue, until it is empty or it must stop."""
        with ThreadPoolExecutor(self.max_workers, thread_name_prefix="bm-batch") as pool:
            try:
                while self._running or (self._queue and not self._must_stop()):
                    self._start_requests(pool)
                    self._finish_requests()
            except BaseException:
                # The task was killed: threads send nothing more.
                self.stopped.set()
                raise

    def _start_requests(self, pool: ThreadPoolExecutor) -> None:
        """Submit a row for each free thread, unless the server limits requests."""
        while (
            self._queue
            and len(self._running) < self.max_workers
            and not self.gate.remaining
            and not self._must_stop()
        ):
            if self._queue[0].row_key not in self._claimed or self.timing.monotonic() >= self._lease:
                self._claim()
            row = self._queue.popleft()
            self._running[pool.submit(self._post_row, row, self._lease)] = row

    def _finish_requests(self) -> None:
        """Wait until a request has ended, and record the outcome of its row."""
        if not self._running:
            self.timing.sleep(min(1.0, self.gate.remaining))
        for future in wait(self._running, timeout=1.0, return_when=FIRST_COMPLETED).done:
            row = self._running.pop(future)
            outcome = self._record_outcome(row, future)
            if outcome == "again":
                self._queue.appendleft(row)
                continue
            self._last_outcome_at = self.timing.monotonic()
            self._failed += row.status in ("failed", "unknown")
            self._sent += row.status == "sent"
            if outcome == "unknown":
                self._unknown.append(row)
        if self.timing.monotonic() - self._last_outcome_at > LONGEST_PAUSE:
            log.error("The server has limited all requests for %.0f s: nothing more is sent", LONGEST_PAUSE)
            self.stopped.set()
        self._progress.report(self._sent, self._failed)

    def _claim(self) -> None:
        """Record the next rows of the queue: their requests may leave from now on, until the lease ends."""
        self._lease = self.timing.monotonic() + LEASE
        self._claimed = {row.row_key for row in islice(self._queue, CLAIM_SIZE)}
        others = {row.row_key for row in (*self._running.values(), *self._unknown)}
        self._record.intend(
            lease=LEASE, rows=len(self._rows), in_flight=sorted(self._claimed | others | self._unresolved)
        )

    def _post_row(self, row: BatchRow, lease: float) -> Campaign | None:
        """Send one campaign, in a thread.

        :return: the campaign; None if the request did not leave, and may be repeated
        """
        if self.stopped.is_set() or self.gate.remaining or self.timing.monotonic() >= lease:
            return None
        self.before_post(row)
        payload = row.payload
        campaign = self.client.post_campaign(payload)
        verify_reply(
            campaign,
            payload,
            lambda: self.expected(row),
            client=self.client,
            key=f"{self.key}.{row.row_key}",
            recorded=False,
            timing=self.timing,
        )
        return campaign

    def _record_outcome(self, row: BatchRow, future: Future[Campaign | None]) -> str:
        """Record the outcome of a request: ``done``, ``unknown``, or ``again``."""
        try:
            campaign = future.result()
        except BMOutcomeUnknownError as error:
            row.fail("unknown", error.what)
            self._count_unanswered()
            return "unknown"
        except BMRateLimitError as error:
            pause = DEFAULT_PAUSE if error.retry_after is None else error.retry_after
            log.warning("The server limits requests: nothing is sent for %.0f s", pause)
            self.gate.close(pause)
            if pause > LONGEST_PAUSE:
                self.stopped.set()
            return "again"
        except BMCampaignStateError as error:
            # The server does not keep names or statuses: every other row would get the same.
            if error.campaign is not None:
                row.set_campaign(error.campaign, "failed", str(error))
            row.permanent = True
            self._error = error
            self.stopped.set()
            return "done"
        except BMError as error:
            row.fail("failed", str(error), permanent=error.permanent)
            log.error("%s was not sent: %s", row, error)
            if error.of_token or isinstance(error, _CONCERNS_ALL):
                self.stopped.set()
            if isinstance(error, BMConnectError):
                self._count_unanswered()
            return "done"
        except Exception as error:  # noqa: BLE001 - raised by send(), when all threads have ended
            row.fail("not_sent", str(error))
            self._error = self._error or error
            self.stopped.set()
            return "done"
        self._unanswered = 0
        if campaign is None:
            return "again"
        row.set_campaign(campaign, "sent")
        return "done"

    def _count_unanswered(self) -> None:
        self._unanswered += 1
        if self._unanswered >= MAX_UNANSWERED:
            log.error(
                "The server did not respond to %d consecutive requests; sending nothing more",
                self._unanswered,
            )
            self.stopped.set()

    def _must_stop(self) -> bool:
        if self.stopped.is_set():
            return True
        return self.stop_after is not None and self._failed > self.stop_after

    def _search(
        self, rows: Sequence[BatchRow], watch: Stopwatch, window: float, *, own: bool = False
    ) -> list[BatchRow]:
        """Search for the campaigns of rows until all are found, or no request can be in flight any more.

        :return: the rows that were not found
        """
        pause, left = self.timing.first_pause, list(rows)
        while True:
            left = self._adopt(left, self._list(), own=own)
            remaining = window - watch.elapsed
            if not left or remaining <= 0 or (self.stopped.is_set() and not own):
                return left
            log.info("Waiting for the campaigns of %d rows, for up to %.0f s", len(left), remaining)
            watch.sleep(min(pause, remaining))
            pause = min(6 * self.timing.longest_pause, pause * 2)
