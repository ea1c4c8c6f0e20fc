"""The state of the sandbox: services, clients, campaigns and their executions, under one lock."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import uuid
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from airflow_provider_bm.sandbox import contacts, segmentation
from airflow_provider_bm.sandbox.arguments import uuids
from airflow_provider_bm.sandbox.clients import Clients
from airflow_provider_bm.sandbox.clock import Clock, rfc3339
from airflow_provider_bm.sandbox.contacts import Contact
from airflow_provider_bm.sandbox.execution import Campaign, Run, same_schedule
from airflow_provider_bm.sandbox.names import name_policy
from airflow_provider_bm.sandbox.recipients import RecipientLists
from airflow_provider_bm.sandbox.rendering import address_of
from airflow_provider_bm.sandbox.settings import Settings

log = logging.getLogger("airflow_provider_bm.sandbox")
_AGE = attrgetter("age")
#: Maximum of executions that happen at once: those of a month, if there is one every few minutes.
MAX_AT_ONCE: Final = 10_000


class Store:
    """All state of the API. Callers hold ``lock``, and call :meth:`run_due` before they read.

    :param settings: the settings that :meth:`reset` restores
    """

    def __init__(self, clock: Clock, client_id: str, client_secret: str, settings: Settings) -> None:
        """Start with one service, and one client that may use it."""
        self.clock = clock
        self.lock = threading.RLock()
        self._first_client = (client_id, client_secret)
        self._initial_settings = settings
        self.reset()
        clock.before_advance = self._check_advance

    def reset(self) -> None:
        """Go back to the initial state."""
        self.services: dict[str, dict[str, Campaign]] = {}
        self.clients = Clients(self.clock)
        self.recipients = RecipientLists()
        self.runs: list[Run] = []
        self.settings = self._initial_settings
        self._ordered: dict[str, list[Campaign]] = {}
        self._due: list[tuple[datetime, int, int, Campaign]] = []
        self._entries = itertools.count()
        self._numbers = itertools.count(1)
        self._targets: dict[tuple[str, str, bool], Sequence[Contact]] = {}
        self.add_service(contacts.DEFAULT_SERVICE)
        self.add_client(*self._first_client, [contacts.DEFAULT_SERVICE])

    def configure(self, **changes: Any) -> None:
        """Change settings. Executions that were due before use the old settings."""
        self.run_due()
        self.settings = replace(self.settings, **changes)

    # Access

    def add_service(self, service_uuid: str | None = None) -> str:
        """Add a service, which no client may use yet.

        :raises ValueError: it is not a UUID, or the service exists
        """
        service = str(uuid.uuid4()) if service_uuid is None else _service(service_uuid)
        if service in self.services:
            raise ValueError(f"service {service} exists already")
        self.services[service] = {}
        self._ordered[service] = []
        return service

    def add_client(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add a client, or change what it may use: see :meth:`.Clients.add`."""
        named = uuids("service_uuids", service_uuids)
        unknown = [str(name) for name in named if name not in list(self.services)]
        if unknown:
            raise ValueError(f"no such service: {', '.join(unknown)}")
        self.clients.add(client_id, client_secret, named)

    def add_recipient_list(
        self, name: str, members: Iterable[Mapping[str, str]], list_uuid: str | None = None
    ) -> str:
        """Add a list of contacts, or replace its contacts; executions that have started keep theirs."""
        self.run_due()
        list_uuid = self.recipients.add(name, members, list_uuid)
        self._targets.clear()
        return list_uuid

    # Campaigns

    def campaigns(self, service_uuid: str) -> list[Campaign]:
        """Return all campaigns of a service, oldest first."""
        return self._ordered[service_uuid]

    def every_campaign(self) -> Iterable[Campaign]:
        """Return all campaigns, oldest first."""
        return heapq.merge(*self._ordered.values(), key=_AGE)

    def run_due(self) -> datetime:
        """Run everything due, and return the current time."""
        now = self.clock.now()
        executed: Counter[Campaign] = Counter()
        # One event at a time: several campaigns are executed in the order of time, too.
        while self._due and self._due[0][0] <= now:
            due, _, _, campaign = heapq.heappop(self._due)
            # An entry may be out of date; then there is a newer one, or nothing is left to happen.
            if due != campaign.due:
                continue
            if campaign.upcoming is None or campaign.upcoming > due:
                campaign.close_finished(due)
            elif executed[campaign] < MAX_AT_ONCE:
                executed[campaign] += 1
                self._execute(campaign, campaign.pop_next())
            else:
                # The clock ran for long without a request. Running everything might take forever.
                campaign.pause(due)
                campaign.status, campaign.updated = "stopped", now
                log.warning("campaign %s is stopped: too many executions were due at once", campaign.uuid)
            self._schedule(campaign)
        return now

    def _check_advance(self, moment: datetime) -> None:
        """Refuse to move the clock past too many executions to run in reasonable time."""
        with self.lock:
            self.run_due()
            remaining = MAX_AT_ONCE
            for campaign in {campaign for due, _, _, campaign in self._due if due <= moment}:
                remaining -= campaign.count_until(moment, remaining + 1)
                if remaining < 0:
                    raise ValueError(
                        f"until {rfc3339(moment)}, campaigns would be executed more than {MAX_AT_ONCE} "
                        "times: advance in smaller steps, or stop those that run so often"
                    )

    def _schedule(self, campaign: Campaign) -> None:
        due = campaign.due
        if due is not None:
            # At the same time, the older campaign comes first.
            heapq.heappush(self._due, (due, campaign.number, next(self._entries), campaign))

    def _execute(self, campaign: Campaign, moment: datetime) -> None:
        # A rule's times are in whole seconds: the first may be just before the campaign was saved.
        started = max(moment, campaign.updated)
        fields = dict(campaign.fields)
        duration = timedelta(seconds=self.settings.execution_seconds)
        run = Run(campaign.uuid, fields, started, duration, self.target(fields, started))
        campaign.runs.append(run)
        campaign.open_runs.append(run)
        campaign.last = started
        self.runs.append(run)

    def target(self, fields: dict[str, str], now: datetime) -> Sequence[Contact]:
        """Return the recipients of the messages: each contact and each address of the channel once."""
        channel = fields["sending_type"]
        segmented = fields.get("query_type") == "segmentation"
        key = (fields["recipient_lists"], channel, segmented)
        found = self._targets.get(key)
        if found is None:
            members = self.members(fields)
            opted_out = self.opted_out(fields)
            unique: dict[str, Contact] = {}
            for contact in members:
                if contact["uuid"] not in opted_out and address_of(channel, contact):
                    unique.setdefault(contact["uuid"], contact)
            reachable = list(unique.values())
            found = reachable if segmented else _unique_addresses(channel, reachable)
            self._targets[key] = found
        if not segmented:
            return found
        matches = segmentation.matcher(fields["query"], now.date())
        # Only now: of contacts with the same address, another one may match.
        return _unique_addresses(channel, [contact for contact in found if matches(contact)])

    def members(self, fields: Mapping[str, str]) -> list[Contact]:
        """Return the contacts in a campaign's recipient lists; those in several lists more than once."""
        names = [name.strip().lower() for name in fields["recipient_lists"].split(",")]
        return [contact for name in names for contact in self.recipients.members(name)]

    def opted_out(self, fields: Mapping[str, str]) -> set[str]:
        """Return the UUIDs of the contacts in a campaign's recipient lists that have opted out."""
        return {contact["uuid"] for contact in self.members(fields) if contact.get("opt_status") == "out"}

    def add(
        self,
        service_uuid: str,
        fields: dict[str, str],
        status: str,
        *,
        campaign_uuid: str | None = None,
        created: datetime | None = None,
        last: datetime | None = None,
    ) -> Campaign:
        """Add a campaign; an active one starts on its schedule."""
        now = self.run_due()
        campaign = Campaign(
            service_uuid=service_uuid,
            uuid=campaign_uuid or str(uuid.uuid4()),
            fields=self._stored(fields),
            status=status,
            created=created or now,
            updated=now,
            number=next(self._numbers),
            last=last,
        )
        self.services[service_uuid][campaign.uuid] = campaign
        insort(self._ordered[service_uuid], campaign, key=_AGE)
        if status in ("active", "stopped"):
            campaign.plan(now)
        self._schedule(campaign)
        self.run_due()
        return campaign

    def replace(self, campaign: Campaign, fields: dict[str, str], status: str) -> None:
        """Replace all fields of a campaign (PUT)."""
        now = self.run_due()
        before, in_progress = campaign.status, self.in_progress(campaign) is not None
        same = before in ("active", "stopped") and same_schedule(campaign.fields, fields)
        campaign.fields, campaign.status, campaign.updated = self._stored(fields), status, now
        if status in ("draft", "finished"):
            campaign.abort(now)
            campaign.upcoming = None
        elif status == "stopped":
            campaign.pause(now)
            if not same:
                campaign.plan(now)
        elif fields["schedule_type"] == "now":
            # "now runs as soon as saved": saved again, it runs again. The documentation does not say
            # otherwise, and a client that counts on that would message everybody twice.
            if before != "active":
                campaign.abort(now)
            campaign.plan(now)
        else:
            campaign.resume(now)
            if not (same and in_progress):
                campaign.plan(now)
            elif fields["schedule_type"] == "scheduled":
                campaign.skip(now)
        self._schedule(campaign)
        self.run_due()

    def _stored(self, fields: dict[str, str]) -> dict[str, str]:
        return {**fields, "name": name_policy(self.settings.name_policy)(fields["name"])}

    def stop(self, campaign: Campaign) -> None:
        """Stop an active campaign."""
        now = self.run_due()
        campaign.pause(now)
        campaign.status, campaign.updated = "stopped", now

    def resume(self, campaign: Campaign) -> None:
        """Resume a stopped campaign; times that have passed meanwhile are skipped."""
        now = self.run_due()
        campaign.status, campaign.updated = "active", now
        campaign.resume(now)
        if campaign.fields["schedule_type"] == "scheduled":
            campaign.skip(now)
        self._schedule(campaign)
        self.run_due()

    def is_overdue(self, campaign: Campaign) -> bool:
        """Return whether a campaign was stopped beyond its last time, so that nothing is left to resume."""
        kind, now = campaign.fields["schedule_type"], self.clock.now()
        if campaign.status != "stopped":
            return False
        if kind == "scheduled":
            return not campaign.skip(now) or (campaign.upcoming is None and not campaign.open_runs)
        late = campaign.upcoming is not None and campaign.upcoming <= now
        return kind == "once" and late and not campaign.open_runs

    def in_progress(self, campaign: Campaign) -> Mapping[str, str] | None:
        """Return the fields of a campaign that is active, or can be resumed; None if it is neither."""
        resumable = campaign.status in ("active", "stopped") and not self.is_overdue(campaign)
        return campaign.fields if resumable else None

    def delete(self, campaign: Campaign) -> None:
        """Delete a campaign; its sent messages stay in the journal."""
        campaign.abort(self.run_due())
        campaign.deleted = True
        del self.services[campaign.service_uuid][campaign.uuid]
        ordered = self._ordered[campaign.service_uuid]
        del ordered[bisect_left(ordered, campaign.age, key=_AGE)]


def _unique_addresses(sending_type: str, members: Iterable[Contact]) -> list[Contact]:
    """Return the first contact of each address."""
    first: dict[str | None, Contact] = {}
    for contact in members:
        first.setdefault(address_of(sending_type, contact), contact)
    return list(first.values())


def _service(service_uuid: object) -> str:
    try:
        return str(uuid.UUID(str(service_uuid)))
    except ValueError:
        raise ValueError(f"service_uuid must be a UUID, not {service_uuid!r}") from None
