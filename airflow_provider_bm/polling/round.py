"""One round of looks, in the poller's thread."""

from __future__ import annotations

import logging
import threading
import time
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

News = list[tuple[Watcher, Any]]
#: What those have in common whose campaigns can be read together: a list, or None; and optional parts.
Question = tuple[CampaignFilter | None, tuple[str, ...]]


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


@dataclass
class Outcome:
    """How a round went.

    :ivar unread: those for whom nothing could be read, each with the reason
    :ivar error: what concerns more than one campaign or list, and so may concern all
    :ivar answered: whether the server said anything of a campaign or a list
    """

    unread: dict[Watcher, BMError] = field(default_factory=dict)
    error: Exception | None = None
    answered: bool = False

    @property
    def in_vain(self) -> bool:
        """Whether the server seems to be down."""
        return self.error is not None and not self.answered

    @property
    def permanent(self) -> BMError | None:
        """One of the reasons that will not pass, if there is any."""
        return next((error for error in self.unread.values() if error.permanent), None)


class Rounds:
    """Looks for watchers through one client. Belongs to one thread.

    :param client: checks :class:`Stop` before each request
    :param tell: hands news over to the event loop
    """

    def __init__(self, client: BMClient, tell: Callable[[News], None]) -> None:
        self.client = client
        self._reader = BulkReader(client)
        self._tell = tell
        self._asked_at = datetime.now(UTC)
        self._failed: set[Question] = set()
        self._outcome = Outcome()

    def look(self, watchers: Iterable[Watcher]) -> Outcome:
        """Look once for each watcher."""
        self._asked_at = datetime.now(UTC)
        self._outcome = outcome = Outcome()
        # Last looks first; then who was answered least recently: nobody is starved if a round ends early.
        unread = dict.fromkeys(sorted(watchers, key=lambda one: (not one.overdue(), one.answered_at)))
        groups: dict[Question, list[Watcher]] = defaultdict(list)
        for watcher in unread:
            groups[question_of(watcher)].append(watcher)
        try:
            # What has failed comes last in the next round.
            for number, question in enumerate(sorted(groups, key=self._failed.__contains__)):
                try:
                    self._look_for_group(question, groups[question], unread)
                except BMError as error:
                    outcome.error = error
                    if number == 0 and isinstance(error, BMRateLimitError):
                        # There may be more of it than the limit ever allows.
                        self._failed.add(question)
                    # What others have asked may be allowed.
                    ends = error.of_token or not error.permanent
                    left = list(unread) if ends else [one for one in groups[question] if one in unread]
                    outcome.unread.update(dict.fromkeys(left, error))
                    if ends:
                        break
                    for watcher in left:
                        del unread[watcher]
        except Ended:
            return Outcome()
        finally:
            self._failed &= groups.keys()
        return outcome

    def fail(self, watchers: Mapping[Watcher, BMError]) -> None:
        """Tell watchers why nothing could be read."""
        self._hand_out(watchers.items())

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
            read = []
            for uuid, one in found.items():
                refusal = one if isinstance(one, BMError) and not isinstance(one, BMNotFoundError) else None
                self._outcome.answered |= refusal is None or refusal.permanent
                for watcher in watchers[uuid]:
                    unread.pop(watcher, None)
                    watcher.looked(failed=refusal is not None)
                    if refusal is not None and refusal.permanent:
                        # Unless the connection leads elsewhere by now.
                        self._outcome.unread[watcher] = refusal
                    else:
                        read.append((watcher, {uuid: one}))
            self._hand_out(read)
            self._asked_at = datetime.now(UTC)

    def _look_by_list(
        self, listing: CampaignFilter, group: list[Watcher], unread: dict[Watcher, None]
    ) -> None:
        listed: dict[str, Any] = {}
        followed: dict[str, Any] = {}
        failure = None
        try:
            for some in self._reader.find(listing):
                listed.update(some)
        except (BMAPIError, BMResponseError) as error:
            if not _is_of_the_list(error):
                raise
            # The others go on.
            for watcher in group:
                unread.pop(watcher, None)
                watcher.looked(failed=True)
            self._failed.add((listing, listing.fields))
            self.fail(dict.fromkeys(group, error))
            return
        self._outcome.answered = True
        wanted: set[str] = set().union(*(watcher.wanted() for watcher in group))
        try:
            for some in self._reader.read(sorted(wanted - set(listed)), listing.fields):
                followed.update(some)
        except BMError as error:
            # What the list has shown is true all the same.
            failure = error
            followed = dict.fromkeys(wanted - set(listed), error) | followed
        for watcher in group:
            unread.pop(watcher, None)
            watcher.looked(failed=False)
        # Each what it follows itself: that others do says nothing of what it asked for.
        self._hand_out(
            (watcher, listed | {uuid: followed[uuid] for uuid in watcher.wanted() & followed.keys()})
            for watcher in group
        )
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


def question_of(watcher: Watcher) -> Question:
    """What a watcher has in common with those whose campaigns can be read together with its own."""
    return watcher.listing, watcher.fields


def _is_of_the_list(error: BMError) -> bool:
    """Whether an error is about what was asked for, and not about the server or who asks."""
    kinds = (BMBadRequestError, BMForbiddenError, BMNotFoundError, BMConflictError, BMResponseError)
    return isinstance(error, kinds) and not error.of_token
