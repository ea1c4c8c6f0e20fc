"""Strict validation of request bodies: only what the documentation allows."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow_provider_bm.campaigns.constants import (
    CAMPAIGN_FIELDS,
    CHANGE_STATUSES,
    CLONE_FIELDS,
    CREATE_STATUSES,
    JSON_TEMPLATE_SENDING_TYPES,
    QUERY_TYPES,
    REQUIRED_FIELDS,
    SCHEDULE_TYPES,
    SENDING_TYPES,
    STATUSES,
)
from airflow_provider_bm.campaigns.ids import UUID_PATTERN
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.campaigns.recurrence import occurrences
from airflow_provider_bm.campaigns.schedule import ONCE_PATTERN, read_once
from airflow_provider_bm.sandbox import segmentation
from airflow_provider_bm.sandbox.errors import invalid, item
from airflow_provider_bm.sandbox.execution import same_schedule
from airflow_provider_bm.sandbox.http_messages import in_utf8
from airflow_provider_bm.sandbox.rendering import fill_campaign

_HALF = "It contains half of a surrogate pair."
ENUMS = {"sending_type": SENDING_TYPES, "schedule_type": SCHEDULE_TYPES, "query_type": QUERY_TYPES}

Items = Iterator[dict[str, str]]


def new_campaign(
    body: Mapping[str, Any],
    now: datetime,
    statuses: tuple[str, ...] = CREATE_STATUSES,
    *,
    lists: Container[str],
) -> dict[str, str]:
    """Validate the body of a POST that creates a campaign, and return its fields.

    :param lists: UUIDs of the recipient lists
    :raises ApiError: 400 with all problems
    """
    items = list(_shape(body, CAMPAIGN_FIELDS, also_unknown=("clone_uuid",)))
    if "template_vars" in body:
        items.append(item("template_vars", "is for cloning only: it needs clone_uuid"))
    return _checked(body, items, statuses, now, lists)


def changed_campaign(
    body: Mapping[str, Any],
    now: datetime,
    *,
    lists: Container[str],
    in_progress: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Validate the body of a PUT, which is a complete campaign, and return its fields.

    :param in_progress: the fields of a campaign that is active or can be resumed: it may keep its schedule,
        even if that lies in the past
    """
    items = list(_shape(body, CAMPAIGN_FIELDS, also_unknown=CLONE_FIELDS))
    return _checked(body, items, STATUSES, now, lists, in_progress)


def cloned_campaign(
    body: Mapping[str, Any], source: Mapping[str, str] | None, now: datetime, *, lists: Container[str]
) -> dict[str, str]:
    """Validate the body of a POST that clones, and return the fields of the clone.

    :param source: the fields of the campaign to clone; None if there is none
    """
    items = list(_shape(body, (*CAMPAIGN_FIELDS, "clone_uuid"))) + list(_template_vars(body))
    if source is None and isinstance(body.get("clone_uuid"), str):
        items.append(item("clone_uuid", "there is no campaign with this UUID in the service"))
    if source is None:
        # Missing fields would come from the source: only the others can be validated.
        raise invalid(items + list(_enums(_strings(body), CREATE_STATUSES)))
    fields: dict[str, Any] = dict(source)
    if body.get("schedule_type") == "now":
        fields.pop("schedule_rrule", None)
    # Undocumented: a clone without a name or a status.
    fields |= {"name": f"{source['name']} (copy)", "status": "active"}
    fields |= {name: value for name, value in body.items() if name in CAMPAIGN_FIELDS}
    checked = _checked(fields, items, CREATE_STATUSES, now, lists)
    # Again: a variable may leave an empty template.
    return _checked(fill_campaign(checked, body.get("template_vars", {})), [], CREATE_STATUSES, now, lists)


def new_status(body: Mapping[str, Any]) -> str:
    """Validate the body of a PATCH, and return the status."""
    items = [item(name, "unknown field: only status can be changed") for name in body if name != "status"]
    if "status" not in body:
        items.append(item("status", "is required"))
    elif not isinstance(body["status"], str) or body["status"] not in CHANGE_STATUSES:
        items.append(item("status", f"must be one of: {', '.join(CHANGE_STATUSES)}"))
    if items:
        raise invalid(items)
    return str(body["status"])


def _checked(
    body: Mapping[str, Any],
    items: list[dict[str, str]],
    statuses: tuple[str, ...],
    now: datetime,
    lists: Container[str],
    in_progress: Mapping[str, str] | None = None,
) -> dict[str, str]:
    strings = _strings(body)
    for name in REQUIRED_FIELDS:
        if name not in body:
            items.append(item(name, "is required"))
        elif strings.get(name) == "":
            items.append(item(name, "must not be empty"))
    items += _values(strings, statuses, now, lists, in_progress)
    if items:
        raise invalid(items)
    # An empty field is not set.
    return {name: strings[name] for name in CAMPAIGN_FIELDS if strings.get(name)}


def _strings(body: Mapping[str, Any]) -> dict[str, str]:
    return {
        n: value
        for n, value in body.items()
        if n in CAMPAIGN_FIELDS and isinstance(value, str) and in_utf8(value)
    }


def _shape(body: Mapping[str, Any], strings: tuple[str, ...], also_unknown: tuple[str, ...] = ()) -> Items:
    for name, value in body.items():
        if name in strings:
            if not isinstance(value, str):
                yield item(name, "must be a string", f"It is {_json_type(value)}.")
            elif not in_utf8(value):
                yield item(name, "must be text that can be encoded in UTF-8", _HALF)
        elif name not in CLONE_FIELDS or name in also_unknown:
            yield item(name, "unknown field")


def _json_type(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else "a number"


def _template_vars(body: Mapping[str, Any]) -> Items:
    values = body.get("template_vars", {})
    if not isinstance(values, dict):
        yield item("template_vars", "must be an object")
        return
    for name, value in values.items():
        if not isinstance(value, str):
            yield item("template_vars", f"{name}: must be a string", f"It is {_json_type(value)}.")
        elif not in_utf8(name + value):
            yield item("template_vars", "must be text that can be encoded in UTF-8", _HALF)
        if not name or "{" in name or "}" in name:
            yield item("template_vars", f"{name!r}: must be the raw name of a variable, without braces")


def _enums(fields: Mapping[str, str], statuses: tuple[str, ...]) -> Items:
    for name, allowed in (*ENUMS.items(), ("status", statuses)):
        value = fields.get(name)
        if value == "" and name in REQUIRED_FIELDS:
            continue  # reported as empty already
        if value is not None and value not in allowed:
            yield item(name, f"must be one of: {', '.join(allowed)}")


def _values(
    fields: Mapping[str, str],
    statuses: tuple[str, ...],
    now: datetime,
    lists: Container[str],
    in_progress: Mapping[str, str] | None,
) -> Items:
    yield from _enums(fields, statuses)
    yield from _schedule(fields, now, in_progress is not None and same_schedule(fields, in_progress))
    if fields.get("sending_type") in JSON_TEMPLATE_SENDING_TYPES and fields.get("template"):
        yield from _json_template(fields)
    if fields.get("recipient_lists"):
        yield from _recipient_lists(fields["recipient_lists"], lists)
    yield from _query(fields)


def _schedule(fields: Mapping[str, str], now: datetime, continues: bool) -> Items:
    kind, rule = fields.get("schedule_type"), fields.get("schedule_rrule", "")
    starts = fields.get("status") == "active" and not continues
    if kind == "now" and rule:
        yield item("schedule_rrule", "must be absent when schedule_type is now")
    elif kind in ("once", "scheduled") and not rule:
        yield item("schedule_rrule", f"is required when schedule_type is {kind}")
    elif kind == "once":
        try:
            moment = read_once(rule) if ONCE_PATTERN.fullmatch(rule) else None
        except ValueError:
            moment = None
        if moment is None:
            yield item("schedule_rrule", "must be a time in UTC in the format Y-m-d H:i:s")
        elif starts and moment <= now:
            yield item("schedule_rrule", "must be in the future", _time(now))
    elif kind == "scheduled":
        try:
            over = next(occurrences(rule, now), None) is None
        except ValueError as error:
            yield item("schedule_rrule", "must be an iCalendar RRULE", str(error))
        else:
            if starts and over:
                # It would be finished at once, which a wait would treat as success.
                yield item("schedule_rrule", "must have a time in the future", _time(now))


def _time(now: datetime) -> str:
    return f"It is {now:%Y-%m-%d %H:%M:%S} now."


def _json_template(fields: Mapping[str, str]) -> Items:
    try:
        template = parse_json(fields["template"])
    except ValueError:
        template = None
    if not isinstance(template, dict):
        channel = fields["sending_type"]
        yield item("template", f"must be a serialized JSON object when sending_type is {channel}")


def _recipient_lists(value: str, lists: Container[str]) -> Items:
    for name in (part.strip() for part in value.split(",")):
        if not UUID_PATTERN.fullmatch(name):
            yield item("recipient_lists", f"{name!r} is not a UUID")
        elif name.lower() not in lists:
            yield item("recipient_lists", f"there is no recipient list {name}")


def _query(fields: Mapping[str, str]) -> Items:
    query = fields.get("query", "")
    if query:
        for problem in segmentation.problems(query):
            yield item("query", problem)
    elif fields.get("query_type") == "segmentation":
        yield item("query", "is required when query_type is segmentation")
