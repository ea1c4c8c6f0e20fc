"""Validation of payloads: all fields, and the rules between them. All problems are reported at once."""

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
from airflow_provider_bm.campaigns.problems import Problems, check_choice, did_you_mean, field_label
from airflow_provider_bm.campaigns.schedule import check_schedule
from airflow_provider_bm.campaigns.text import check_name, check_sender, check_template, check_text
from airflow_provider_bm.exceptions import BMPayloadError

_EXPECTED: Final = {
    "status": "active or draft",
    "sending_type": f"one of {', '.join(SENDING_TYPES)}",
    "schedule_type": "now, once or scheduled",
    "template": "the message",
    "recipient_lists": "UUIDs of contact lists",
}


@dataclass(frozen=True, kw_only=True)
class PayloadRules:
    """The rules for one kind of payload.

    :ivar subject: its name in error messages
    :ivar statuses: allowed values of ``status``
    :ivar required: required fields
    :ivar complete: whether the payload is complete by itself: ``once`` and ``scheduled`` then require a
        schedule, and ``segmentation`` a query
    :ivar allow_clear: whether an empty string clears an optional field
    :ivar default_now: whether ``schedule_type`` defaults to ``now`` without a schedule
    :ivar from_server: whether fields may be as the server stores them, such as ``now`` with an RRULE
    """

    subject: str
    statuses: tuple[str, ...] = STATUSES
    required: tuple[str, ...] = ()
    complete: bool = False
    allow_clear: bool = True
    default_now: bool = False
    from_server: bool = False


CREATE: Final = PayloadRules(
    subject="campaign",
    statuses=CREATE_STATUSES,
    required=tuple(name for name in REQUIRED_FIELDS if name != "schedule_type"),
    complete=True,
    allow_clear=False,
    default_now=True,
)
CLONE: Final = PayloadRules(subject="clone of a campaign", statuses=CREATE_STATUSES)
UPDATE: Final = PayloadRules(subject="update of a campaign")
MERGED: Final = PayloadRules(
    subject="updated campaign", required=REQUIRED_FIELDS, complete=True, from_server=True
)


def check_fields(values: Mapping[str, Any], rules: PayloadRules, problems: Problems) -> dict[str, str]:
    """Check all campaign fields of a payload.

    :param values: the fields; None counts as absent
    :param rules: the rules for the payload
    :param problems: the list to which problems are added
    :return: the fields to send, in the API's order; use them only if no problem was added
    """
    present = {name: values[name] for name in CAMPAIGN_FIELDS if values.get(name) is not None}
    found: dict[str, str | None] = {}
    for name in rules.required:
        if name not in present:
            problems.add(name, None, f"is required: {_EXPECTED.get(name, 'a string')}")
    if "name" in present:
        found["name"] = check_name(present["name"], problems)
    if "sender" in present:
        found["sender"] = check_sender(present["sender"], problems)
    for name in WEBPUSH_FIELDS:
        if name in present:
            found[name] = check_text(name, present[name], problems, may_be_empty=True)
    if "status" in present:
        found["status"] = check_choice("status", present["status"], rules.statuses, problems)
    if "sending_type" in present:
        found["sending_type"] = check_choice("sending_type", present["sending_type"], SENDING_TYPES, problems)
    if "template" in present:
        found["template"] = check_template(present["template"], found.get("sending_type"), problems)
    if "recipient_lists" in present:
        found["recipient_lists"] = check_recipient_lists(
            "recipient_lists", present["recipient_lists"], problems
        )
    found |= check_schedule(
        present.get("schedule_type"),
        present.get("schedule_rrule"),
        complete=rules.complete,
        allow_clear=rules.allow_clear,
        from_server=rules.from_server,
        problems=problems,
    )
    if rules.default_now and "schedule_type" not in present and "schedule_rrule" not in present:
        found["schedule_type"] = "now"
    found |= check_audience(
        present.get("query_type"),
        present.get("query"),
        complete=rules.complete,
        allow_clear=rules.allow_clear,
        from_server=rules.from_server,
        problems=problems,
    )
    return {name: text for name in CAMPAIGN_FIELDS if (text := found.get(name)) is not None}


def check_names(names: Mapping[Any, Any], known: tuple[str, ...], problems: Problems) -> None:
    """Check that a mapping has no unknown fields.

    :param names: the mapping
    :param known: the fields that it may have
    :param problems: the list to which problems are added
    """
    for name, value in names.items():
        if name in known:
            continue
        if name in CLONE_FIELDS:
            hint = "it is for clones only"
        elif name in RESPONSE_FIELDS + OPTIONAL_FIELDS:
            hint = "it is in responses only; writable() returns what can be written back"
        else:
            hint = f"there is no such field{did_you_mean(name, known)}"
        problems.add(field_label(name), value, hint)


def check_complete(payload: Mapping[str, Any]) -> dict[str, str]:
    """Check that a payload is a complete and valid campaign, as PUT requires.

    Fields that the server stores without using them are allowed: an RRULE with ``now``, a query with
    ``all``. To change some fields of an existing campaign, use :func:`merge_changes`.

    :param payload: the campaign
    :return: the JSON body to send
    :raises BMPayloadError: the campaign is invalid; lists every problem

    Source: Campaign API 4.3.
    """
    problems = Problems()
    check_names(payload, CAMPAIGN_FIELDS, problems)
    result = check_fields(payload, MERGED, problems)
    if problems:
        raise BMPayloadError(problems, MERGED.subject, nothing_sent=True)
    return result


def merge_changes(campaign: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, str]:
    """Merge changes into a campaign, for PUT. All other fields are sent exactly as the server returned them.

    Unchanged fields are checked only where they affect recipients, content or time: required fields,
    ``schedule_type`` with ``schedule_rrule``, ``query_type`` with ``query``, and the template if the channel
    changes. A schedule that ``now`` replaces is omitted, and so is a query that ``all`` replaces.

    :param campaign: a ``CampaignResponse``
    :param changes: the payload of a :class:`.CampaignUpdate`
    :return: the JSON body to send
    :raises BMPayloadError: the result is not a complete campaign; lists every problem

    Source: Campaign API 4.3.
    """
    merged: dict[str, str] = {**writable(campaign), **changes}
    if changes.get("schedule_type") == "now" and "schedule_rrule" not in changes:
        merged.pop("schedule_rrule", None)
    if changes.get("query_type") == "all" and "query" not in changes:
        merged.pop("query", None)
    problems = Problems()
    for name in REQUIRED_FIELDS:
        if not merged.get(name, "").strip():
            problems.add(name, merged.get(name), f"is required: {_EXPECTED.get(name, 'a string')}")
    for needed_by, value, name in (
        ("schedule_type", "once", "schedule_rrule"),
        ("schedule_type", "scheduled", "schedule_rrule"),
        ("query_type", "segmentation", "query"),
    ):
        if merged.get(needed_by) == value and not merged.get(name, "").strip():
            problems.add(name, merged.get(name), f"is required with {needed_by}={value}")
    if not problems:
        related = (("schedule_type", "schedule_rrule"), ("query_type", "query"), ("sending_type", "template"))
        touched = {name for pair in related if changes.keys() & {*pair} for name in pair}
        rules = PayloadRules(subject=MERGED.subject, complete=True, from_server=True)
        check_fields({name: merged.get(name) for name in touched}, rules, problems)
    if problems:
        raise BMPayloadError(problems, MERGED.subject, nothing_sent=True)
    return {name: merged[name] for name in CAMPAIGN_FIELDS if name in merged}


def writable(campaign: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a campaign that can be written back by PUT, unchanged.

    :param campaign: a ``CampaignResponse``
    :return: its campaign fields that are not None, in the API's order. An array or an object where the API
        promises a string becomes one.

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
