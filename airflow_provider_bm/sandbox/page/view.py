"""What the page shows of a sandbox, a piece at a time, so that it stays quick with many campaigns.

The page asks for the overview twice a second: one page of rows, however many campaigns there are.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bm.sandbox.clock import rfc3339, rfc3339_ms
from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.execution import Campaign, Run

from .content import content, cut
from .traffic import REQUESTS, fault_rows, request_rows, spent
from .words import schedule_in_words

if TYPE_CHECKING:
    from airflow_provider_bm.sandbox.sandbox import Sandbox

ROWS: Final = 15
MESSAGES: Final = 50
RUNS: Final = 50
#: A "run" to ask for: what the next execution would send.
PREVIEW: Final = "preview"
DELETED: Final = "deleted"


@dataclass(eq=False)
class _Deleted:
    """What is left of a deleted campaign: its executions."""

    uuid: str
    fields: dict[str, str]
    runs: Sequence[Run]
    status: str = DELETED
    next: datetime | None = None

    @property
    def last(self) -> datetime:
        return self.runs[-1].started


_Shown = Campaign | _Deleted


class View:
    """Answers to the page; arguments are texts, as they stand in a query."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Look at this sandbox."""
        self._sandbox = sandbox
        self._store = sandbox.store

    def overview(
        self,
        status: str = "",
        search: str = "",
        sort: str = "newest",
        page: str = "1",
        selected: str = "",
        failed: str = "",
        until: str = "",
    ) -> dict[str, Any]:
        """Show the clock, a page of campaigns, the faults in force, and the last requests.

        :param status: only campaigns of this status; ``deleted`` for those that are gone.
        :param search: a piece of the name or of the UUID.
        :param sort: ``newest``, ``next``, ``last`` or ``name``.
        :param selected: UUID of a campaign to show apart; by default the one that was executed last.
        :param failed: ``yes`` for only the requests that failed.
        :param until: number of the newest request to show.
        """
        if failed not in ("", "yes"):
            raise ValueError(f"failed must be yes, or not there; not {cut(failed, 100)!r}")
        sandbox, store = self._sandbox, self._store
        with store.lock:
            now = store.settle()
            live = self._live()
            deleted = self._deleted()
            counts = Counter(one.status for one in live)
            found = _select(deleted if status == DELETED else live, status, search.casefold(), sort)
            number, pages = _page(page, len(found), ROWS)
            first = (number - 1) * ROWS
            apart = self._find(selected) if selected else self._latest(live)
            next_dt = _next(live)
            faults = sandbox.faults()
            last = sandbox.journal.last(REQUESTS, failed=bool(failed), until=int(until) if until else None)
            return {
                "clock": {
                    "now": rfc3339_ms(now),
                    "speed": sandbox.clock.speed,
                    "frozen": sandbox.clock.frozen,
                },
                "next_dt": next_dt and rfc3339(next_dt),
                "counts": {**counts, DELETED: len(deleted), "all": len(live)},
                "messages": sum(run.sent(now) for run in store.runs),
                "rows": [_row(one, now) for one in found[first : first + ROWS]],
                "found": len(found),
                "first": first + 1,
                "page": number,
                "pages": pages,
                "selected": apart and _row(apart, now),
                "faults": fault_rows(faults),
                "fault_count": len(faults),
                "spent_count": sum(map(spent, faults)),
                "requests": request_rows(last),
                "request_count": last.total,
                "newer_requests": last.newer,
            }

    def campaign(self, uuid: str, run: str = "", search: str = "", page: str = "1") -> dict[str, Any]:
        """Show a campaign, and the messages of one of its executions.

        :param run: UUID of the execution; the last by default, or ``preview``: what the next would send.
        :param search: a piece of a contact's name or address, or of the text.
        """
        with self._store.lock:
            now = self._store.settle()
            shown = self._find(uuid)
            if shown is None:
                raise ApiError(404, f"There is no campaign {cut(uuid, 100)} any more.")
            chosen, at = self._run(shown, run, now)
            preview, names = chosen.uuid == PREVIEW, _names(chosen)
            count, messages = chosen.sent(at), chosen.messages(at)
            if search:
                wanted = search.casefold()
                kept = [one for one in messages if wanted in _searched(one, names[one["contact_uuid"]])]
                count, messages = len(kept), iter(kept)
            number, pages = _page(page, count, MESSAGES)
            first = (number - 1) * MESSAGES
            return {
                "row": _row(shown, now),
                "fields": {name: cut(value) for name, value in shown.fields.items()},
                "recipients": self._recipients(shown.fields),
                "service_uuid": shown.service_uuid if isinstance(shown, Campaign) else None,
                "runs": [_run_row(one, now) for one in islice(reversed(shown.runs), RUNS)],
                "run": PREVIEW if preview else chosen.uuid,
                "preview_dt": rfc3339(chosen.started) if preview else None,
                "can_preview": isinstance(shown, Campaign),
                "total": chosen.total,
                "messages": [
                    _message(one, names[one["contact_uuid"]])
                    for one in islice(messages, first, first + MESSAGES)
                ],
                "found": count,
                "first": first + 1,
                "page": number,
                "pages": pages,
            }

    def request(self, number: str) -> dict[str, Any]:
        """Show one request of the journal, with query, headers and body."""
        entry = self._sandbox.journal.numbered(int(number))
        if entry is None:
            raise ApiError(404, f"Request {int(number)} is forgotten.")
        body = entry.body
        text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
        return {
            "path": cut(entry.path),
            "query": dict(entry.query),
            "body": None if body is None else cut(text),
            "error": entry.error and cut(entry.error),
            "connection": entry.connection,
        }

    def go_to_next(self) -> dict[str, Any]:
        """Move the clock to the next execution of any campaign.

        :raises ApiError: 400 if there is none to come.
        """
        with self._store.lock:
            now = self._store.settle()
            moment = _next(self._live())
            if moment is None:
                raise ApiError(400, "No campaign has an execution to come.")
            self._sandbox.clock.advance(max(moment - now, timedelta(0)))
            self._store.settle()
            return {"now": rfc3339_ms(self._sandbox.clock.now())}

    def clear_used_up(self) -> None:
        """End the faults that hit nothing any more."""
        for fault in self._sandbox.faults():
            if spent(fault):
                self._sandbox.clear_faults(fault["id"])

    def _live(self) -> list[Campaign]:
        services = [self._store.campaigns(name) for name in self._store.services]
        # Each is in order already.
        return services[0] if len(services) == 1 else list(merge(*services, key=lambda one: one.age))

    def _deleted(self) -> list[_Deleted]:
        gone: dict[str, list[Run]] = {}
        services = list(self._store.services.values())
        for run in self._store.runs:
            if not any(run.campaign_uuid in campaigns for campaigns in services):
                gone.setdefault(run.campaign_uuid, []).append(run)
        return [_Deleted(uuid, runs[-1].fields, runs) for uuid, runs in gone.items()]

    def _find(self, uuid: str) -> _Shown | None:
        for campaigns in self._store.services.values():
            if uuid in campaigns:
                return campaigns[uuid]
        runs = [run for run in self._store.runs if run.campaign_uuid == uuid]
        return _Deleted(uuid, runs[-1].fields, runs) if runs else None

    def _latest(self, live: Sequence[Campaign]) -> _Shown | None:
        if self._store.runs:
            return self._find(self._store.runs[-1].campaign_uuid)
        return live[-1] if live else None

    def _recipients(self, fields: dict[str, str]) -> list[str]:
        names = {uuid: name for name, uuid in self._sandbox.recipient_lists.items()}
        uuids = [uuid.strip().lower() for uuid in fields["recipient_lists"].split(",")]
        return [cut(names.get(uuid, uuid), 100) for uuid in uuids]

    def _run(self, shown: _Shown, wanted: str, now: datetime) -> tuple[Run, datetime]:
        if shown.runs and wanted != PREVIEW:
            return next((run for run in shown.runs if run.uuid == wanted), shown.runs[-1]), now
        if isinstance(shown, _Deleted):
            return shown.runs[-1], now
        start = shown.next or now
        duration = timedelta(seconds=1)
        targets = self._store.target(shown.fields, start)
        return Run(shown.uuid, shown.fields, start, duration, targets, uuid=PREVIEW), start + duration


def _select(campaigns: Sequence[_Shown], status: str, search: str, sort: str) -> list[_Shown]:
    found = [
        one
        for one in reversed(campaigns)
        if (not status or one.status == status)
        and (not search or search in one.fields["name"].casefold() or search in one.uuid)
    ]
    match sort:
        case "newest":
            pass
        case "name":
            found.sort(key=lambda one: one.fields["name"].casefold())
        case "next":
            found.sort(key=lambda one: one.next.timestamp() if one.next else math.inf)
        case "last":
            found.sort(key=lambda one: -one.last.timestamp() if one.last else 0.0)
        case _:
            raise ValueError(f"sort must be one of: newest, next, last, name; not {cut(sort, 100)!r}")
    return found


def _next(campaigns: Iterable[Campaign]) -> datetime | None:
    return min((one.next for one in campaigns if one.next is not None), default=None)


def _page(wanted: str, count: int, size: int) -> tuple[int, int]:
    """Give the number of the page, which may not exist any more, and how many there are."""
    pages = max(1, -(-count // size))
    return min(max(1, int(wanted)), pages), pages


def _row(shown: _Shown, now: datetime) -> dict[str, Any]:
    run = shown.runs[-1] if shown.runs else None
    return {
        "uuid": shown.uuid,
        "name": cut(shown.fields["name"], 300),
        "status": shown.status,
        "channel": shown.fields["sending_type"],
        "schedule": cut(schedule_in_words(shown.fields), 300),
        "next_dt": shown.next and rfc3339(shown.next),
        "last_dt": shown.last and rfc3339(shown.last),
        "updated_dt": rfc3339_ms(shown.updated) if isinstance(shown, Campaign) else None,
        "runs": len(shown.runs),
        "sent": run and run.sent(now),
        "total": run and run.total,
        "state": run and _state(run),
    }


def _state(run: Run) -> str:
    if run.closed is None:
        return "running" if run.paused is None else "paused"
    return "done" if run.final == run.total else "given up"


def _run_row(run: Run, now: datetime) -> dict[str, Any]:
    return {
        "uuid": run.uuid,
        "started_dt": rfc3339(run.started),
        "sent": run.sent(now),
        "total": run.total,
        "state": _state(run),
    }


def _names(run: Run) -> dict[str, str]:
    return {
        one["uuid"]: f"{one.get('first_name', '')} {one.get('last_name', '')}".strip() for one in run.contacts
    }


def _message(message: dict[str, Any], contact: str) -> dict[str, Any]:
    own = {name: message[name] for name in ("contact_uuid", "to", "channel", "sender", "sent_dt")}
    return {**own, "contact": contact, **content(message)}


def _searched(message: dict[str, Any], contact: str) -> str:
    return f"{contact}\n{message['to']}\n{message['text']}".casefold()
