"""One round of looks, in the poller's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.batch import CampaignReader
from airflow_provider_bm.client.listing import Listing
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

News = list[tuple[Watcher, Any]]
#: What those have in common whose campaigns can be read together: a list, or None; and optional parts.
Question = tuple[Listing | None, tuple[str, ...]]


class Ended(Exception):  # noqa: N818 - it is no error
    """Nobody waits any more."""


class Stop:
    """Ends a round from outside, also while it waits between two tries of a request."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End what goes on, as soon as its reply is there."""
        self._event.set()

    def check(self) -> None:
        """Go on, or raise :class:`Ended`."""
        if self._event.is_set():
            raise Ended

    def sleep(self, seconds: float) -> None:
        """Wait, unless it ends first."""
        self._event.wait(seconds)
        self.check()


class Rounds:
    """Looks for watchers through one client. Belongs to one thread.

    :param client: checks :class:`Stop` before each request
    :param tell: hands news over to the event loop
    """

    def __init__(self, client: BMClient, tell: Callable[[News], None]) -> None:
        self.client = client
        self._reader = CampaignReader(client)
        self._tell = tell
        self._asked_at = datetime.now(UTC)
        self._failed: set[Question] = set()

    def look(self, watchers: Iterable[Watcher]) -> tuple[list[Watcher], BMError | None]:
        """Look once for each watcher.

        :return: those for whom nothing could be read, and why
        """
        self._asked_at = datetime.now(UTC)
        # Last looks first; then who was answered least recently: nobody is starved if a round ends early.
        unread = dict.fromkeys(sorted(watchers, key=lambda one: (not one.overdue(), one.answered_at)))
        groups: dict[Question, list[Watcher]] = defaultdict(list)
        for watcher in unread:
            groups[watcher.listing, watcher.fields].append(watcher)
        try:
            # What has ended a round comes last in the next.
            for question in sorted(groups, key=self._failed.__contains__):
                self._look_for_group(question, groups[question], unread)
        except BMError as error:
            return list(unread), error
        except Ended:
            return [], None
        finally:
            self._failed &= groups.keys()
        return [], None

    def fail(self, watchers: Iterable[Watcher], error: BMError) -> None:
        """Tell watchers why nothing could be read."""
        self._hand_out((watcher, error) for watcher in watchers)

    def _look_for_group(self, question: Question, group: list[Watcher], unread: dict[Watcher, None]) -> None:
        listing, fields = question
        self._failed.discard(question)
        try:
            if listing is None:
                self._look_by_uuid(fields, group, unread)
            else:
                self._look_by_list(listing, group, unread)
        except Ended:
            raise
        except BMRateLimitError:
            # It says nothing of what was asked for.
            raise
        except BMError:
            self._failed.add(question)
            raise
        except Exception as unforeseen:
            # It is theirs, and not the others'.
            log.exception("Looks at %d campaigns have failed", len(group))
            self._failed.add(question)
            left = [watcher for watcher in group if watcher in unread]
            for watcher in left:
                del unread[watcher]
            self._tell([(watcher, unforeseen) for watcher in left])

    def _look_by_uuid(
        self, fields: tuple[str, ...], group: list[Watcher], unread: dict[Watcher, None]
    ) -> None:
        watchers = defaultdict(list)
        for watcher in group:
            for uuid in watcher.wanted():
                watchers[uuid].append(watcher)
        for found in self._reader.read(watchers, fields):
            read = [(watcher, {uuid: one}) for uuid, one in found.items() for watcher in watchers[uuid]]
            for watcher, _ in read:
                unread.pop(watcher, None)
            self._hand_out(read)
            self._asked_at = datetime.now(UTC)

    def _look_by_list(self, listing: Listing, group: list[Watcher], unread: dict[Watcher, None]) -> None:
        found: dict[str, Any] = {}
        failure = None
        try:
            for some in self._reader.find(listing):
                found.update(some)
        except (BMAPIError, BMResponseError) as error:
            if not _is_of_the_list(error):
                raise
            # The others go on.
            for watcher in group:
                unread.pop(watcher, None)
            self._failed.add((listing, listing.fields))
            self.fail(group, error)
            return
        wanted: set[str] = set().union(*(watcher.wanted() for watcher in group))
        try:
            for some in self._reader.read(sorted(wanted - set(found)), listing.fields):
                found.update(some)
        except BMError as error:
            # What the list has shown is true all the same.
            failure = error
            found.update(dict.fromkeys(wanted - set(found), error))
        for watcher in group:
            unread.pop(watcher, None)
        self._hand_out((watcher, found) for watcher in group)
        self._asked_at = datetime.now(UTC)
        if failure is not None:
            raise failure

    def _hand_out(self, read: Iterable[tuple[Watcher, Found]]) -> None:
        news: News = []
        for watcher, found in read:
            watcher.looked_at, watcher.asked_at = time.monotonic(), self._asked_at
            watcher.asked_there_at = self._asked_at + self.client.clock_ahead
            if not isinstance(found, BMError):
                watcher.answered_at = watcher.looked_at
            try:
                told = watcher.context.run(watcher.take, found)
            except Exception as error:  # noqa: BLE001 - it is this watcher's, and not the others'
                told = error
            if told is not None:
                news.append((watcher, told))
        if news:
            self._tell(news)


def _is_of_the_list(error: BMError) -> bool:
    """Whether an error is about what was asked for, and not about the server or who asks."""
    kinds = (BMBadRequestError, BMForbiddenError, BMNotFoundError, BMConflictError, BMResponseError)
    return isinstance(error, kinds) and not error.of_token
