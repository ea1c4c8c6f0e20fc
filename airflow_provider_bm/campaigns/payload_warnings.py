"""Warnings about payloads that are valid but probably wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS
from airflow_provider_bm.campaigns.problems import did_you_mean
from airflow_provider_bm.campaigns.recurrence import occurrences
from airflow_provider_bm.campaigns.rrule import Rule, parse_rule
from airflow_provider_bm.campaigns.schedule import read_once
from airflow_provider_bm.campaigns.variables import unfilled_variables


def content_warnings(
    campaign: Mapping[str, Any], template_vars: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Warn about variables that have no value.

    :param campaign: a payload or a ``CampaignResponse``
    :param template_vars: values of the variables in its template, by name
    """
    known = (*CONTACT_FIELDS, *(template_vars or ()))
    for name in unfilled_variables(campaign, template_vars):
        yield (
            f"The text contains {{{name}}}, which is not a documented contact field and has no value in "
            f"template_vars{did_you_mean(name, known)}: recipients may see it unfilled"
        )


def wait_warnings(campaign: Mapping[str, Any], timeout: timedelta, now: datetime) -> Iterator[str]:
    """Warn that a campaign will not have finished in time.

    :param campaign: a payload or a ``CampaignResponse``
    :param timeout: maximum time to wait until it has finished
    :param now: the current time
    """
    rule = _rule(campaign)
    if rule is not None and not rule.parts.keys() & {"COUNT", "UNTIL"}:
        text = campaign["schedule_rrule"]
        yield f"The task waits until the campaign has finished, but {text!r} has no end (COUNT or UNTIL)"
    moment = _once(campaign)
    if moment is not None and moment > now + timeout:
        yield (
            f"The task waits until the campaign has finished, for {timeout} at most, but it executes at "
            f"{campaign['schedule_rrule']} UTC"
        )


def schedule_warnings(campaign: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Warn about a schedule in the past, or a rule that never fires.

    :param campaign: a payload or a ``CampaignResponse``
    :param now: the current time
    """
    text = campaign.get("schedule_rrule")
    moment = _once(campaign)
    if moment is not None and moment <= now:
        yield (
            f"schedule_rrule {text} UTC is in the past; the API requires a time in the future, and does not "
            "document what happens otherwise"
        )
    rule = _rule(campaign)
    if rule is None:
        return
    try:
        if next(occurrences(str(text), now), None) is not None:
            return
    except ValueError:
        # Too many occurrences to count: the rule started long ago, and has not ended.
        return
    if "UNTIL" in rule.parts or rule.start is not None:
        yield f"schedule_rrule {text!r} has ended, or never fires: it has no occurrence after {now:%Y-%m-%d}"
    else:
        yield f"schedule_rrule {text!r} never fires if the campaign is saved now, at {now:%Y-%m-%d %H:%M %Z}"


def _once(campaign: Mapping[str, Any]) -> datetime | None:
    if campaign.get("schedule_type") != "once":
        return None
    try:
        return read_once(str(campaign.get("schedule_rrule")))
    except ValueError:
        return None


def _rule(campaign: Mapping[str, Any]) -> Rule | None:
    if campaign.get("schedule_type") != "scheduled":
        return None
    try:
        return parse_rule(str(campaign.get("schedule_rrule")), from_server=True)
    except ValueError:
        return None
