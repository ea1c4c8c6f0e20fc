"""The sandbox of a test: what was sent, and if it was not, why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.clock import rfc3339

from .explaining import explain_campaign, show_campaigns, show_messages, show_requests

#: What the operators put at the end of a name to know their campaign by.
_KEY = re.compile(r" \[[0-9a-f]{10}\]$")

Message = dict[str, Any]


class BMTestSandbox(Sandbox):
    """A :class:`.Sandbox` with assertions.

    Where a campaign is asked for, its UUID, the campaign itself or its name will do. The key that operators
    put behind the name may be left out.
    """

    def messages_to(self, to: str) -> list[Message]:
        """List the messages to an address: a mobile, an email, or for webpush the contact's UUID."""
        return self.messages(to=to)

    def messages_of(self, campaign: str | Mapping[str, Any]) -> list[Message]:
        """List the messages of a campaign; of all that have the name, if there are several."""
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
        """Fail unless such messages were sent, and say what was sent instead, or why nothing was.

        :param to: the address
        :param text: a piece of the text
        :param channel: the ``sending_type``
        :param count: how many there must be; one or more by default
        :returns: the messages
        """
        __tracebackhide__ = True
        wanted = {"to": to, "campaign": campaign, "text": text, "channel": channel}
        found = self._find(to, campaign, text, channel)
        if len(found) == count or (count is None and found):
            return found
        number = {None: "a message", 0: "no message", 1: "one message"}.get(count, f"{count} messages")
        problem = f"expected {number}{_described(wanted)}, found {len(found)}"
        heading = "Found" if found else "Sent instead"
        raise AssertionError(self._explained(problem, found or self.messages(), heading, to))

    def assert_not_sent(
        self,
        to: str | None = None,
        *,
        campaign: str | Mapping[str, Any] | None = None,
        text: str | None = None,
        channel: str | None = None,
    ) -> None:
        """Fail if such a message was sent; without arguments, if any was."""
        __tracebackhide__ = True
        self.assert_sent(to, campaign=campaign, text=text, channel=channel, count=0)

    def story(self) -> str:
        """Tell what the sandbox was asked, and what became of it."""
        requests = "\n".join(["The last requests:", *show_requests(self.requests())])
        return self._explained(requests, self.messages(), "Sent")

    def _find(
        self,
        to: str | None,
        campaign: str | Mapping[str, Any] | None,
        text: str | None,
        channel: str | None,
    ) -> list[Message]:
        sent = self.messages(to=to, text=text, channel=channel)
        return [message for message in sent if campaign is None or _is(campaign, message)]

    def _explained(self, problem: str, messages: list[Message], heading: str, to: str | None = None) -> str:
        with self.store.lock:
            now = self.store.settle()
            campaigns = [one for service in self.store.services for one in self.store.campaigns(service)]
            explained = [explain_campaign(one, now, to) for one in campaigns]
        state = "it stands still" if self.clock.frozen else f"speed {self.clock.speed:g}"
        time = f"Time in the sandbox: {rfc3339(now)}, {state}"
        return "\n".join([problem, *show_messages(messages, heading), *show_campaigns(explained), time])


def _is(campaign: str | Mapping[str, Any], message: Message) -> bool:
    if isinstance(campaign, Mapping):
        return bool(message["campaign_uuid"] == campaign["uuid"])
    name = message["campaign_name"]
    return campaign.lower() == message["campaign_uuid"] or campaign in (name, _KEY.sub("", name))


def _described(wanted: Mapping[str, Any]) -> str:
    words = {"to": "to", "campaign": "of campaign", "text": "with text", "channel": "by"}
    given = {name: value for name, value in wanted.items() if value is not None}
    if isinstance(given.get("campaign"), Mapping):
        given["campaign"] = given["campaign"].get("name", given["campaign"]["uuid"])
    return "".join(f" {words[name]} {value!r}" for name, value in given.items())
