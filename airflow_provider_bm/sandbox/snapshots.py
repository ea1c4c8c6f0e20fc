"""Campaigns and executions as rows of a state file, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from itertools import dropwhile
from typing import Any

from .contacts import Contact, contacts
from .execution import Campaign, Run
from .recurrence import occurrences
from .state import Row

_MICROSECOND = timedelta(microseconds=1)


def campaign_row(campaign: Campaign) -> Row:
    """Describe a campaign; its executions are rows of their own."""
    return {
        "service_uuid": campaign.service_uuid,
        "uuid": campaign.uuid,
        "fields": campaign.fields,
        "status": campaign.status,
        "created": _text(campaign.created),
        "updated": _text(campaign.updated),
        "last": _text(campaign.last),
        "planned": _text(campaign.planned),
        "upcoming": _text(campaign.upcoming),
    }


def campaign_from(number: int, row: Mapping[str, Any]) -> Campaign:
    """Make the campaign of a row."""
    campaign = Campaign(
        service_uuid=row["service_uuid"],
        uuid=row["uuid"],
        fields=row["fields"],
        status=row["status"],
        created=datetime.fromisoformat(row["created"]),
        updated=datetime.fromisoformat(row["updated"]),
        number=number,
        last=_moment(row["last"]),
        upcoming=_moment(row["upcoming"]),
        planned=_moment(row["planned"]),
    )
    if campaign.fields["schedule_type"] == "scheduled" and campaign.planned and campaign.upcoming:
        rule = campaign.fields["schedule_rrule"]
        campaign.times = _after(rule, campaign.planned, campaign.upcoming)
    return campaign


def _after(rule: str, planned: datetime, upcoming: datetime) -> Iterator[datetime]:
    # A generator: nothing is worked out before the campaign's next execution.
    yield from dropwhile(lambda moment: moment <= upcoming, occurrences(rule, planned))


def run_row(run: Run) -> Row:
    """Describe an execution. The shipped contacts are the same for ever: their numbers will do."""
    known = _numbers()
    shipped = contacts()

    def short(contact: Contact) -> int | Contact:
        number = known.get(contact["uuid"])
        return number if number is not None and shipped[number] is contact else contact

    return {
        "campaign": run.campaign_number,
        "campaign_uuid": run.campaign_uuid,
        "uuid": run.uuid,
        "fields": run.fields,
        "started": _text(run.started),
        "duration": run.duration // _MICROSECOND,
        "paused": _text(run.paused),
        "closed": _text(run.closed),
        "final": run.final,
        "segments": [[first, _text(anchor)] for first, anchor in run.segments],
        "contacts": [short(contact) for contact in run.contacts],
    }


def run_from(number: int, row: Mapping[str, Any]) -> Run:
    """Make the execution of a row."""
    shipped = contacts()
    run = Run(
        campaign_uuid=row["campaign_uuid"],
        fields=row["fields"],
        started=datetime.fromisoformat(row["started"]),
        duration=row["duration"] * _MICROSECOND,
        contacts=[shipped[one] if isinstance(one, int) else one for one in row["contacts"]],
        uuid=row["uuid"],
        paused=_moment(row["paused"]),
        closed=_moment(row["closed"]),
        final=row["final"],
        number=number,
        campaign_number=row["campaign"],
    )
    run.segments = [(first, datetime.fromisoformat(anchor)) for first, anchor in row["segments"]]
    return run


@cache
def _numbers() -> dict[str, int]:
    return {contact["uuid"]: number for number, contact in enumerate(contacts())}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
