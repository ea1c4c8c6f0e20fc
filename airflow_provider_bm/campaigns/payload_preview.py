"""Previews: what a campaign would send, to whom and when. Makes no requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import JSON_TEMPLATE_SENDING_TYPES, WEBPUSH_FIELDS
from airflow_provider_bm.campaigns.executions import executions
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.campaigns.labels import name_without_key
from airflow_provider_bm.campaigns.problems import Problems
from airflow_provider_bm.campaigns.schedule import parse_schedule
from airflow_provider_bm.campaigns.schedule_words import schedule_in_words
from airflow_provider_bm.campaigns.segmentation import SegmentationQuery
from airflow_provider_bm.campaigns.sms import SMSParts, sms_parts
from airflow_provider_bm.campaigns.times import parse_zone
from airflow_provider_bm.campaigns.variables import fill_variables, unfilled_variables, variables_in
from airflow_provider_bm.exceptions import BMPayloadError

#: How far ahead executions are computed.
_HORIZON: Final = timedelta(days=5 * 366)
_AS_SOURCE: Final = "as in the campaign that is cloned"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a campaign would send; see :func:`preview`. ``str()`` returns a readable summary.

    :ivar name: the campaign's name, without the key of a task instance, or None
    :ivar status: its status, or None
    :ivar sending_type: its channel, or None
    :ivar sender: its sender, or None
    :ivar text: the message with variables filled in; JSON templates are indented; None if there is no
        template
    :ivar variables: variables that remain in the text and that BM fills for each contact
    :ivar missing: variables that remain in the text and that nothing fills
    :ivar sms: parts of the SMS, before BM fills variables; None for other channels
    :ivar schedule: the schedule in words, or the value and its problem
    :ivar executions: the next executions if it is saved now, in the requested time zone
    :ivar segment: the segmentation in words
    :ivar recipient_lists: UUIDs of the recipient lists
    """

    name: str | None
    status: str | None
    sending_type: str | None
    sender: str | None
    text: str | None
    variables: tuple[str, ...]
    missing: tuple[str, ...]
    sms: SMSParts | None
    schedule: str
    executions: tuple[datetime, ...]
    segment: str
    recipient_lists: tuple[str, ...]

    def __str__(self) -> str:
        channel = self.sending_type or "unknown"
        rows = [
            ("Name", [self.name or "none"]),
            ("Status", [self.status or "unknown"]),
            ("Channel", [f"{channel}, from {self.sender}" if self.sender else channel]),
            ("Text", (self.text or "none").splitlines() or [""]),
            ("Filled by BM", [", ".join(f"{{{name}}}" for name in self.variables)]),
            ("NOT FILLED", [", ".join(f"{{{name}}}" for name in self.missing)]),
            (
                "SMS",
                [str(self.sms) + ", before BM fills variables" * bool(self.variables)] if self.sms else [""],
            ),
            ("Schedule", [self.schedule]),
            ("Executions", [f"{moment:%a %Y-%m-%d %H:%M %Z}" for moment in self.executions] or ["none"]),
            ("Contacts", [self.segment]),
            ("Lists", list(self.recipient_lists) or ["none"]),
        ]
        return "\n".join(
            f"{label if not number else '':<14}{line}".rstrip()
            for label, lines in rows
            if lines != [""]
            for number, line in enumerate(lines)
        )


def preview(
    payload: Any,
    *,
    tz: str = "UTC",
    now: datetime | None = None,
    count: int = 3,
    allowed_variables: Sequence[str] = (),
    contact: Mapping[str, Any] | None = None,
) -> Preview:
    """Describe what a campaign would send, to whom and when.

    :param payload: a payload (may be partial), a ``CampaignResponse``, or a payload model.
        ``template_vars`` are filled in. Invalid values are shown unchanged.
    :param tz: time zone for executions; default ``UTC``
    :param now: the current time, an aware datetime; default: now
    :param count: number of executions to list; default 3
    :param allowed_variables: variables that BM fills besides contact fields
    :param contact: values of an example contact to fill in; default None: contact fields stay variables
    :raises BMPayloadError: ``tz`` is not a time zone, or a payload model is invalid
    """
    campaign: Mapping[str, Any] = payload if isinstance(payload, Mapping) else payload.to_payload()
    try:
        zone = parse_zone(tz)
    except ValueError as error:
        problems = Problems()
        problems.add("tz", tz, str(error))
        raise BMPayloadError(problems, "preview") from None
    now = now or datetime.now(UTC)
    values = campaign.get("template_vars")
    values = values if isinstance(values, Mapping) else {}
    missing = unfilled_variables(campaign, values, allowed_variables)
    filled = _fill(_fill(campaign, values), contact or {})
    text = _text(filled)
    schedule, moments = _schedule(campaign, now, count)
    is_sms = campaign.get("sending_type") == "sms" and text is not None
    return Preview(
        name=_or_none(name_without_key(str(campaign.get("name") or ""))),
        status=_or_none(campaign.get("status")),
        sending_type=_or_none(campaign.get("sending_type")),
        sender=_or_none(campaign.get("sender")),
        text=text,
        variables=tuple(name for name in variables_in(filled) if name not in missing),
        missing=tuple(missing),
        sms=sms_parts(text) if is_sms and text is not None else None,
        schedule=schedule,
        executions=tuple(moment.astimezone(zone) for moment in moments),
        segment=_segment(campaign),
        recipient_lists=_recipient_lists(campaign.get("recipient_lists")),
    )


def _or_none(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _fill(campaign: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a campaign with the variables in its texts filled; a JSON template becomes an object."""
    template = campaign.get("template")
    if isinstance(template, str) and campaign.get("sending_type") in (None, *JSON_TEMPLATE_SENDING_TYPES):
        try:
            parsed = parse_json(template)
        except ValueError:
            parsed = None
        template = parsed if isinstance(parsed, Mapping) else template
    filled = {**campaign, "template": _fill_value(template, values)}
    return filled | {name: _fill_value(campaign[name], values) for name in WEBPUSH_FIELDS if name in campaign}


def _fill_value(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return fill_variables(value, values)
    if isinstance(value, Mapping):
        return {key: _fill_value(member, values) for key, member in value.items()}
    return [_fill_value(member, values) for member in value] if isinstance(value, list | tuple) else value


def _text(filled: Mapping[str, Any]) -> str | None:
    template = filled.get("template")
    text = template
    if isinstance(template, Mapping):
        text = json.dumps(template, indent=2, ensure_ascii=False, default=str)
    if filled.get("sending_type") == "webpush":
        push = [f"{name}: {filled[name]}" for name in WEBPUSH_FIELDS if filled.get(name)]
        text = "\n".join([*push, str(text)] if text else push)
    return _or_none(text)


def _schedule(campaign: Mapping[str, Any], now: datetime, count: int) -> tuple[str, list[datetime]]:
    """Return the schedule in words, and the next executions."""
    rrule, kind = campaign.get("schedule_rrule"), campaign.get("schedule_type")
    if "clone_uuid" in campaign and not rrule and kind is None:
        return _AS_SOURCE, []
    fields = {"schedule_type": kind, "schedule_rrule": rrule}
    problems = Problems()
    if rrule and kind != "now":
        parsed = parse_schedule("schedule_rrule", rrule, False, problems, from_server=True)
        if parsed is None:
            return str(problems[0]), []
        kind = "once" if parsed.kind == "time" else "scheduled"
        fields = {"schedule_type": kind, "schedule_rrule": parsed.text}
    words = schedule_in_words(fields) + " UTC" * (fields["schedule_type"] in ("once", "scheduled"))
    try:
        return words, list(islice(executions(fields, start=now, until=now + _HORIZON), count))
    except BMPayloadError as error:
        return f"{words} ({error.problems[0].expected})", []


def _segment(campaign: Mapping[str, Any]) -> str:
    query, kind = campaign.get("query"), campaign.get("query_type")
    if "clone_uuid" in campaign and query is None and kind is None:
        return _AS_SOURCE
    if not query or kind == "all":
        return "NO QUERY for query_type segmentation" if kind == "segmentation" else "all of the lists"
    if isinstance(query, SegmentationQuery):
        return str(query)
    try:
        parsed = parse_json(query) if isinstance(query, str) else query
        return str(SegmentationQuery.from_dict(parsed))
    except ValueError as error:
        return f"{query} ({str(error).splitlines()[-1].strip()})"


def _recipient_lists(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return tuple(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else (str(value),)
