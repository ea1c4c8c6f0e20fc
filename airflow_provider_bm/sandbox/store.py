"""The state of the sandbox: services, clients, campaigns and what they do. One lock is around all of it."""

from __future__ import annotations

import heapq
import itertools
import logging
import uuid
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from . import contacts, segmentation
from .clients import Clients
from .clock import Clock, rfc3339
from .contacts import Contact
from .execution import Campaign, Run, same_schedule
from .given import uuids
from .recipients import RecipientLists
from .rendering import address_of
from .saving import Saving
from .snapshots import campaign_from, campaign_row, run_from, run_row
from .state import StateError, StateFile

log = logging.getLogger("airflow_provider_bm.sandbox")
_AGE = attrgetter("age")
#: So many executions happen in one go: those of a month, if there is one every few minutes.
MOST_AT_ONCE: Final = 10_000


class Store:
    """All state that the API has. Callers hold ``lock`` and settle before they look.

    :param state: where it is kept; only in memory if None. What it holds already is taken over.
    :param settings: see :attr:`settings`; these count more than those in the state file.
    """

    def __init__(
        self,
        clock: Clock,
        client_id: str,
        client_secret: str,
        defaults: Mapping[str, Any],
        *,
        state: StateFile | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Start with what the state file holds: nothing, but one service and one client that may use it."""
        self.clock = clock
        self._first_client = (client_id, client_secret)
        self._defaults = dict(defaults)
        self.lock = self._saving = Saving(state, clock.snapshot)
        with self.lock:
            self._empty()
            clock.ahead, clock.steered = self._look_ahead, self._clock_steered
            if state is not None:
                self._load_checked(state)
            self._open_to_first_client()
            for name, value in (settings or {}).items():
                self.set(name, value)
            self._saving.note_clock()

    def reset(self) -> None:
        """Forget everything."""
        self._saving.anew()
        self._empty()
        self._open_to_first_client()
        self._saving.note_clock()

    def _empty(self) -> None:
        self.services: dict[str, dict[str, Campaign]] = {}
        self.clients = Clients(self.clock, self._saving)
        self.recipients = RecipientLists()
        self.runs: list[Run] = []
        #: ``token_lifetime`` and ``execution_seconds``, and what else the sandbox wants to keep.
        self.settings: dict[str, Any] = dict(self._defaults)
        self._ordered: dict[str, list[Campaign]] = {}
        self._due: list[tuple[datetime, int, int, Campaign]] = []
        self._entries = itertools.count()
        self._numbers = itertools.count(1)
        self._targets: dict[tuple[str, str, bool], Sequence[Contact]] = {}

    def _open_to_first_client(self) -> None:
        if contacts.DEFAULT_SERVICE not in self.services:
            self.add_service(contacts.DEFAULT_SERVICE)
        client_id, secret = self._first_client
        if not self.clients.has(client_id, secret):
            others = self.clients.services_of(client_id)
            self.add_client(client_id, secret, [contacts.DEFAULT_SERVICE, *others])

    # Keeping

    def _load_checked(self, state: StateFile) -> None:
        try:
            self._load(state)
        except StateError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise StateError(f"the state file {state.path} is damaged: {error!r}") from error

    def _load(self, state: StateFile) -> None:
        for _, row in state.rows("clock"):
            self.clock.restore(row)
        for name, row in state.rows("setting"):
            self.settings[name] = row["value"]
        # What is no number is found now, not with the first campaign.
        self.settings |= {name: float(self.settings[name]) for name in self._defaults}
        for name, _ in state.rows("service"):
            self.services[name], self._ordered[name] = {}, []
        self.clients.load(state)
        for name, row in state.rows("list"):
            self.recipients.put(name, row["name"], row["contacts"])
        numbered: dict[int, Campaign] = {}
        for name, row in state.rows("campaign"):
            campaign = numbered[int(name)] = campaign_from(int(name), row)
            self.services[campaign.service_uuid][campaign.uuid] = campaign
            insort(self._ordered[campaign.service_uuid], campaign, key=_AGE)
        for name, row in state.rows("run"):
            run = run_from(int(name), row)
            self.runs.append(run)
            owner = numbered.get(run.campaign_number)
            if owner is not None:
                owner.runs.append(run)
                if run.closed is None:
                    owner.open_runs.append(run)
        highest = max((*numbered, *(run.campaign_number for run in self.runs), 0))
        self._numbers = itertools.count(highest + 1)
        for campaign in numbered.values():
            self._watch(campaign)

    def close(self) -> None:
        """Let go of the state file; from then on all is in memory only."""
        with self.lock:
            self._saving.close()

    def _clock_steered(self) -> None:
        with self.lock:
            self._saving.note_clock()

    def set(self, name: str, value: Any) -> None:
        """Keep a setting. What was due before is done by the old one."""
        self.settle()
        self.settings[name] = value
        self._saving.note("setting", name, lambda: {"value": self.settings[name]})

    @contextmanager
    def _changing(self, campaign: Campaign) -> Iterator[None]:
        """Save a campaign afterwards, and the executions that were or are open."""
        before = list(campaign.open_runs)
        try:
            yield
        finally:
            row = None if campaign.deleted else lambda: campaign_row(campaign)
            self._saving.note("campaign", f"{campaign.number:012}", row)
            for run in (*before, *campaign.open_runs):
                self._save_run(run)

    def _save_run(self, run: Run) -> None:
        self._saving.note("run", f"{run.number:012}", lambda: run_row(run))

    # Access

    @property
    def token_lifetime(self) -> float:
        """Seconds until a token expires, in sandbox time."""
        return float(self.settings["token_lifetime"])

    @property
    def execution_seconds(self) -> float:
        """How long an execution that starts takes, in sandbox time."""
        return float(self.settings["execution_seconds"])

    def add_service(self, service_uuid: str | None = None) -> str:
        """Add a service, which no client may use yet.

        :raises ValueError: if it is no UUID, or there is such a service.
        """
        made = str(uuid.uuid4()) if service_uuid is None else _service(service_uuid)
        if made in self.services:
            raise ValueError(f"there is a service {made} already")
        self.services[made] = {}
        self._ordered[made] = []
        self._saving.note("service", made, dict)
        return made

    def add_client(self, client_id: str, client_secret: str, service_uuids: Iterable[str]) -> None:
        """Add a client, or change what it may use: see :meth:`.Clients.add`."""
        named = uuids("service_uuids", service_uuids)
        unknown = [str(one) for one in named if one not in list(self.services)]
        if unknown:
            raise ValueError(f"no such service: {', '.join(unknown)}")
        self.clients.add(client_id, client_secret, named)

    def add_recipient_list(self, name: str, members: Iterable[Mapping[str, str]]) -> str:
        """Add a list of contacts, or put other contacts into it; executions that have started keep theirs."""
        self.settle()
        made = self.recipients.add(name, members)
        self._targets.clear()
        self._saving.note("list", made, lambda: self.recipients.row(made))
        return made

    # Campaigns

    def campaigns(self, service_uuid: str) -> list[Campaign]:
        """All campaigns of a service, oldest first."""
        return self._ordered[service_uuid]

    def every_campaign(self) -> Iterable[Campaign]:
        """All campaigns, oldest first."""
        return heapq.merge(*self._ordered.values(), key=_AGE)

    def settle(self) -> datetime:
        """Let happen all that is due by now, and tell the time."""
        now = self.clock.now()
        executed: Counter[Campaign] = Counter()
        with ExitStack() as changing:
            # One thing at a time: several campaigns are executed in the order of time, too.
            while self._due and self._due[0][0] <= now:
                due, _, _, campaign = heapq.heappop(self._due)
                # An entry may be out of date; then there is a newer one, or nothing left to happen.
                if due != campaign.due:
                    continue
                if campaign not in executed:
                    executed[campaign] = 0
                    changing.enter_context(self._changing(campaign))
                if campaign.upcoming is None or campaign.upcoming > due:
                    campaign.close_finished(due)
                elif executed[campaign] < MOST_AT_ONCE:
                    executed[campaign] += 1
                    self._execute(campaign, campaign.take())
                else:
                    # Nobody has looked for long, and the clock went on. To carry out all might never end.
                    campaign.pause(due)
                    campaign.status, campaign.updated = "stopped", now
                    log.warning("campaign %s is stopped: too many executions were due at once", campaign.uuid)
                self._watch(campaign)
        return now

    def _look_ahead(self, moment: datetime) -> None:
        """Refuse to let the clock go past more executions than can be carried out while somebody waits."""
        with self.lock:
            self.settle()
            left = MOST_AT_ONCE
            for campaign in {campaign for due, _, _, campaign in self._due if due <= moment}:
                left -= campaign.count_until(moment, left + 1)
                if left < 0:
                    raise ValueError(
                        f"until {rfc3339(moment)}, campaigns would be executed more than {MOST_AT_ONCE} "
                        "times: go there in smaller steps, or stop those that run so often"
                    )

    def _watch(self, campaign: Campaign) -> None:
        due = campaign.due
        if due is not None:
            # At the same time, the older campaign comes first.
            heapq.heappush(self._due, (due, campaign.number, next(self._entries), campaign))

    def _execute(self, campaign: Campaign, moment: datetime) -> None:
        # A rule's times are in whole seconds: the first may be a little before the campaign was there.
        started = max(moment, campaign.updated)
        fields = dict(campaign.fields)
        duration = timedelta(seconds=self.execution_seconds)
        run = Run(
            campaign.uuid,
            fields,
            started,
            duration,
            self.target(fields, started),
            number=len(self.runs),
            campaign_number=campaign.number,
        )
        campaign.runs.append(run)
        campaign.open_runs.append(run)
        campaign.last = started
        self.runs.append(run)
        self._save_run(run)

    def target(self, fields: dict[str, str], now: datetime) -> Sequence[Contact]:
        """Find who gets the messages: each contact and each address of the channel once."""
        segmented = fields.get("query_type") == "segmentation"
        key = (fields["recipient_lists"], fields["sending_type"], segmented)
        found = self._targets.get(key)
        if found is None:
            names = [name.strip().lower() for name in fields["recipient_lists"].split(",")]
            unique: dict[str, Contact] = {}
            for contact in (one for name in names for one in self.recipients.members(name)):
                if address_of(fields["sending_type"], contact):
                    unique.setdefault(contact["uuid"], contact)
            everybody = list(unique.values())
            found = everybody if segmented else _one_each(fields["sending_type"], everybody)
            self._targets[key] = found
        if not segmented:
            return found
        matches = segmentation.matcher(fields["query"], now.date())
        # Only now: of contacts with the same address, another one may match.
        return _one_each(fields["sending_type"], [contact for contact in found if matches(contact)])

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
        with self._changing(campaign):
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
        before, going = campaign.status, self.going(campaign) is not None
        same = before in ("active", "stopped") and same_schedule(campaign.fields, fields)
        with self._changing(campaign):
            campaign.fields, campaign.status, campaign.updated = fields, status, now
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
                if not (same and going):
                    campaign.plan(now)
                elif fields["schedule_type"] == "scheduled":
                    campaign.skip(now)
        self._watch(campaign)
        self.settle()

    def stop(self, campaign: Campaign) -> None:
        """Stop an active campaign."""
        now = self.settle()
        with self._changing(campaign):
            campaign.pause(now)
            campaign.status, campaign.updated = "stopped", now

    def resume(self, campaign: Campaign) -> None:
        """Let a stopped campaign go on; times that have passed meanwhile are left out."""
        now = self.settle()
        with self._changing(campaign):
            campaign.status, campaign.updated = "active", now
            campaign.go_on(now)
            if campaign.fields["schedule_type"] == "scheduled":
                campaign.skip(now)
        self._watch(campaign)
        self.settle()

    def missed(self, campaign: Campaign) -> bool:
        """Tell whether a campaign was stopped over its last time, so that there is nothing to resume."""
        kind, now = campaign.fields["schedule_type"], self.clock.now()
        if campaign.status != "stopped":
            return False
        if kind == "scheduled":
            return not campaign.skip(now) or (campaign.upcoming is None and not campaign.open_runs)
        late = campaign.upcoming is not None and campaign.upcoming <= now
        return kind == "once" and late and not campaign.open_runs

    def going(self, campaign: Campaign) -> Mapping[str, str] | None:
        """Give the fields of a campaign that is on its way, or can be resumed; None if it is not."""
        on_its_way = campaign.status in ("active", "stopped") and not self.missed(campaign)
        return campaign.fields if on_its_way else None

    def delete(self, campaign: Campaign) -> None:
        """Delete a campaign; what it has sent stays in the journal of messages."""
        now = self.settle()
        with self._changing(campaign):
            campaign.give_up(now)
            campaign.deleted = True
        del self.services[campaign.service_uuid][campaign.uuid]
        ordered = self._ordered[campaign.service_uuid]
        del ordered[bisect_left(ordered, campaign.age, key=_AGE)]


def _one_each(sending_type: str, contacts: Iterable[Contact]) -> list[Contact]:
    """Take the first contact of each address."""
    first: dict[str | None, Contact] = {}
    for contact in contacts:
        first.setdefault(address_of(sending_type, contact), contact)
    return list(first.values())


def _service(service_uuid: object) -> str:
    try:
        return str(uuid.UUID(str(service_uuid)))
    except ValueError:
        raise ValueError(f"service_uuid must be a UUID, not {service_uuid!r}") from None
