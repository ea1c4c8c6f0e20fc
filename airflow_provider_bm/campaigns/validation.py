"""A whole payload: every field, and every rule between fields, with all problems found at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bm.campaigns.audience import check_audience
from airflow_provider_bm.campaigns.constants import (
    CAMPAIGN_FIELDS,
    CLONE_FIELDS,
    CREATE_STATUSES,
    OPTIONAL_FIELDS,
    REQUIRED_FIELDS,
    RESPONSE_FIELDS,
    SENDING_TYPES,
    STATUSES,
    WEBPUSH_FIELDS,
)
from airflow_provider_bm.campaigns.ids import check_recipient_lists
from airflow_provider_bm.campaigns.problems import Problems, check_choice, did_you_mean
from airflow_provider_bm.campaigns.schedule import check_schedule
from airflow_provider_bm.campaigns.text import check_template, check_text
from airflow_provider_bm.exceptions import BMPayloadError

_EXPECTED: Final = {
    "status": "active or draft",
    "sending_type": f"one of {', '.join(SENDING_TYPES)}",
    "schedule_type": "now, once or scheduled",
    "template": "the message",
    "recipient_lists": "UUIDs of contact lists",
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is asked of a payload.

    :ivar subject: what to call it in an error
    :ivar statuses: what ``status`` may be
    :ivar required: fields that it must have
    :ivar whole: nothing that it lacks comes from elsewhere
    :ivar may_clear: the empty text clears an optional field
    :ivar starts_now: without a schedule it runs now
    :ivar leftovers: part of it may be as the server gave it
    """

    subject: str
    statuses: tuple[str, ...] = STATUSES
    required: tuple[str, ...] = ()
    whole: bool = False
    may_clear: bool = True
    starts_now: bool = False
    leftovers: bool = False


CREATE: Final = Kind(
    subject="campaign",
    statuses=CREATE_STATUSES,
    required=tuple(name for name in REQUIRED_FIELDS if name != "schedule_type"),
    whole=True,
    may_clear=False,
    starts_now=True,
)
CLONE: Final = Kind(subject="clone of a campaign", statuses=CREATE_STATUSES)
UPDATE: Final = Kind(subject="update of a campaign")
WHOLE: Final = Kind(subject="updated campaign", required=REQUIRED_FIELDS, whole=True, leftovers=True)


def check_fields(values: Mapping[str, Any], kind: Kind, problems: Problems) -> dict[str, str]:
    """Check all campaign fields of a payload.

    :param values: the fields; None is the same as not there
    :param kind: what is asked of the payload
    :param problems: where problems are noted
    :return: the fields to send, in the API's order; to be used only if no problem was noted
    """
    given = {name: values[name] for name in CAMPAIGN_FIELDS if values.get(name) is not None}
    found: dict[str, str | None] = {}
    for name in kind.required:
        if name not in given:
            problems.add(name, None, f"is required: {_EXPECTED.get(name, 'a string')}")
    for name in ("name", "sender"):
        if name in given:
            found[name] = check_text(name, given[name], problems)
    for name in WEBPUSH_FIELDS:
        if name in given:
            found[name] = check_text(name, given[name], problems, may_be_empty=True)
    if "status" in given:
        found["status"] = check_choice("status", given["status"], kind.statuses, problems)
    if "sending_type" in given:
        found["sending_type"] = check_choice("sending_type", given["sending_type"], SENDING_TYPES, problems)
    if "template" in given:
        found["template"] = check_template(given["template"], found.get("sending_type"), problems)
    if "recipient_lists" in given:
        found["recipient_lists"] = check_recipient_lists(
            "recipient_lists", given["recipient_lists"], problems
        )
    found |= check_schedule(
        given.get("schedule_type"),
        given.get("schedule_rrule"),
        whole=kind.whole,
        may_clear=kind.may_clear,
        leftovers=kind.leftovers,
        problems=problems,
    )
    if kind.starts_now and "schedule_type" not in given and "schedule_rrule" not in given:
        found["schedule_type"] = "now"
    found |= check_audience(
        given.get("query_type"),
        given.get("query"),
        whole=kind.whole,
        may_clear=kind.may_clear,
        leftovers=kind.leftovers,
        problems=problems,
    )
    return {name: text for name in CAMPAIGN_FIELDS if (text := found.get(name)) is not None}


def check_names(names: Mapping[Any, Any], known: tuple[str, ...], problems: Problems) -> None:
    """Check that a mapping has no fields but those known.

    :param names: the mapping
    :param known: what it may have
    :param problems: where problems are noted
    """
    for name, value in names.items():
        if name in known:
            continue
        if name in CLONE_FIELDS:
            hint = "it is for clones only"
        elif name in RESPONSE_FIELDS + OPTIONAL_FIELDS:
            hint = "it is in responses only; writable() takes from one what can be written back"
        else:
            hint = f"there is no such field{did_you_mean(name, known)}"
        problems.add(str(name), value, hint)


def check_complete(payload: Mapping[str, Any]) -> dict[str, str]:
    """Check that a campaign merged from :func:`writable` and changes is whole and valid, as PUT needs it.

    All that the models do for users is done here too. What the server can hold without using it is let
    through: an rrule beside ``now``, a query beside ``all``.

    :param payload: the merged campaign
    :return: the JSON body to send
    :raises BMPayloadError: if it is not valid; lists every problem

    Source: Campaign API 4.3.
    """
    problems = Problems()
    check_names(payload, CAMPAIGN_FIELDS, problems)
    result = check_fields(payload, WHOLE, problems)
    if problems:
        raise BMPayloadError(problems, WHOLE.subject)
    return result


def writable(campaign: Mapping[str, Any]) -> dict[str, str]:
    """Take of a campaign, as the server gave it, what can be written back by PUT.

    :param campaign: a ``CampaignResponse``
    :return: its campaign fields that are not None, in the API's order. Should the server give an array or an
        object where a string was promised, it is made one.

    Source: Campaign API 4.1 and 4.4.
    """
    return {
        name: _as_text(name, campaign[name]) for name in CAMPAIGN_FIELDS if campaign.get(name) is not None
    }


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name == "recipient_lists" and isinstance(value, Sequence):
        return ",".join(str(part) for part in value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
