"""Campaigns as the page lists them, including deleted ones that have sent something."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any, Final

from airflow_provider_bm.campaigns.schedule_words import schedule_in_words
from airflow_provider_bm.sandbox.clock import rfc3339
from airflow_provider_bm.sandbox.execution import Campaign, Run
from airflow_provider_bm.sandbox.page.marks import cut
from airflow_provider_bm.sandbox.store import Store

DELETED: Final = "deleted"


@dataclass(eq=False)
class Deleted:
    """A deleted campaign, of which only the executions are left."""

    uuid: str
    fields: dict[str, str]
    runs: Sequence[Run]
    status: str = DELETED
    next: datetime | None = None

    @property
    def last(self) -> datetime:
        """Time of the last execution."""
        return self.runs[-1].started


Shown = Campaign | Deleted


def live_campaigns(store: Store) -> list[Campaign]:
    """Return all campaigns of all services, oldest first."""
    services = [store.campaigns(name) for name in store.services]
    # Each is sorted already.
    return services[0] if len(services) == 1 else list(merge(*services, key=lambda campaign: campaign.age))


def deleted_campaigns(store: Store) -> list[Deleted]:
    """Return all deleted campaigns that have sent something."""
    gone: dict[str, list[Run]] = {}
    services = list(store.services.values())
    for run in store.runs:
        if not any(run.campaign_uuid in campaigns for campaigns in services):
            gone.setdefault(run.campaign_uuid, []).append(run)
    return [Deleted(uuid, runs[-1].fields, runs) for uuid, runs in gone.items()]


def find(store: Store, uuid: str) -> Shown | None:
    """Return a campaign, which may be deleted."""
    for campaigns in store.services.values():
        if uuid in campaigns:
            return campaigns[uuid]
    runs = [run for run in store.runs if run.campaign_uuid == uuid]
    return Deleted(uuid, runs[-1].fields, runs) if runs else None


def latest(store: Store, live: Sequence[Campaign]) -> Shown | None:
    """Return the campaign that was executed last; without executions, the newest one."""
    if store.runs:
        return find(store, store.runs[-1].campaign_uuid)
    return live[-1] if live else None


def select(campaigns: Sequence[Shown], status: str, search: str, sort: str) -> list[Shown]:
    """Filter and sort; see :meth:`.View.overview`."""
    found = [
        campaign
        for campaign in reversed(campaigns)
        if (not status or campaign.status == status)
        and (not search or search in campaign.fields["name"].casefold() or search in campaign.uuid)
    ]
    match sort:
        case "newest":
            pass
        case "name":
            found.sort(key=lambda campaign: campaign.fields["name"].casefold())
        case "next":
            found.sort(key=lambda campaign: campaign.next.timestamp() if campaign.next else math.inf)
        case "last":
            found.sort(key=lambda campaign: -campaign.last.timestamp() if campaign.last else 0.0)
        case _:
            raise ValueError(f"sort must be one of: newest, next, last, name; not {cut(sort, 100)!r}")
    return found


def next_execution(campaigns: Iterable[Campaign]) -> datetime | None:
    """Return the time of the next execution of any campaign."""
    return min((campaign.next for campaign in campaigns if campaign.next is not None), default=None)


def campaign_row(shown: Shown, now: datetime) -> dict[str, Any]:
    """Return the columns of a campaign."""
    run = shown.runs[-1] if shown.runs else None
    return {
        "uuid": shown.uuid,
        "name": cut(shown.fields["name"], 300),
        "status": shown.status,
        "channel": shown.fields["sending_type"],
        "schedule": cut(schedule_in_words(shown.fields), 300),
        "next_dt": shown.next and rfc3339(shown.next),
        "last_dt": shown.last and rfc3339(shown.last),
        # With a frozen clock, the time of an update does not change. (Strings cache their hash.)
        "version": str(hash(frozenset(shown.fields.items()))),
        "runs": len(shown.runs),
        "sent": run and run.sent(now),
        "total": run and run.total,
        "state": run and _state(run),
    }


def run_row(run: Run, now: datetime) -> dict[str, Any]:
    """Return the columns of an execution."""
    return {
        "uuid": run.uuid,
        "started_dt": rfc3339(run.started),
        "sent": run.sent(now),
        "total": run.total,
        "state": _state(run),
    }


def _state(run: Run) -> str:
    if run.closed is None:
        return "sending" if run.paused is None else "paused"
    return "done" if run.final == run.total else "aborted"
