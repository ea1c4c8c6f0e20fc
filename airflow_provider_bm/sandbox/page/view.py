"""Data for the page, in portions, so that it remains fast with many campaigns.

The page requests the overview twice a second: one page of rows, regardless of the number of campaigns.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, Final
from uuid import uuid4

from airflow_provider_bm.campaigns.constants import SENDING_TYPES
from airflow_provider_bm.sandbox import console
from airflow_provider_bm.sandbox.clock import rfc3339, rfc3339_ms
from airflow_provider_bm.sandbox.endpoint import SECRET_PLACEHOLDER, export_command
from airflow_provider_bm.sandbox.errors import ApiError
from airflow_provider_bm.sandbox.execution import Campaign, Run
from airflow_provider_bm.sandbox.operations import Operations
from airflow_provider_bm.sandbox.page.campaigns import (
    DELETED,
    Deleted,
    Shown,
    campaign_row,
    deleted_campaigns,
    find,
    latest,
    live_campaigns,
    next_execution,
    run_row,
    select,
)
from airflow_provider_bm.sandbox.page.marks import cut
from airflow_provider_bm.sandbox.page.messages import messages_of
from airflow_provider_bm.sandbox.page.paging import page_of
from airflow_provider_bm.sandbox.page.traffic import REQUESTS, fault_rows, request_rows, used_up

ROWS: Final = 15
RUNS: Final = 50
LISTS: Final = 20
#: Stands for the run that the next execution would be.
PREVIEW: Final = "preview"


class View:
    """Replies to the page. All arguments are strings, since they come from a query."""

    def __init__(self, sandbox: Operations) -> None:
        """Show this sandbox."""
        self._sandbox = sandbox
        self._store = sandbox.store
        #: Lets the page notice that another sandbox has replaced this one.
        self._id = uuid4().hex

    def overview(
        self,
        status: str = "",
        search: str = "",
        sort: str = "newest",
        page: str = "1",
        selected: str = "",
        failed: str = "",
        until: str = "",
        seen: str = "",
    ) -> dict[str, Any]:
        """Return the clock, a page of campaigns, the faults in force, and the last requests.

        :param status: only campaigns with this status, or ``deleted``
        :param search: part of the name or of the UUID
        :param sort: ``newest``, ``next``, ``last`` or ``name``
        :param selected: UUID of a campaign to return separately; by default the one executed last
        :param failed: ``yes`` for failed requests only
        :param until: number of the newest request to return
        :param seen: ``tag`` of the page's data; it is not sent again if only the time has changed
        """
        if failed not in ("", "yes"):
            raise ValueError(f"failed must be yes or empty, not {cut(failed, 100)!r}")
        sandbox, store = self._sandbox, self._store
        last = sandbox.journal.last(REQUESTS, failed=bool(failed), until=int(until) if until else None)
        faults = sandbox.faults()
        with store.lock:
            now = store.run_due()
            live = live_campaigns(store)
            deleted = deleted_campaigns(store)
            counts = Counter(campaign.status for campaign in live)
            found = select(deleted if status == DELETED else live, status, search.casefold(), sort)
            number, pages = page_of(page, len(found), ROWS)
            first = (number - 1) * ROWS
            apart = find(store, selected) if selected else latest(store, live)
            next_dt = next_execution(live)
            clock = {
                "now": rfc3339_ms(now),
                "speed": sandbox.clock.speed,
                "frozen": sandbox.clock.frozen,
            }
            view = {
                "sandbox": self._id,
                "next_dt": next_dt and rfc3339(next_dt),
                "counts": {**counts, DELETED: len(deleted), "all": len(live)},
                "messages": sum(run.sent(now) for run in store.runs),
                "rows": [campaign_row(campaign, now) for campaign in found[first : first + ROWS]],
                "found": len(found),
                "first": first + 1,
                "page": number,
                "pages": pages,
                "selected": apart and campaign_row(apart, now),
                "faults": fault_rows(faults),
                "fault_count": len(faults),
                "used_up_count": sum(map(used_up, faults)),
                "requests": request_rows(last),
                "request_count": last.total,
                "newer_requests": last.newer,
            }
        tag = blake2b(json.dumps(view).encode(), digest_size=8).hexdigest()
        return {"clock": clock, "unchanged": True} if seen == tag else {"clock": clock, "tag": tag, **view}

    def connection(self) -> dict[str, str]:
        """Return commands to connect, and to create a campaign."""
        sandbox = self._sandbox
        fields = {"name": "Storm", "status": "active", "template": "Stay in, {first_name}."}
        command = ["curl", "-X", "POST", f"{sandbox.url}/_sandbox/campaigns"]
        if not sandbox.loopback:
            command += ["-u", f"{sandbox.client_id}:{SECRET_PLACEHOLDER}"]
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(fields)]
        return {"url": sandbox.url, "connection": export_command(sandbox), "example": shlex.join(command)}

    def campaign(
        self, uuid: str, run: str = "", search: str = "", page: str = "1", message: str = ""
    ) -> dict[str, Any]:
        """Return a campaign, and the messages of one of its executions.

        :param run: UUID of the execution; by default the last one; ``preview`` for the messages of the next
        :param search: part of a contact's name or address, or of the text
        :param message: the message to show, by the index of its contact; by default the first of the page
        """
        with self._store.lock:
            now = self._store.run_due()
            shown = find(self._store, uuid)
            if shown is None:
                raise ApiError(404, f"Campaign {cut(uuid, 100)} does not exist any more.")
            chosen, at = self._run(shown, run, now)
            chosen = chosen.snapshot()
            fields = shown.fields
            preview = chosen.uuid == PREVIEW
            facts = {
                "row": campaign_row(shown, now),
                "sender": cut(fields["sender"], 200),
                **self._recipients(fields),
                "service_uuid": shown.service_uuid if isinstance(shown, Campaign) else None,
                "runs": [run_row(each, now) for each in islice(reversed(shown.runs), RUNS)],
                "run": PREVIEW if preview else chosen.uuid,
                "preview_dt": rfc3339(chosen.started) if preview else None,
                "can_preview": isinstance(shown, Campaign),
                "total": chosen.total,
                "opted_out": len(self._store.opted_out(fields)),
            }
        return {
            **facts,
            "fields": {name: cut(value) for name, value in fields.items()},
            **messages_of(chosen, at, search, page, message),
        }

    def form(self, uuid: str = "") -> dict[str, Any]:
        """Return the data of the form for campaigns: choices, and the fields of the campaign to edit.

        :param uuid: the campaign; empty for a new one
        """
        fields: dict[str, str] = {}
        if uuid:
            with self._store.lock:
                campaign = console.find(self._store, uuid)
                fields = {**campaign.fields, "status": campaign.status}
        return {
            "channels": SENDING_TYPES,
            "lists": self._sandbox.recipient_lists,
            "now": rfc3339(self._sandbox.clock.now()),
            "fields": fields,
        }

    def request(self, number: str) -> dict[str, Any]:
        """Return a request of the journal, with query and body."""
        entry = self._sandbox.journal.numbered(int(number))
        if entry is None:
            raise ApiError(404, f"Request {int(number)} is not in the journal any more.")
        body = entry.body
        text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
        return {
            "path": cut(entry.path),
            "query": dict(entry.query),
            "body": None if body is None else cut(text),
            "error": entry.error and cut(entry.error),
            "connection": entry.connection,
        }

    def advance_to_next(self) -> dict[str, Any]:
        """Move the clock to the next execution of any campaign.

        :raises ApiError: 400 if there is none
        """
        with self._store.lock:
            now = self._store.run_due()
            moment = next_execution(live_campaigns(self._store))
            if moment is None:
                raise ApiError(400, "No campaign has a next execution.")
            self._sandbox.clock.advance(max(moment - now, timedelta(0)))
            self._store.run_due()
            return {"now": rfc3339_ms(self._sandbox.clock.now())}

    def clear_used_up(self) -> None:
        """Remove the faults that will not hit another call."""
        for fault in self._sandbox.faults():
            if used_up(fault):
                self._sandbox.clear_faults(fault["id"])

    def _recipients(self, fields: dict[str, str]) -> dict[str, Any]:
        names = {uuid: name for name, uuid in self._sandbox.recipient_lists.items()}
        uuids = [uuid.strip().lower() for uuid in fields["recipient_lists"].split(",")]
        return {
            "recipients": [cut(names.get(uuid, uuid), 100) for uuid in uuids[:LISTS]],
            "more_recipients": len(uuids[LISTS:]),
        }

    def _run(self, shown: Shown, wanted: str, now: datetime) -> tuple[Run, datetime]:
        if shown.runs and wanted != PREVIEW:
            return next((run for run in shown.runs if run.uuid == wanted), shown.runs[-1]), now
        if isinstance(shown, Deleted):
            return shown.runs[-1], now
        start = shown.next or now
        duration = timedelta(seconds=1)
        targets = self._store.target(shown.fields, start)
        return Run(shown.uuid, shown.fields, start, duration, targets, uuid=PREVIEW), start + duration
