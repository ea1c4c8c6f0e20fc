"""What is allowed, but hardly meant: told in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS, ONCE_FORMAT

_VARIABLE = re.compile(r"\{([^{}\s\":;]+)\}")
_TEXTS = ("template", "webpush_title", "webpush_body")
_ENDS = re.compile(r"[;:\s](COUNT|UNTIL)=", re.IGNORECASE)


def content_warnings(
    campaign: Mapping[str, Any], template_vars: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Say what is doubtful in a campaign that is going to be sent.

    :param campaign: its fields, as they are sent or as the API gave them
    :param template_vars: values of the variables in its template, by raw name
    """
    known = {*CONTACT_FIELDS, *(template_vars or ())}
    texts = " ".join(str(campaign.get(field) or "") for field in _TEXTS)
    for name in dict.fromkeys(_VARIABLE.findall(texts)):
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f" (did you mean {{{close[0]}}}?)" if close else ""
            yield (
                f"The text has {{{name}}}, which is no documented contact field, and has no value "
                f"in template_vars{hint}: people may get it as it stands"
            )


def wait_warnings(campaign: Mapping[str, Any], timeout: timedelta, now: datetime) -> Iterator[str]:
    """Say why a campaign will not have finished in time.

    :param campaign: its fields, as they are sent or as the API gave them
    :param timeout: how long its end is waited for
    :param now: the time of now
    """
    rule = str(campaign.get("schedule_rrule") or "")
    if campaign.get("schedule_type") == "scheduled" and not _ENDS.search(f";{rule}"):
        yield f"It is waited for until it has finished, but {rule!r} has no end (COUNT or UNTIL)"
    moment = _once(campaign)
    if moment is not None and moment > now + timeout:
        yield f"It is waited for until it has finished, for {timeout} at most, but it executes at {rule} UTC"


def schedule_warnings(campaign: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Say that a campaign is to execute at a time that is over.

    :param campaign: its fields, as they are sent
    :param now: the time of now
    """
    moment = _once(campaign)
    if moment is not None and moment <= now:
        yield (
            f"schedule_rrule {campaign['schedule_rrule']} UTC is in the past; the API wants a time in the "
            "future, and does not say what it does otherwise"
        )


def _once(campaign: Mapping[str, Any]) -> datetime | None:
    if campaign.get("schedule_type") != "once":
        return None
    try:
        return datetime.strptime(str(campaign.get("schedule_rrule")), ONCE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
