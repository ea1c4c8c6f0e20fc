"""One round of polls, in the poller's thread."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.bulk import BulkReader
from airflow_provider_bm.client.filters import CampaignFilter
from airflow_provider_bm.exceptions import (
    BMAPIError,
    BMBadRequestError,
    BMConflictError,
    BMError,
    BMForbiddenError,
    BMNotFoundError,
    BMRateLimitError,
    BMResponseError,
)
from airflow_provider_bm.polling.watcher import Found, Watcher

log = logging.getLogger(__name__)

Results = list[tuple[Watcher, Any]]
#: Watchers with the same key can be polled together: the list or None, and optional parts.
QueryKey = tuple[CampaignFilter | None, tuple[str, ...]]


class PollingStopped(Exception):  # noqa: N818 - not an error
    """The last watcher has left."""


class StopSignal:
    """Ends a round from another thread, even while the round waits to retry a request."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End the round as soon as the response to the current request has arrived."""
        self._event.set()

    def check(self) -> None:
        """Raise :class:`PollingStopped` if the signal is set."""
        if self._event.is_set():
            raise PollingStopped

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the signal is set first."""
        self._event.wait(seconds)
        self.check()


@dataclass
class Outcome:
    """The outcome of a round.

    :ivar unread: watchers for which nothing could be read, each with its error
    :ivar error: an error that concerns more than one campaign or list
    :ivar answered: whether the server returned anything about a campaign or a list
    """

    unread: dict[Watcher, BMError] = field(default_factory=dict)
    error: Exception | None = None
    answered: bool = False

    @property
    def unanswered(self) -> bool:
        """Whether the server seems to be down."""
        return self.error is not None and not self.answered

    @property
    def permanent(self) -> BMError | None:
        """A permanent error, if there is one."""
        return next((error for error in self.unread.values() if error.permanent), None)


class PollRound:
    """Polls for watchers through one client. Belongs to one thread.

    :param client: checks the :class:`StopSignal` before each request
    :param deliver: passes results to the event loop
    :param time: the event loop's monotonic clock
    """

    def __init__(
        self, client: BMClient, deliver: Callable[[Results], None], time: Callable[[], float]
    ) -> None:
        self.client = client
        self._reader = BulkReader(client)
        self._deliver = deliver
        self._time = time
        self._failed: set[QueryKey] = set()
        self._outcome = Outcome()
        #: Watchers of this round that have no result yet.
        self._unread: dict[Watcher, None] = {}
        self._start_request()

    def poll(self, watchers: Iterable[Watcher]) -> Outcome:
        """Poll once for each watcher."""
        self._start_request()
        self._outcome = outcome = Outcome()
        # Urgent polls first, then the least recently answered: no watcher starves if rounds end early.
        in_order = sorted(watchers, key=lambda watcher: (not watcher.is_urgent(), watcher.answered_at))
        self._unread = unread = dict.fromkeys(in_order)
        groups: dict[QueryKey, list[Watcher]] = defaultdict(list)
        for watcher in unread:
            groups[query_key(watcher)].append(watcher)
        try:
            # Queries that failed come last in the next round.
            for number, key in enumerate(sorted(groups, key=self._failed.__contains__)):
                try:
                    self._poll_group(key, groups[key])
                except BMError as error:
                    outcome.error = error
                    if number == 0 and isinstance(error, BMRateLimitError):
                        # It may need more requests than the limit ever allows.
                        self._failed.add(key)
                    # Other queries may still be allowed.
                    ends_round = error.of_token or not error.permanent
                    candidates = unread if ends_round else groups[key]
                    affected = [watcher for watcher in candidates if watcher in unread]
                    outcome.unread.update(dict.fromkeys(affected, error))
                    if ends_round:
                        break
                    for watcher in affected:
                        del unread[watcher]
        except PollingStopped:
            return Outcome()
        finally:
            self._failed &= groups.keys()
        return outcome

    def fail(self, watchers: Mapping[Watcher, BMError]) -> None:
        """Deliver errors to the watchers for which nothing could be read."""
        self._evaluate(watchers.items())

    def _start_request(self) -> None:
        self._began_at, self._began_utc = self._time(), datetime.now(UTC)

    def _poll_group(self, key: QueryKey, group: list[Watcher]) -> None:
        listing, fields = key
        self._failed.discard(key)
        try:
            if listing is None:
                self._poll_by_uuid(fields, group)
            else:
                self._poll_list(listing, group)
        except PollingStopped:
            raise
        except BMRateLimitError:
            # It is not about the query.
            raise
        except BMError:
            self._failed.add(key)
            raise
        except Exception as error:
            # It concerns this group only.
            log.exception("Polling for %d watchers failed", len(group))
            self._failed.add(key)
            affected = [watcher for watcher in group if watcher in self._unread]
            for watcher in affected:
                del self._unread[watcher]
            self._deliver([(watcher, error) for watcher in affected])

    def _poll_by_uuid(self, fields: tuple[str, ...], group: list[Watcher]) -> None:
        watchers = defaultdict(list)
        for watcher in group:
            for uuid in watcher.campaign_ids():
                watchers[uuid].append(watcher)
        for found in self._reader.read(watchers, fields):
            results = []
            for uuid, result in found.items():
                failed = isinstance(result, BMError) and not isinstance(result, BMNotFoundError)
                permanent = isinstance(result, BMError) and failed and result.permanent
                self._outcome.answered |= permanent or not failed
                for watcher in watchers[uuid]:
                    watcher.record_attempt(failed=failed)
                    if permanent and isinstance(result, BMError):
                        # Delivered later, unless the connection has changed.
                        self._unread.pop(watcher, None)
                        self._outcome.unread[watcher] = result
                    else:
                        results.append((watcher, {uuid: result}))
            self._evaluate(results)
            self._start_request()

    def _poll_list(self, listing: CampaignFilter, group: list[Watcher]) -> None:
        listed: dict[str, Any] = {}
        followed: dict[str, Any] = {}
        failure = None
        try:
            for found in self._reader.list(listing):
                listed.update(found)
        except (BMAPIError, BMResponseError) as error:
            if not _is_about_query(error):
                raise
            # Other queries continue.
            for watcher in group:
                watcher.record_attempt(failed=True)
            self._failed.add((listing, listing.fields))
            self.fail(dict.fromkeys(group, error))
            return
        self._outcome.answered = True
        campaign_ids: set[str] = set().union(*(watcher.campaign_ids() for watcher in group))
        missing = campaign_ids - set(listed)
        try:
            for found in self._reader.read(sorted(missing), listing.fields):
                followed.update(found)
        except BMError as error:
            # The contents of the list are still valid.
            failure = error
            followed = dict.fromkeys(missing, error) | followed
        for watcher in group:
            watcher.record_attempt(failed=False)
        # Each watcher gets only the campaigns that it follows itself.
        self._evaluate(
            (watcher, listed | {uuid: followed[uuid] for uuid in watcher.campaign_ids() & followed.keys()})
            for watcher in group
        )
        self._start_request()
        if failure is not None:
            raise failure

    def _evaluate(self, found: Iterable[tuple[Watcher, Found]]) -> None:
        """Let watchers evaluate results, and deliver what they return or raise."""
        results: Results = []
        for watcher, result in found:
            self._unread.pop(watcher, None)
            try:
                watcher.polled_at, watcher.poll_began_at = self._time(), self._began_at
                watcher.server_time = self._server_time()
                if not isinstance(result, BMError):
                    watcher.answered_at = watcher.polled_at
                evaluated = watcher.context.run(watcher.on_result, result)
            except Exception as error:  # noqa: BLE001 - it concerns this watcher only
                evaluated = error
            if evaluated is not None:
                results.append((watcher, evaluated))
        if results:
            self._deliver(results)

    def _server_time(self) -> datetime:
        """Return when the current request began, by the server's clock, or by ours if that is implausible."""
        try:
            return self._began_utc + self.client.clock_ahead
        except OverflowError:
            return self._began_utc


def query_key(watcher: Watcher) -> QueryKey:
    """Return a watcher's key: watchers with the same key can be polled together."""
    return watcher.listing, watcher.fields


def _is_about_query(error: BMError) -> bool:
    """Return whether an error is about the query, and not about the server or the credentials."""
    kinds = (BMBadRequestError, BMForbiddenError, BMNotFoundError, BMConflictError, BMResponseError)
    return isinstance(error, kinds) and not error.of_token
