"""The sandbox of a test, with assertions about what was sent and explanations of what was not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from airflow_provider_bm.client.outbound_guard import Origin, origin
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.clock import rfc3339
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.http_messages import Reply, Request
from airflow_provider_bm.sandbox.sandbox import RUNNING
from airflow_provider_bm.sandbox.store import Store

from .clock import IdleClock
from .explaining import (
    describe_fault,
    explain_campaign,
    show_campaigns,
    show_faults,
    show_messages,
    show_requests,
    show_runs,
)
from .reach import is_for

#: The key by which operators recognise their campaign: first in the name, at its end in earlier versions.
_KEY = re.compile(r"^\[[0-9a-f]{16}\] | \[[0-9a-f]{10}\]$")

Message = dict[str, Any]


class ArchivingStore(Store):
    """A store that keeps deleted campaigns for the report of a test.

    :ivar deleted: deleted campaigns
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Start empty."""
        super().__init__(*arguments, **options)
        self.deleted: list[Campaign] = []

    def delete(self, campaign: Campaign) -> None:
        """Delete a campaign."""
        super().delete(campaign)
        self.deleted.append(campaign)


class BMTestSandbox(Sandbox):
    """A :class:`.Sandbox` with assertions.

    A ``campaign`` is its UUID, its name, or the campaign as the API returns it. The name may be without the
    key that operators add to it.

    The clock starts with the first API call.

    :param arguments: those of :class:`.Sandbox`
    :ivar runs: a line about each DAG run of the test
    """

    _clock_type = IdleClock
    _store_type = ArchivingStore
    clock: IdleClock
    store: ArchivingStore

    def __init__(self, **arguments: Any) -> None:
        """Create the sandbox; :meth:`start` binds its port."""
        super().__init__(**arguments)
        self.runs: list[str] = []

    def reset(self) -> None:
        """Reset everything to the state of a new sandbox."""
        super().reset()
        self.runs.clear()
        self.store.deleted.clear()

    def add_service(self, service_uuid: str | None = None) -> str:
        """Add a service that the connections of ``bm_connection`` may use, and return its UUID."""
        service = super().add_service(service_uuid)
        self.add_client(self.client_id, self.client_secret, list(self.store.services))
        return service

    def record(self, request: Request, connection: int) -> Callable[[Reply | None], None]:
        """Record a request, and start the clock at the first one."""
        self.clock.begin()
        return super().record(request, connection)

    def messages_to(self, to: str) -> list[Message]:
        """List the messages to an address: a mobile, an email, or for webpush the contact's UUID."""
        return self.messages(to=to)

    def messages_of(self, campaign: str | Mapping[str, Any]) -> list[Message]:
        """List the messages of a campaign, or of all campaigns with that name."""
        _check(campaign)
        return [message for message in self.messages() if _is(campaign, message)]

    def assert_sent(
        self,
        to: str | None = None,
        *,
        campaign: str | Mapping[str, Any] | None = None,
        text: str | None = None,
        channel: str | None = None,
        count: int | None = None,
    ) -> list[Message]:
        """Fail unless matching messages were sent. The error shows what was sent instead, or why nothing was.

        :param to: the address
        :param text: part of the text, as it is sent or as the recipient reads it
        :param channel: the ``sending_type``
        :param count: exact number of messages. Default: at least one
        :returns: the messages
        :raises ValueError: no message can ever match these arguments
        """
        __tracebackhide__ = True
        if campaign is not None:
            _check(campaign)
        if count is not None and count < 0:
            raise ValueError(f"count must be 0 or more, not {count}")
        wanted = {"to": to, "campaign": campaign, "text": text, "channel": channel}
        found = self._find(to, campaign, text, channel)
        if len(found) == count or (count is None and found):
            return found
        number = {None: "a message", 0: "no message", 1: "one message"}.get(count, f"{count} messages")
        problem = f"expected {number}{_described(wanted)}, found {len(found)}"
        heading = "Found" if found else "Sent instead"
        shown = found or self._nearest(to, campaign)
        raise AssertionError(self._explained(problem, shown, heading, wanted))

    def assert_not_sent(
        self,
        to: str | None = None,
        *,
        campaign: str | Mapping[str, Any] | None = None,
        text: str | None = None,
        channel: str | None = None,
    ) -> None:
        """Fail if a matching message was sent; without arguments, if any message was."""
        __tracebackhide__ = True
        self.assert_sent(to, campaign=campaign, text=text, channel=channel, count=0)

    def report(self) -> str:
        """Describe the runs, the last requests, the faults, the messages and the campaigns of the test."""
        lines = [*show_runs(self.runs), "The last requests:", *show_requests(self.requests())]
        lines += show_faults(self.faults())
        return self._explained("\n".join(lines), self.messages(), "Sent")

    def unused_faults(self) -> list[str]:
        """Describe the faults that have not hit any call, except those with a probability."""
        # See Faults.match for the calls that a fault counts.
        counted = ("calls matched", "calls matched that no older fault hit")
        return [
            f"{describe_fault(fault)} ({fault['seen']} {counted[bool(number)]})"
            for number, fault in enumerate(self.faults())
            if not fault["hits"] and "probability" not in fault
        ]

    def _nearest(self, to: str | None, campaign: str | Mapping[str, Any] | None) -> list[Message]:
        """Sort all messages: first those to the same address, then those of the same campaign."""

        def distance(message: Message) -> tuple[bool, bool]:
            return message["to"] != to, campaign is None or not _is(campaign, message)

        return sorted(self.messages(), key=distance)

    def _find(
        self,
        to: str | None,
        campaign: str | Mapping[str, Any] | None,
        text: str | None,
        channel: str | None,
    ) -> list[Message]:
        sent = self.messages(to=to, text=text, channel=channel)
        return [message for message in sent if campaign is None or _is(campaign, message)]

    def _explained(
        self,
        problem: str,
        messages: list[Message],
        heading: str,
        wanted: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        to = wanted.get("to")
        with self.store.lock:
            now = self.store.run_due()
            campaigns = [each for service in self.store.services for each in self.store.campaigns(service)]
            campaigns = sorted([*campaigns, *self.store.deleted], key=lambda campaign: campaign.age)
            explained: dict[bool, list[str]] = {True: [], False: []}
            for campaign in campaigns:
                line = explain_campaign(self.store, campaign, now, to)
                explained[self._matches(campaign, wanted.get("campaign"), to)].append(line)
        state = "frozen" if self.clock.frozen else f"speed {self.clock.speed:g}"
        if self.clock.idle:
            state += " until the API is called"
        time = f"Time in the sandbox: {rfc3339(now)}, {state}"
        sent = show_messages(messages, heading, wanted.get("text"))
        return "\n".join([problem, *sent, *show_campaigns(explained[True], explained[False]), time])

    def _matches(self, campaign: Campaign, wanted: str | Mapping[str, Any] | None, to: str | None) -> bool:
        if wanted is None:
            return to is not None and is_for(self.store, campaign, to)
        return _names(wanted, campaign.uuid, campaign.fields["name"])


def is_sandbox(target: Origin) -> bool:
    """Whether this process serves a sandbox there."""
    return any(target == origin(sandbox.url) for sandbox in list(RUNNING))


def _check(campaign: object) -> None:
    # Nothing else could match a message, so that assert_not_sent() would always pass.
    if isinstance(campaign, Mapping):
        if not isinstance(campaign.get("uuid"), str):
            raise ValueError(f"campaign must have its uuid, a string: {dict(campaign)!r} has none")
    elif not isinstance(campaign, str):
        raise ValueError(f"campaign must be a name, a UUID or a campaign, not {campaign!r}")


def _is(campaign: str | Mapping[str, Any], message: Message) -> bool:
    return _names(campaign, message["campaign_uuid"], message["campaign_name"])


def _names(campaign: str | Mapping[str, Any], uuid: str, name: str) -> bool:
    if isinstance(campaign, Mapping):
        return bool(campaign["uuid"] == uuid)
    return campaign.lower() == uuid or campaign in (name, _KEY.sub("", name))


def _described(wanted: Mapping[str, Any]) -> str:
    words = {"to": "to", "campaign": "of campaign", "text": "with text", "channel": "by"}
    criteria = {name: value for name, value in wanted.items() if value is not None}
    if isinstance(criteria.get("campaign"), Mapping):
        criteria["campaign"] = criteria["campaign"].get("name", criteria["campaign"]["uuid"])
    return "".join(f" {words[name]} {value!r}" for name, value in criteria.items())
