"""The course of a campaign over time: executions, messages, recurrences.

Nothing runs in the background. Before the state is read, everything that is due by the clock is run,
so the outcome depends on the clock alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice, takewhile, tee
from typing import Any

from airflow_provider_bm.campaigns.recurrence import MAX_PAST, occurrences
from airflow_provider_bm.campaigns.schedule import read_once
from airflow_provider_bm.sandbox.clock import rfc3339, rfc3339_ms
from airflow_provider_bm.sandbox.contacts import Contact
from airflow_provider_bm.sandbox.rendering import address_of, render_message


@dataclass
class Run:
    """One execution of a campaign, with the content it had when it started."""

    campaign_uuid: str
    fields: dict[str, str]
    started: datetime
    duration: timedelta
    contacts: Sequence[Contact]
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    paused: datetime | None = None
    closed: datetime | None = None
    #: Number of messages sent when it closed: fewer than contacts if it was aborted.
    final: int | None = None
    #: Pairs of a message and the start that counts from there on: a pause moves the start of the rest.
    segments: list[tuple[int, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with one segment."""
        self.segments = [(0, self.started)]

    @property
    def total(self) -> int:
        """The number of contacts."""
        return len(self.contacts)

    @property
    def ends(self) -> datetime:
        """When it will be finished unless it is stopped."""
        return self.segments[-1][1] + self.duration

    def sent(self, now: datetime) -> int:
        """Return the number of messages sent until now."""
        if self.final is not None:
            return self.final
        before, anchor = self.segments[-1]
        elapsed = (self.paused or now) - anchor
        if elapsed >= self.duration:
            return self.total
        return max(before, self.total * elapsed // self.duration)

    def pause(self, now: datetime) -> None:
        """Send nothing until :meth:`resume`."""
        if self.closed is None and self.paused is None:
            self.paused = now

    def resume(self, now: datetime) -> None:
        """Send the rest after a pause."""
        if self.closed is None and self.paused is not None:
            rest, anchor = self.sent(now), self.segments[-1][1]
            self.segments.append((rest, anchor + (now - self.paused)))
            self.paused = None

    def close(self, now: datetime) -> None:
        """End it; what has not been sent will not be sent."""
        if self.closed is None:
            self.final = self.sent(now)
            self.closed = self.paused or now

    def messages(self, now: datetime) -> Iterator[dict[str, Any]]:
        """Render the messages sent until now."""
        return map(self.message, range(self.sent(now)))

    def message(self, number: int, *, sign: str = "") -> dict[str, Any]:
        """Render a message that has been sent.

        :param number: index of its contact
        :param sign: see :func:`.fill`.
        """
        contact, sending_type = self.contacts[number], self.fields["sending_type"]
        return {
            "campaign_uuid": self.campaign_uuid,
            "campaign_name": self.fields["name"],
            "contact_uuid": contact["uuid"],
            "to": address_of(sending_type, contact),
            "channel": sending_type,
            "sender": self.fields["sender"],
            **render_message(self.fields, contact, sign=sign),
            "sent_dt": rfc3339_ms(self.sent_at(number)),
        }

    def sent_at(self, number: int) -> datetime:
        """Return when a message was sent."""
        anchor = next(anchor for first, anchor in reversed(self.segments) if first <= number)
        return anchor + self.duration * (number + 1) / self.total

    def snapshot(self) -> Run:
        """Copy the current state, to be read without the store's lock."""
        copied = copy(self)
        copied.segments = list(self.segments)
        return copied

    def as_task(self, now: datetime) -> dict[str, Any]:
        """Describe it as a task of its campaign (``fields=tasks``; the shape is the sandbox's own)."""
        task: dict[str, Any] = {"uuid": self.uuid, "started_dt": rfc3339(self.started)}
        if self.closed is not None:
            task["finished_dt"] = rfc3339(self.closed)
        return task | {"total": self.total, "sent": self.sent(now)}


@dataclass(eq=False)
class Campaign:
    """A campaign as stored: its fields (all but ``status``) and the state of its executions."""

    service_uuid: str
    uuid: str
    fields: dict[str, str]
    status: str
    created: datetime
    updated: datetime
    number: int
    last: datetime | None = None
    #: The next execution; it counts only while the campaign is active.
    upcoming: datetime | None = None
    runs: list[Run] = field(default_factory=list)
    #: Runs that are neither finished nor aborted.
    open_runs: list[Run] = field(default_factory=list)
    deleted: bool = False
    #: The executions after the upcoming one.
    times: Iterator[datetime] = field(default_factory=lambda: iter(()))

    @property
    def age(self) -> tuple[datetime, int]:
        """Sort key: creation time in whole seconds, as in responses, then order of creation."""
        return (self.created.replace(microsecond=0), self.number)

    @property
    def next(self) -> datetime | None:
        """The next execution, if any."""
        return self.upcoming if self.status == "active" else None

    @property
    def due(self) -> datetime | None:
        """When its state will change by itself."""
        if self.status != "active" or self.deleted:
            return None
        times = [run.ends for run in self.open_runs]
        if self.upcoming is not None:
            times.append(self.upcoming)
        # Active without a next execution: it is finished at once.
        return min(times, default=self.updated)

    def plan(self, now: datetime) -> None:
        """Compute the executions to come from its schedule."""
        kind, rule = self.fields["schedule_type"], self.fields.get("schedule_rrule", "")
        if kind == "scheduled":
            self.times = occurrences(rule, now)
        elif kind == "once":
            self.times = iter((read_once(rule),))
        else:
            self.times = iter((now,))
        self.upcoming = next(self.times, None)

    def skip(self, now: datetime) -> bool:
        """Drop recurrences that have passed while it was not active; return False if there are too many."""
        earliest = now.replace(microsecond=0)
        for _ in range(MAX_PAST):
            if self.upcoming is None or self.upcoming >= earliest:
                return True
            self.upcoming = next(self.times, None)
        return False

    def count_until(self, moment: datetime, maximum: int) -> int:
        """Count the executions to come until a time, up to a maximum."""
        if self.next is None:
            return 0
        self.times, ahead = tee(self.times)
        coming = takewhile(lambda execution: execution <= moment, chain((self.next,), ahead))
        return sum(1 for _ in islice(coming, maximum))

    def pop_next(self) -> datetime:
        """Remove and return the next execution."""
        taken, self.upcoming = self.upcoming, next(self.times, None)
        if taken is None:
            raise RuntimeError("there is no next execution")
        return taken

    def pause(self, now: datetime) -> None:
        """Pause all open runs."""
        for run in self.open_runs:
            run.pause(now)

    def resume(self, now: datetime) -> None:
        """Resume all open runs."""
        for run in self.open_runs:
            run.resume(now)

    def abort(self, now: datetime) -> None:
        """Close all open runs."""
        for run in self.open_runs:
            run.close(now)
        self.open_runs.clear()

    def close_finished(self, now: datetime) -> None:
        """Close finished runs; the campaign is finished when nothing is left."""
        for run in [run for run in self.open_runs if run.ends <= now]:
            run.close(run.ends)
            self.open_runs.remove(run)
        if not self.open_runs and self.upcoming is None:
            self.status = "finished"

    def value(self, name: str) -> str | None:
        """Return a field as in a response; None if it is not set."""
        if name in OWN_FIELDS:
            moment_or_text = getattr(self, OWN_FIELDS[name])
            return rfc3339(moment_or_text) if isinstance(moment_or_text, datetime) else moment_or_text
        return self.fields.get(name)

    def as_response(self, now: datetime, extras: Sequence[str] = ()) -> dict[str, Any]:
        """Build its CampaignResponse (4.4)."""
        body: dict[str, Any] = {"uuid": self.uuid, **self.fields}
        for name in ("status", "created_dt", "updated_dt", "next_dt", "last_dt"):
            value = self.value(name)
            if value is not None:
                body[name] = value
        if "tasks" in extras:
            body["tasks"] = [run.as_task(now) for run in self.runs]
        if "messages" in extras:
            body["messages"] = [message for run in self.runs for message in run.messages(now)]
        return body


#: Fields of a response that are not among ``fields``, and their attributes.
OWN_FIELDS = {
    "uuid": "uuid",
    "status": "status",
    "created_dt": "created",
    "updated_dt": "updated",
    "next_dt": "next",
    "last_dt": "last",
}


def same_schedule(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Return whether two campaigns have the same schedule; an empty rule counts as none."""
    names = ("schedule_type", "schedule_rrule")
    return all(first.get(name, "") == second.get(name, "") for name in names)
