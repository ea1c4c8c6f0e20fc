"""Execution times of a campaign, computed from its schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_provider_bm.campaigns.problems import Problems
from airflow_provider_bm.campaigns.recurrence import occurrences
from airflow_provider_bm.campaigns.rrule import parse_rule
from airflow_provider_bm.campaigns.schedule import read_once
from airflow_provider_bm.campaigns.send_window import SendWindow
from airflow_provider_bm.exceptions import BMPayloadError

#: Time that may pass between a check and the moment at which the server saves a campaign.
_SAVING: Final = timedelta(minutes=1)
#: Maximum executions of a rule to compare with a send window: one every five minutes for a year.
_MAX_CHECKED: Final = 12 * 24 * 366


def executions(payload: Mapping[str, Any], *, start: datetime, until: datetime) -> Iterator[datetime]:
    """Return the times at which a campaign executes, in UTC and in ascending order.

    A ``now`` campaign executes at ``start``. A ``once`` campaign whose time has passed is assumed to do the
    same. A rule without ``DTSTART`` starts at ``start``: the campaign is assumed to be saved then.

    :param payload: a checked payload, or a ``CampaignResponse``
    :param start: an aware datetime, usually the current time
    :param until: the last time to include, an aware datetime; it does not limit ``now`` and ``once``
    :raises BMPayloadError: ``schedule_rrule`` is invalid, or has a COUNT and too many occurrences in the past

    Source: Campaign API 4.1 (``schedule_type``, ``schedule_rrule``).
    """
    rrule = payload.get("schedule_rrule") or ""
    kind = payload.get("schedule_type") or ("scheduled" if "FREQ=" in str(rrule).upper() else "once")
    try:
        if kind == "now" or not rrule:
            return iter((start.astimezone(UTC),))
        if kind == "once":
            return iter((max(read_once(str(rrule)), start.astimezone(UTC)),))
        return _until(occurrences(str(rrule), start), until)
    except ValueError as error:
        problems = Problems()
        problems.add("schedule_rrule", rrule, str(error))
        raise BMPayloadError(problems, "schedule") from None


def fires_immediately(rule: str, now: datetime) -> bool:
    """Return whether a recurring campaign would execute as soon as it is saved.

    A rule without ``DTSTART`` starts when it is saved (RFC 5545), and its first execution is that start if it
    fits: ``FREQ=DAILY`` always executes at once, ``FREQ=DAILY;BYHOUR=8`` if saved from 8 to 9. A campaign may
    be saved up to a minute after this check.

    :param rule: an RRULE
    :param now: the current time, an aware datetime
    :raises ValueError: the rule is invalid
    """
    moments = [now] if parse_rule(rule, from_server=True).start is not None else [now, now + _SAVING]
    first = (next(occurrences(rule, moment), None) for moment in moments)
    return any(found is not None and found <= moment for found, moment in zip(first, moments, strict=True))


def first_execution_outside(
    payload: Mapping[str, Any], window: SendWindow, *, now: datetime, until: datetime
) -> datetime | None:
    """Return the first execution of a campaign that a send window does not allow, or None.

    :param payload: a checked payload, or a ``CampaignResponse``
    :param window: the window
    :param now: the current time, an aware datetime
    :param until: the last time to check, an aware datetime; it does not limit ``now`` and ``once``
    :return: in UTC
    :raises BMPayloadError: ``schedule_rrule`` is invalid, or executes too often to be checked
    """
    for number, moment in enumerate(executions(payload, start=now, until=until)):
        if not window.is_open(moment):
            return moment
        if number >= _MAX_CHECKED:
            problems = Problems()
            expected = f"executes too often to be compared with the send window: over {_MAX_CHECKED} times"
            problems.add("schedule_rrule", payload.get("schedule_rrule"), expected)
            raise BMPayloadError(problems, "schedule")
    return None


def _until(times: Iterator[datetime], last: datetime) -> Iterator[datetime]:
    for moment in times:
        if moment > last:
            return
        yield moment
