"""Explanations for a failed test: the messages sent, and why a campaign has not sent any."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from airflow_provider_bm.sandbox.clock import rfc3339
from airflow_provider_bm.sandbox.contacts import Contact
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.reading import parts, texts
from airflow_provider_bm.sandbox.rendering import address_of
from airflow_provider_bm.sandbox.store import Store

from .reach import why_nobody, why_not

MAX_LINES: Final = 10
#: Keys of a fault that are not effects.
_OTHERS: Final = ("id", "method", "path", "nth", "times", "seen", "hits")


def explain_campaign(store: Store, campaign: Campaign, now: datetime, to: str | None) -> str:
    """Describe the state of a campaign and its next step in one line.

    :param to: an address that should have received a message
    """
    status = "deleted" if campaign.deleted else campaign.status
    parts = [f"{campaign.fields['name']!r} is {status}: {_progress(campaign, now)}"]
    if campaign.deleted:
        return parts[0]
    if campaign.status == "draft":
        parts.append("a draft sends nothing before it is activated")
    elif campaign.status == "stopped":
        parts.append("it sends nothing more before it is started again")
    running = [run.ends for run in campaign.open_runs if campaign.status == "active"]
    if running:
        parts.append(f"it is sending until {_ahead(max(running), now)}")
    if campaign.next is not None:
        parts.append(f"it is due at {_ahead(campaign.next, now)}")
    reached = [contact for run in campaign.runs for contact in run.contacts]
    if campaign.runs and not reached:
        parts.append(why_nobody(store, campaign))
    elif campaign.runs and to is not None and to not in _addresses(campaign, reached):
        parts.append(why_not(store, campaign, to))
    return "; ".join(parts)


def _addresses(campaign: Campaign, contacts: Sequence[Contact]) -> set[str | None]:
    return {address_of(campaign.fields["sending_type"], contact) for contact in contacts}


def _progress(campaign: Campaign, now: datetime) -> str:
    if not campaign.runs:
        return "never executed"
    sent, total = sum(run.sent(now) for run in campaign.runs), sum(run.total for run in campaign.runs)
    return f"executed {len(campaign.runs)}x, {sent} of {total} messages sent"


def _ahead(moment: datetime, now: datetime) -> str:
    seconds = math.ceil((moment - now).total_seconds())
    return f"{rfc3339(moment)}, which bm_sandbox.clock.advance({seconds}) reaches"


def show_messages(
    messages: Sequence[Mapping[str, Any]], heading: str, text: str | None = None
) -> Iterator[str]:
    """Yield lines about the first messages, as recipients read them.

    :param text: the text that was searched for; the part that contains it is always shown
    """
    if not messages:
        yield "Nothing was sent."
        return
    yield f"{heading} ({len(messages)}):"
    for message in messages[:MAX_LINES]:
        read = ", ".join(repr(_short(part)) for part in _read(message, text))
        yield f"  {message['channel']} to {message['to']}: {read} ({message['campaign_name']})"
    yield from _rest(len(messages))


def _read(message: Mapping[str, Any], text: str | None) -> list[str]:
    title, read, _, _ = parts(message)
    shown = [part for part in (title, *read) if part][:MAX_LINES] or [message["text"]]
    if text is not None and not any(text in part for part in shown):
        shown += [part for part in texts(message) if text in part][-1:]
    return shown


def show_campaigns(matching: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Yield lines about the last campaigns.

    :param matching: lines about the campaigns that match, which come first
    :param others: lines about all others
    """
    count = len(matching) + len(others)
    if not count:
        yield "There is no campaign."
        return
    yield f"Campaigns ({count}):"
    first = matching[-MAX_LINES:]
    remaining = MAX_LINES - len(first)
    shown = [*first, *others[max(0, len(others) - remaining) :]]
    yield from (f"  {line}" for line in shown)
    # If none of the others is shown, the rest may be later ones.
    yield from _rest(count, "earlier" if remaining or not others else "more")


def show_requests(requests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines about the last requests."""
    for request in requests[-MAX_LINES:]:
        error = f", {_short(request['error'], 200)}" if request["error"] else ""
        yield f"  {request['method']} {request['path']}: {request['status'] or 'no reply'}{error}"
    if not requests:
        yield "  none"


def show_faults(faults: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines about faults, with the number of calls that each has hit."""
    if faults:
        yield f"Faults ({len(faults)}):"
    for fault in faults:
        yield f"  {describe_fault(fault)}: {fault['hits']} hit of {fault['seen']} that matched"


def describe_fault(fault: Mapping[str, Any]) -> str:
    """Describe a fault by its arguments: ``POST campaigns lose_reply=True``."""
    named = [str(fault[name]) for name in ("method", "path") if name in fault]
    rest = {name: value for name, value in fault.items() if name not in _OTHERS}
    if (fault["nth"], fault["times"]) != (1, 1):
        rest |= {"nth": fault["nth"], "times": fault["times"]}
    return " ".join([*named, *(f"{name}={value!r}" for name, value in rest.items())])


def show_runs(runs: Sequence[str]) -> Iterator[str]:
    """Yield lines about DAG runs."""
    if runs:
        yield f"DAG runs ({len(runs)}):"
    yield from (f"  {line}" for line in runs[-MAX_LINES:])


def _rest(count: int, which: str = "more") -> Iterator[str]:
    if count > MAX_LINES:
        yield f"  … and {count - MAX_LINES} {which}"


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
