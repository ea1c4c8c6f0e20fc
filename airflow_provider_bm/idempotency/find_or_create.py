"""One campaign per task instance: the name that marks it, and the search for it before anything is sent.

The API has no idempotency key. Each task instance has a key of its own, the same for all its tries, in
square brackets at the end of the campaign's name. Where an earlier request may have made the campaign, it
is looked for by that name, until that request can no longer be in flight; only then a new one goes out.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_bm.exceptions import (
    BMCampaignStateError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMResponseError,
    BMTransportError,
    truncated_repr,
)

if TYPE_CHECKING:
    from airflow_provider_bm.client import BMClient

log = logging.getLogger(__name__)

#: Under which the intent and the UUID are kept in ``task_state_store`` (Airflow 3.3+).
STATE_KEY = "bm_campaign"
#: A server's clock may be this far off when ``created_dt`` is compared with our own times.
CLOCK_SKEW = timedelta(minutes=10)
#: Campaigns looked through at the most, if the server does not filter by name.
MOST_CAMPAIGNS = 2_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
#: Times that an intent is kept, if Airflow takes so long for it that the request would leave much later.
_MOST_INTENTS = 3

Campaign = dict[str, Any]


class StateStore(Protocol):
    """What is used of Airflow's ``task_state_store``."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""


def task_key(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """The key of a task instance: ten hex digits, the same for all its tries."""
    identity = "\0".join((dag_id, run_id, task_id, str(-1 if map_index is None else map_index)))
    return hashlib.sha256(identity.encode()).hexdigest()[:10]


def marked(name: str, key: str) -> str:
    """The name of a task instance's campaign: ``Storm warning [7c41e09ab2]``."""
    return f"{name} [{key}]"


def in_flight(client: BMClient) -> timedelta:
    """How long after it was sent a request may still be carried out.

    The client gives up after its two time-outs; a gateway may hand the request on for as long again. It may
    have been sent a little later: after the intent was kept, after refusals, and after one of its token.
    """
    return timedelta(seconds=2 * sum(client.settings.timeouts) + 3 * client.settings.latest_replay)


@dataclass(kw_only=True)
class OneCampaign:
    """Makes the campaign of one task instance, or finds the one that an earlier request made.

    :param client: the API
    :param name: the campaign's name, with the key
    :param tried_before: whether an earlier try may have sent a request
    :param run_before: whether it may be the same try that is run again, long after: one look is enough
    :param store: Airflow's ``task_state_store``; None before 3.3
    """

    client: BMClient
    name: str
    tried_before: bool
    run_before: bool = False
    store: StateStore | None = None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def submit(self, post: Callable[[], Campaign], payload: Mapping[str, Any]) -> Campaign:
        """Return the one campaign.

        :param post: sends the request
        :param payload: what it sends, to say what is different in a campaign that is adopted
        :raises BMOutcomeUnknownError: a request was sent, and no campaign of it was seen for as long as it
            could be in flight; the next try looks again before it sends
        """
        found = self._earlier()
        if found is None:
            started = self._intend()
            try:
                found = post()
            except BMOutcomeUnknownError as error:
                log.warning("%s", error.what)
                until = started + in_flight(self.client)
                found = self._find("a request whose outcome is unknown", started, until)
                if found is None:
                    raise
                adopt(found, payload)
        else:
            adopt(found, payload)
        self._keep({"name": self.name, "uuid": found["uuid"]})
        return found

    def _intend(self) -> datetime:
        """Keep the time from which a request can be in flight; it leaves soon after."""
        for _ in range(_MOST_INTENTS):
            self.client.ensure_token()
            started = self.now()
            self._keep({"intent_dt": started.isoformat(), "name": self.name})
            if (self.now() - started).total_seconds() <= self.client.settings.latest_replay:
                return started
        raise BMTransportError(
            "Airflow took too long to keep in its state store that a campaign is going to be made; nothing "
            "was sent."
        )

    def _earlier(self) -> Campaign | None:
        found = recorded(self.client, self.store)
        if found is not None:
            return found
        record = self.store.get(STATE_KEY) if self.store is not None else None
        if isinstance(record, dict) and record.get("intent_dt"):
            intent = datetime.fromisoformat(str(record["intent_dt"]))
            # The name that was sent: a template may have made another one of it since.
            name = str(record.get("name") or self.name)
            return self._find("an earlier try", intent, intent + in_flight(self.client), name)
        if not self.tried_before and not self.run_before:
            return None
        if self.store is not None or not self.tried_before:
            # An intent would have been recorded, so nothing is in flight: one look, in case that a person
            # has deleted the record, or that it has expired.
            return self._find("an earlier try", None, self.now())
        return self._find("an earlier try", None, self.now() + in_flight(self.client))

    def _find(
        self, what: str, since: datetime | None, until: datetime, name: str | None = None
    ) -> Campaign | None:
        """Look for the campaign until then; at least once."""
        pause, name = _FIRST_PAUSE, name or self.name
        patience = max(0.0, (until - self.now()).total_seconds())
        log.info("Looking for campaign %r, which %s may have made, for up to %.0f s", name, what, patience)
        while True:
            matches = campaigns_named(self.client, name, since)
            if len(matches) > 1:
                log.warning("There are %d campaigns named %r; the oldest is used", len(matches), name)
            if matches:
                return matches[0]
            remaining = (until - self.now()).total_seconds()
            if remaining <= 0:
                log.info("There is no campaign %r", name)
                return None
            self.sleep(min(pause, remaining))
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _keep(self, record: dict[str, str]) -> None:
        if self.store is not None:
            self.store.set(STATE_KEY, record)


def recorded(client: BMClient, store: StateStore | None) -> Campaign | None:
    """The campaign whose UUID an earlier try has recorded.

    :raises BMCampaignStateError: it was deleted; by a person, who will not want it sent again by itself
    """
    record = store.get(STATE_KEY) if store is not None else None
    if not isinstance(record, dict) or not record.get("uuid"):
        return None
    uuid = str(record["uuid"])
    try:
        return client.get_campaign(uuid)
    except BMNotFoundError as error:
        raise BMCampaignStateError(
            f"An earlier try made campaign {uuid} {record.get('name')!r}, and it has been deleted since. To "
            f"send it anew, delete {STATE_KEY!r} from the task instance's state store, and clear the task."
        ) from error


def campaigns_named(client: BMClient, name: str, since: datetime | None = None) -> list[Campaign]:
    """All campaigns of exactly that name, oldest first.

    The server filters, and is not believed: names are compared here. If it does not filter, its newest
    campaigns are looked through.

    :param since: none was made before this time
    :raises BMResponseError: the server does not filter, and too many campaigns are newer
    """
    matches: list[Campaign] = []
    listed = client.list_campaigns(filters=[("eq(name)", name)], sort="-created_dt")
    newest_first, last = True, None
    for number, campaign in enumerate(listed):
        newest_first = newest_first and (last is None or created(campaign) <= last)
        last = created(campaign)
        if campaign.get("name") == name:
            matches.append(campaign)
        elif since is not None and newest_first and number and last < since - CLOCK_SKEW:
            # The server does not filter, and what follows is older than the request.
            break
        elif number >= MOST_CAMPAIGNS:
            raise BMResponseError(
                f"The server does not filter by name, and has more than {MOST_CAMPAIGNS} newer campaigns. "
                f"Look for {name!r} in the BM console: whether it exists is not known."
            )
    return sorted(matches, key=lambda campaign: (created(campaign), campaign["uuid"]))


def adopt(campaign: Campaign, payload: Mapping[str, Any]) -> None:
    """Log that a campaign is used that this try has not made, and in what it differs from its payload.

    :raises BMCampaignStateError: it is a draft, and so will not do what the task is for
    """
    if campaign["status"] == "draft" and payload.get("status") == "active":
        raise BMCampaignStateError(
            f"Campaign {campaign['uuid']} {campaign.get('name')!r} exists already, as a draft: a person has "
            "made it one, or it came through a draft_only connection. Activate it in the BM console, or "
            "delete it, and clear the task.",
            campaign,
        )
    if campaign["status"] == "stopped" and payload.get("status") == "active":
        raise BMCampaignStateError(
            f"Campaign {campaign['uuid']} {campaign.get('name')!r} exists already, and was stopped. Resume "
            "it in the BM console and clear the task; to send anew instead, start a new DAG run.",
            campaign,
        )
    log.warning(
        "Campaign %s %r exists already: an earlier request of this task instance made it. It is used, and "
        "nothing is sent again.",
        campaign["uuid"],
        campaign.get("name"),
    )
    different = [
        f"{key} is {truncated_repr(campaign.get(key))} instead of {truncated_repr(value)}"
        for key, value in payload.items()
        if key in campaign and key != "status" and campaign[key] != value
    ]
    if different:
        log.warning("It differs from what this try would have sent: %s", "; ".join(different))


def created(campaign: Mapping[str, Any]) -> datetime:
    """When a campaign was made, after the server's clock; the end of time if it does not say."""
    try:
        moment = datetime.fromisoformat(str(campaign.get("created_dt")))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
