"""How a completed wait ends its task: what it reports, and what it does if no messages were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from airflow_provider_bm.campaigns.labels import campaign_label

#: What a task does if the campaign sent no messages.
OnEmpty = Literal["warn", "fail", "skip"]
ON_EMPTY: Final[tuple[str, ...]] = get_args(OnEmpty)
#: XCom keys.
MESSAGES_KEY: Final = "messages"
SENT_KEY: Final = "sent"


@dataclass(frozen=True, kw_only=True)
class WaitResult:
    """How a task ends.

    :ivar state: ``success``, ``failed`` or ``skipped``
    :ivar warning: the warning to log; empty: none
    :ivar xcoms: XComs to push, besides the campaign
    """

    state: Literal["success", "failed", "skipped"] = "success"
    warning: str = ""
    xcoms: dict[str, Any] = field(default_factory=dict)


def wait_result(campaign: Mapping[str, Any], *, fields: Sequence[str], on_empty: str = "warn") -> WaitResult:
    """Count the messages of a campaign, if ``fields`` contains ``messages``.

    :param campaign: the campaign at the end of the wait
    :param fields: requested optional parts
    :param on_empty: what to do if there are no messages: ``warn``, ``fail`` or ``skip``
    """
    if MESSAGES_KEY not in fields:
        return WaitResult()
    messages = campaign.get(MESSAGES_KEY)
    count = len(messages) if isinstance(messages, (list, Mapping)) else 0
    label = campaign_label(campaign["uuid"], campaign)
    if count:
        return WaitResult(xcoms={MESSAGES_KEY: count})
    state: Literal["success", "failed", "skipped"] = (
        "failed" if on_empty == "fail" else "skipped" if on_empty == "skip" else "success"
    )
    warning = f"Campaign {label} is {campaign.get('status')}, and sent no messages (0 in the response)."
    return WaitResult(state=state, warning=warning, xcoms={MESSAGES_KEY: 0})


def nothing_sent(campaign: Mapping[str, Any], conn_id: str | None) -> WaitResult:
    """Return the result of a wait for a draft through a connection that is ``draft_only``."""
    return WaitResult(warning=nothing_sent_message(campaign, conn_id), xcoms={SENT_KEY: False})


def nothing_sent_message(campaign: Mapping[str, Any], conn_id: str | None) -> str:
    """Return the last log line of a task whose connection is ``draft_only``.

    :param campaign: the draft
    :param conn_id: the Airflow connection
    """
    label = campaign_label(campaign["uuid"], campaign)
    return (
        f"NOTHING WAS SENT: the connection {conn_id!r} or [bm] draft_only of Airflow's configuration is "
        f"draft_only. Campaign {label} is {campaign['status']}."
    )
