"""The state of the sandbox: services, clients, tokens, campaigns. One lock is around all of it."""

from __future__ import annotations

import heapq
import itertools
import secrets
import threading
import uuid
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from . import contacts, segmentation
from .clock import Clock
from .contacts import Contact
from .execution import Campaign, Run, once_time
from .rendering import address_of

_AGE = attrgetter("age")


class Store:
    """All state that the API has. Callers hold ``lock`` and settle before they look."""

    #: Seconds until a token expires, in sandbox time.
    token_lifetime: float = 604800
    #: How long an execution that starts takes, in sandbox time.
    execution_seconds: float = 2.0

    def __init__(self, clock: Clock, client_id: str, client_secret: str) -> None:
        """Start empty, with one service and one client that may use it."""
        self.lock = threading.RLock()
        self.clock = clock
        self._first_client = (client_id, client_secret)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        client_id, client_secret = self._first_client
        self.services: dict[str, dict[str, Campaign]] = {contacts.DEFAULT_SERVICE: {}}
        self.clients: dict[str, tuple[str, frozenset[str]]] = {}
        self.add_client(client_id, client_secret, [contacts.DEFAULT_SERVICE])
        self.tokens: dict[str, tuple[str, datetime]] = {}
        self.runs: list[Run] = []
        self._ordered: dict[str, list[Campaign]] = {contacts.DEFAULT_SERVICE: []}
        self._due: list[tuple[datetime, int, Campaign]] = []
        self._numbers = itertools.count(1)
        self._targets: dict[tuple[str, str], Sequence[Contact]] = {}

    # Access

    def add_service(self) -> str:
        """Add a service, which no client may use yet."""
        made = str(uuid.uuid4())
        self.services[made] = {}
        self._ordered[made] = []
        return made

    def add_client(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add a client, or change what it may use."""
        allowed = frozenset(service_uuids)
        unknown = allowed - self.services.keys()
        if unknown:
            raise ValueError(f"no such service: {', '.join(sorted(unknown))}")
        self.clients[client_id] = (client_secret, allowed)

    def issue_token(self, client_id: str, client_secret: str) -> str | None:
        """Give out a token for good credentials."""
        known = self.clients.get(client_id)
        expected = known[0] if known else ""
        if not secrets.compare_digest(expected.encode(), client_secret.encode()) or known is None:
            return None
        now = self.clock.now()
        self.tokens = {token: held for token, held in self.tokens.items() if held[1] > now}
        token = secrets.token_urlsafe(32)
        self.tokens[token] = (client_id, now + timedelta(seconds=self.token_lifetime))
        return token

    def client_of(self, token: str) -> str | None:
        """Find whose token this is; None if it is not good any more."""
        held = self.tokens.get(token)
        return held[0] if held is not None and held[1] > self.clock.now() else None

    # Campaigns

    def campaigns(self, service_uuid: str) -> list[Campaign]:
        """All campaigns of a service, oldest first."""
        return self._ordered[service_uuid]

    def settle(self) -> datetime:
        """Let happen all that is due by now, and tell the time."""
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            _, _, campaign = heapq.heappop(self._due)
            # An entry may be out of date; then there is a newer one, or nothing left to happen.
            due = campaign.due
            while due is not None and due <= now:
                if campaign.upcoming is not None and campaign.upcoming <= due:
                    self._execute(campaign, campaign.take())
                else:
                    campaign.close_finished(due)
                due = campaign.due
            self._watch(campaign)
        return now

    def _watch(self, campaign: Campaign) -> None:
        due = campaign.due
        if due is not None:
            heapq.heappush(self._due, (due, next(self._numbers), campaign))

    def _execute(self, campaign: Campaign, moment: datetime) -> None:
        # A rule's times are in whole seconds: the first may be a little before the campaign was there.
        started = max(moment, campaign.updated)
        fields = dict(campaign.fields)
        duration = timedelta(seconds=self.execution_seconds)
        run = Run(campaign.uuid, fields, started, duration, self.target(fields, started))
        campaign.runs.append(run)
        campaign.open_runs.append(run)
        campaign.last = started
        self.runs.append(run)

    def target(self, fields: dict[str, str], now: datetime) -> Sequence[Contact]:
        """Find who gets the messages: each contact once, if there is an address for the channel."""
        key = (fields["recipient_lists"], fields["sending_type"])
        found = self._targets.get(key)
        if found is None:
            lists = contacts.recipient_lists()
            names = [name.strip().lower() for name in fields["recipient_lists"].split(",")]
            unique = {contact["uuid"]: contact for name in names for contact in lists[name]}
            found = [one for one in unique.values() if address_of(fields["sending_type"], one)]
            self._targets[key] = found
        if fields.get("query_type") != "segmentation":
            return found
        matches = segmentation.matcher(fields["query"], now.date())
        return [contact for contact in found if matches(contact)]

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
        now = self.settle()
        campaign = Campaign(
            service_uuid=service_uuid,
            uuid=campaign_uuid or str(uuid.uuid4()),
            fields=fields,
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
        self._watch(campaign)
        self.settle()
        return campaign

    def replace(self, campaign: Campaign, fields: dict[str, str], status: str) -> None:
        """Put a whole campaign in place of what it was (PUT)."""
        now = self.settle()
        before, old = campaign.status, campaign.fields
        campaign.fields, campaign.status, campaign.updated = fields, status, now
        schedule = ("schedule_type", "schedule_rrule")
        same = before in ("active", "stopped") and all(old.get(n) == fields.get(n) for n in schedule)
        if status in ("draft", "finished"):
            campaign.give_up(now)
            campaign.upcoming = None
        elif status == "stopped":
            campaign.pause(now)
            if not same:
                campaign.plan(now)
        elif fields["schedule_type"] == "now":
            # "now runs as soon as saved": saved again, it runs again. The documentation does not say
            # that it does not, and a client that counts on that would message everybody twice.
            if before != "active":
                campaign.give_up(now)
            campaign.plan(now)
        else:
            campaign.go_on(now)
            if same and fields["schedule_type"] == "scheduled":
                campaign.skip(now)
            else:
                campaign.plan(now)
        self._watch(campaign)
        self.settle()

    def stop(self, campaign: Campaign) -> None:
        """Stop an active campaign."""
        now = self.settle()
        campaign.pause(now)
        campaign.status, campaign.updated = "stopped", now

    def resume(self, campaign: Campaign) -> None:
        """Let a stopped campaign go on; times that have passed meanwhile are left out."""
        now = self.settle()
        campaign.status, campaign.updated = "active", now
        campaign.go_on(now)
        if campaign.fields["schedule_type"] == "scheduled":
            campaign.skip(now)
        self._watch(campaign)
        self.settle()

    def missed(self, campaign: Campaign) -> bool:
        """Tell whether a ``once`` campaign was stopped over its time, so that there is nothing to resume."""
        if campaign.fields["schedule_type"] != "once" or campaign.open_runs or campaign.upcoming is None:
            return False
        return once_time(campaign.fields["schedule_rrule"]) <= self.clock.now()

    def delete(self, campaign: Campaign) -> None:
        """Delete a campaign; what it has sent stays in the journal of messages."""
        now = self.settle()
        campaign.give_up(now)
        campaign.deleted = True
        del self.services[campaign.service_uuid][campaign.uuid]
        ordered = self._ordered[campaign.service_uuid]
        del ordered[bisect_left(ordered, campaign.age, key=_AGE)]
