"""One round of looks, in the poller's thread."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_bm.client import BMClient
from airflow_provider_bm.client.batch import CampaignReader
from airflow_provider_bm.client.listing import Listing
from airflow_provider_bm.exceptions import BMBadRequestError, BMError, BMNotFoundError, BMResponseError
from airflow_provider_bm.polling.watcher import Found, Watcher

News = list[tuple[Watcher, Any]]


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

    :param tell: hands news over to the event loop
    """

    def __init__(self, client: BMClient, stop: Stop, tell: Callable[[News], None]) -> None:
        self.client = client
        self._reader = CampaignReader(client, stop.check)
        self._tell = tell
        self._asked_at = datetime.now(UTC)

    def look(self, watchers: Iterable[Watcher]) -> tuple[list[Watcher], BMError | None]:
        """Look once for each watcher.

        :return: those for whom nothing could be read, and why
        """
        self._asked_at = datetime.now(UTC)
        # Who failed the last time comes last, who was seen least recently first: nobody is starved.
        unread = dict.fromkeys(sorted(watchers, key=lambda one: (one.failed, one.looked_at or 0.0)))
        by_list, by_fields = defaultdict(list), defaultdict(list)
        for watcher in unread:
            if watcher.listing is not None:
                by_list[watcher.listing].append(watcher)
            else:
                by_fields[watcher.fields].append(watcher)
        try:
            for fields, group in by_fields.items():
                self._look_by_uuid(fields, group, unread)
            for listing, group in by_list.items():
                self._look_by_list(listing, group, unread)
        except BMError as error:
            return list(unread), error
        except Ended:
            return [], None
        return [], None

    def fail(self, watchers: Sequence[Watcher], error: BMError) -> None:
        """Tell watchers why nothing could be read.

        :param watchers: in the order in which they would have been looked for
        """
        # It may be the fault of what was asked for first: the next time, that comes last.
        self._hand_out((watcher, error) for watcher in reversed(watchers))

    def _look_by_uuid(
        self, fields: tuple[str, ...], group: list[Watcher], unread: dict[Watcher, None]
    ) -> None:
        watchers = defaultdict(list)
        for watcher in group:
            for uuid in watcher.wanted():
                watchers[uuid].append(watcher)
        for found in self._reader.read(list(watchers), fields):
            read = [(watcher, {uuid: one}) for uuid, one in found.items() for watcher in watchers[uuid]]
            for watcher, _ in read:
                unread.pop(watcher, None)
            self._hand_out(read)
            self._asked_at = datetime.now(UTC)

    def _look_by_list(self, listing: Listing, group: list[Watcher], unread: dict[Watcher, None]) -> None:
        found: dict[str, Any] = {}
        try:
            for campaign in self._reader.find(listing):
                found[campaign["uuid"]] = campaign
        except (BMBadRequestError, BMResponseError) as error:
            # It is about what they ask for: the others go on.
            for watcher in group:
                unread.pop(watcher, None)
            self.fail(group, error)
            return
        wanted: set[str] = set().union(*(watcher.wanted() for watcher in group))
        failure = None
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
            watcher.failed = isinstance(found, BMError) or any(map(_failed, found.values()))
            try:
                told = watcher.context.run(watcher.take, found)
            except Exception as error:  # noqa: BLE001 - it is this watcher's, and not the others'
                told = error
            if told is not None:
                news.append((watcher, told))
        if news:
            self._tell(news)


def _failed(one: dict[str, Any] | BMError) -> bool:
    return isinstance(one, BMError) and not isinstance(one, BMNotFoundError)
