"""Conditions to wait for, and their evaluation: one function for sensors, operators and triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from airflow_provider_bm.campaigns.constants import STATUSES
from airflow_provider_bm.campaigns.labels import campaign_label
from airflow_provider_bm.campaigns.problems import Problems, check_choice
from airflow_provider_bm.campaigns.times import parse_time, read_time
from airflow_provider_bm.exceptions import BMPayloadError, BMResponseError, truncated_repr


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of evaluating a campaign against a :class:`WaitCondition`.

    :ivar state: ``done``, ``failed`` or ``waiting``
    :ivar reason: the reason, a readable sentence
    """

    state: Literal["done", "failed", "waiting"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class WaitCondition:
    """A validated condition to wait for.

    :ivar target_status: status to wait for, unless ``executed_after`` is set
    :ivar executed_after: wait for an execution at or after this time, in UTC
    :ivar failed_status: statuses at which the wait fails
    """

    target_status: str
    executed_after: datetime | None
    failed_status: tuple[str, ...]


#: Former name, kept for compatibility.
Wait = WaitCondition


def check_wait(target_status: Any, executed_after: Any, failed_status: Any) -> WaitCondition:
    """Validate the arguments of a wait.

    :param target_status: one of the API's statuses
    :param executed_after: an aware datetime or a string in the format of RFC 3339, or None
    :param failed_status: statuses, as a sequence, a set, or a comma separated string; may be empty
    :return: the condition
    :raises BMPayloadError: an argument is invalid; lists every problem
    """
    problems = Problems()
    target = check_choice("target_status", target_status, STATUSES, problems)
    moment = None
    if executed_after is not None:
        try:
            moment = parse_time(executed_after, "executed_after")
        except BMPayloadError as error:
            problems += error.problems
    failed: list[str | None] = []
    entries = failed_status.split(",") if isinstance(failed_status, str) else failed_status
    if isinstance(failed_status, str) and not failed_status.strip():
        entries = ()
    if isinstance(entries, AbstractSet):
        entries = sorted(entries, key=str)
    if isinstance(entries, Sequence) and not isinstance(entries, bytes | bytearray):
        for entry in entries:
            word = entry.strip() if isinstance(entry, str) else entry
            failed.append(check_choice("failed_status", word, STATUSES, problems))
    else:
        problems.add("failed_status", failed_status, f"must be some of {', '.join(STATUSES)}")
    if problems or target is None:
        raise BMPayloadError(problems, "wait for a campaign")
    names = tuple(dict.fromkeys(word for word in failed if word is not None))
    return WaitCondition(target_status=target, executed_after=moment, failed_status=names)


def decide(
    campaign: Mapping[str, Any],
    *,
    target_status: str = "finished",
    executed_after: datetime | str | None = None,
    failed_status: str | Sequence[str] = ("stopped",),
) -> Verdict:
    """Decide whether a wait is over: :func:`check_wait` and :func:`evaluate` in one call.

    A status that the API does not know always fails. With ``executed_after``, only an execution at or after
    it counts, and a campaign that finished without one has failed. Otherwise ``target_status`` counts, and
    takes precedence over ``failed_status``; a finished campaign cannot become anything else. The wait for a
    draft continues, since a person may activate it.

    :param campaign: a ``CampaignResponse``
    :param target_status: status to wait for; default ``finished``; ignored with ``executed_after``
    :param executed_after: wait for an execution at or after this time; default None
    :param failed_status: statuses at which the wait fails; default ``stopped``
    :raises BMPayloadError: an argument is invalid
    :raises BMResponseError: ``last_dt`` is needed and is not a time

    Source: Campaign API 4.4.
    """
    return evaluate(campaign, check_wait(target_status, executed_after, failed_status))


def evaluate(campaign: Mapping[str, Any], wait: WaitCondition) -> Verdict:
    """Evaluate a campaign against a condition that :func:`check_wait` has validated.

    :param campaign: a ``CampaignResponse``
    :param wait: the condition
    :raises BMResponseError: ``last_dt`` is needed and is not a time
    """
    status = campaign.get("status")
    if not isinstance(status, str) or status not in STATUSES:
        what = "has no status" if status is None else f"has the unknown status {truncated_repr(status)}"
        reason = f"{_subject(campaign)} {what}; the API knows {', '.join(STATUSES)} ({describe(campaign)})."
        return Verdict(state="failed", reason=reason)
    if wait.executed_after is not None:
        return _decide_execution(campaign, status, wait.executed_after, wait.failed_status)
    seen = f"({describe(campaign)})"
    if status == wait.target_status:
        return Verdict(state="done", reason=f"{_subject(campaign)} is {status}, as expected {seen}.")
    if status in wait.failed_status:
        return Verdict(state="failed", reason=f"{_subject(campaign)} is {status} {seen}.")
    if status == "finished":
        reason = f"{_subject(campaign)} is finished and can no longer become {wait.target_status} {seen}."
        return Verdict(state="failed", reason=reason)
    return _waiting(campaign, f"to become {wait.target_status}", seen)


def describe(campaign: Mapping[str, Any], now: datetime | None = None) -> str:
    """Describe a campaign on one line: ``finished, sent at 15:16:02 UTC, no further execution``.

    :param campaign: a ``CampaignResponse``
    :param now: the current time, whose date is left out; default: now
    """
    status, last, following = (campaign.get(name) for name in ("status", "last_dt", "next_dt"))
    today = (now or datetime.now(UTC)).astimezone(UTC).date()
    words = [_show(status) if status else "no status"]
    if campaign.get("schedule_type") == "scheduled":
        from airflow_provider_bm.campaigns.schedule_words import schedule_in_words

        words.append(_show(schedule_in_words(campaign)))
    if last:
        words.append(f"{'sent' if status == 'finished' else 'last execution'} at {_in_utc(last, today)}")
    else:
        words.append("never sent" if status == "finished" else "not sent yet")
    if following:
        words.append(f"next execution at {_in_utc(following, today)}")
    elif last or status == "finished":
        words.append("no further execution")
    return ", ".join(words)


def _in_utc(value: object, today: date) -> str:
    """Return a time of the API for people, without the date if it is today."""
    try:
        moment = read_time(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return _show(value)
    return f"{moment:%H:%M:%S} UTC" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _decide_execution(
    campaign: Mapping[str, Any], status: str, wanted: datetime, failed_status: tuple[str, ...]
) -> Verdict:
    seen = f"({describe(campaign)})"
    last = last_execution(campaign)
    if last is not None and last >= wanted:
        reason = f"{_subject(campaign)} executed at {_iso(last)}, at or after {_iso(wanted)} {seen}."
        return Verdict(state="done", reason=reason)
    before = f"its last execution was at {_iso(last)}" if last is not None else "it has never executed"
    if status == "finished":
        reason = (
            f"{_subject(campaign)} finished without executing at or after {_iso(wanted)}; {before} {seen}."
        )
        return Verdict(state="failed", reason=reason)
    if status in failed_status:
        subject = _subject(campaign)
        reason = f"{subject} is {status}, and did not execute at or after {_iso(wanted)}; {before} {seen}."
        return Verdict(state="failed", reason=reason)
    return _waiting(campaign, f"to execute at or after {_iso(wanted)}", seen)


def _waiting(campaign: Mapping[str, Any], what: str, seen: str) -> Verdict:
    subject = _subject(campaign)
    if campaign["status"] == "draft":
        reason = f"{subject} is a draft: waiting for a person to activate it, and then for it {what} {seen}."
    else:
        reason = f"{subject} is {campaign['status']}: waiting for it {what} {seen}."
    return Verdict(state="waiting", reason=reason)


def _subject(campaign: Mapping[str, Any]) -> str:
    uuid = campaign.get("uuid")
    return f"Campaign {campaign_label(uuid, campaign)}" if isinstance(uuid, str) else "The campaign"


def last_execution(campaign: Mapping[str, Any]) -> datetime | None:
    """Return a campaign's ``last_dt`` in UTC, or None if it has not executed.

    :raises BMResponseError: ``last_dt`` is not a time
    """
    value = campaign.get("last_dt")
    if value is None or value == "":
        return None
    try:
        return read_time(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = (
            f"{_subject(campaign)}: its last_dt is {truncated_repr(value)}, which is not a time: {error}"
        )
        raise BMResponseError(message) from None


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _show(value: object) -> str:
    if value is None or value == "":
        return "none"
    text = " ".join(value.split()) if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
