"""Checks before a campaign is activated: age of the run, send windows, rules, lists and variables.

The client's session checks the requests. The checks here need the context: the DAG run, and the
content of the campaign that is cloned or activated.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_bm.campaigns import SendWindow
    from airflow_provider_bm.client import BMSettings
    from airflow_provider_bm.exceptions import BMPayloadError, Problem

log = logging.getLogger(__name__)


class _ConfiguredMaxAge(timedelta):
    """The default of ``max_age``: the configured value, or a day."""


DEFAULT_MAX_AGE: Final = _ConfiguredMaxAge(days=1)
#: ``str()`` of a timedelta, as a template renders it.
_TIMEDELTA = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)")
#: Run types that the scheduler creates, for a time that may be long ago.
_SCHEDULED_RUNS: Final = ("scheduled", "backfill")


def parse_max_age(value: Any) -> timedelta | None:
    """Return ``max_age`` as a timedelta; None: off.

    :param value: a timedelta, seconds, or the text of one of these
    :raises BMPayloadError: it is something else, or not positive
    """
    from airflow_provider_bm.exceptions import BMPayloadError, Problem

    if value is None:
        return None
    age = value
    if isinstance(value, str):
        match = _TIMEDELTA.fullmatch(value.strip())
        if match is not None:
            days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
            age = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        else:
            try:
                age = float(value)
            except ValueError:
                age = None
    if isinstance(age, (int, float)) and not isinstance(age, bool) and 0 < age < 10**9:
        age = timedelta(seconds=age)
    if not isinstance(age, timedelta) or age <= timedelta(0):
        problem = Problem("max_age", value, "must be a timedelta, a number of seconds above 0, or None")
        raise BMPayloadError([problem], "arguments")
    return age


@dataclass(kw_only=True)
class SendGuards:
    """The checks of one task before it activates a campaign.

    :param settings: of the connection
    :param context: of the task
    :param max_age: age of the run up to which the campaign may be activated; None: any
    :param on_stale: ``fail`` or ``skip``
    :param send_window: the task's window; the connection's window applies as well
    :param allow_immediate: accept a recurring rule that fires as soon as it is saved
    :param allowed_variables: variables that the server fills, besides contact fields
    :param on_unknown_variable: ``fail`` or ``warn``
    :param reviewed_at: when a person approved the campaign: ``max_age`` counts from then; None: from the
        time that the run is for
    :param local_now: time of this machine; None: the current time
    :ivar scheduled_for: the opening of the window to which the campaign was scheduled
    """

    settings: BMSettings
    context: Context
    max_age: Any = DEFAULT_MAX_AGE
    on_stale: str = "fail"
    send_window: SendWindow | Mapping[str, Any] | str | None = None
    allow_immediate: bool = False
    allowed_variables: str | Iterable[str] = ()
    on_unknown_variable: str = "fail"
    reviewed_at: datetime | None = None
    local_now: datetime | None = None
    scheduled_for: datetime | None = field(default=None, init=False)

    def check(self, campaign: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
        """Check a campaign that is about to be activated.

        :param campaign: its future content: the source or draft with the changes
        :param now: current time, by the server's clock if it is known; None: by this machine's
        :return: the fields to change so that it goes out when the window opens; usually none
        :raises AirflowFailException: it must not be activated now
        :raises AirflowSkipException: the same, with ``on_stale="skip"`` or a window that skips
        :raises BMPayloadError: its content must not be sent
        """
        now = now or datetime.now(UTC)
        self.check_lists(campaign)
        self._check_immediate(campaign, now)
        changes = self._check_windows(campaign, now)
        # The time of the run is by Airflow's clock: a server whose clock is slow must not hide its age.
        self._check_age(max(self.scheduled_for or now, self.local_now or datetime.now(UTC)))
        return changes

    def check_post(self, campaign: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
        """Check a campaign that is about to be created, see :meth:`check`.

        :return: the fields to send besides. If the connection has a window, its schedule is among them: the
            session refuses a clone whose schedule is not in the request.
        """
        changes = self.check(campaign, now)
        if self.settings.send_window is None:
            return changes
        schedule = {
            name: campaign[name] for name in ("schedule_type", "schedule_rrule") if campaign.get(name)
        }
        return {**schedule, **changes}

    def check_variables(
        self, campaign: Mapping[str, Any], template_vars: Mapping[str, Any] | None, *, sends: bool
    ) -> None:
        """Check that each variable of a text is filled, and that each of ``template_vars`` occurs.

        :param sends: False for a draft, whose variables may be filled later
        :raises BMPayloadError: naming each variable, unless ``on_unknown_variable="warn"``
        """
        from airflow_provider_bm.campaigns.problems import did_you_mean
        from airflow_provider_bm.campaigns.variables import unfilled_variables, unused_variables, variables_in
        from airflow_provider_bm.exceptions import Problem

        allowed, warns = self.server_variables, self.on_unknown_variable == "warn"
        advice = "" if warns else ". Remove it, or set on_unknown_variable='warn'"
        problems = [
            Problem(
                f"template_vars.{name}",
                (template_vars or {})[name],
                f"the text has no variable {{{name}}}{did_you_mean(name, variables_in(campaign))}{advice}",
            )
            for name in unused_variables(campaign, template_vars)
        ]
        if sends:
            from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS

            known = (*CONTACT_FIELDS, *(template_vars or ()), *allowed)
            problems += [
                Problem(
                    "template",
                    f"{{{name}}}",
                    "is not filled: add it to template_vars, or to allowed_variables if the server fills it"
                    f"{did_you_mean(name, known)}",
                )
                for name in unfilled_variables(campaign, template_vars, allowed)
            ]
        if problems and warns:
            for problem in problems:
                log.warning("%s", problem)
        elif problems:
            raise _refusal(campaign, *problems)

    @property
    def server_variables(self) -> tuple[str, ...]:
        """Names of the variables that the server fills, besides contact fields.

        :raises BMPayloadError: ``allowed_variables`` are not names
        """
        from airflow_provider_bm.client.connection import read_variables
        from airflow_provider_bm.exceptions import BMPayloadError, Problem

        try:
            own = read_variables(self.allowed_variables)
        except ValueError as error:
            problem = Problem("allowed_variables", self.allowed_variables, str(error))
            raise BMPayloadError([problem], "arguments") from None
        return (*own, *self.settings.allowed_variables)

    def check_lists(self, campaign: Mapping[str, Any]) -> None:
        """Check that a campaign only goes to ``allowed_recipient_lists``.

        :raises BMPayloadError: it goes to another list, or its lists are unknown
        """
        allowed = self.settings.allowed_recipient_lists
        if allowed is None:
            return
        from airflow_provider_bm.exceptions import Problem

        value = campaign.get("recipient_lists")
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else []
        lists = [str(part).strip().lower() for part in parts if str(part).strip()]
        others = [each for each in lists if each not in allowed]
        if lists and not others:
            return
        permitted = ", ".join(allowed) or "none"
        expected = f"is not among allowed_recipient_lists of the connection or of [bm]: {permitted}"
        problems = [Problem("recipient_lists", each, expected) for each in others]
        raise _refusal(campaign, *(problems or [Problem("recipient_lists", value, expected)]))

    def _check_immediate(self, campaign: Mapping[str, Any], now: datetime) -> None:
        """Refuse a schedule that may send at once although another time was intended."""
        kind, rule = campaign.get("schedule_type"), str(campaign.get("schedule_rrule") or "")
        if self.allow_immediate or kind == "now" or not (kind or rule):
            return
        from airflow_provider_bm.campaigns.executions import fires_immediately
        from airflow_provider_bm.campaigns.schedule import read_once
        from airflow_provider_bm.exceptions import Problem

        try:
            if kind == "scheduled":
                immediate = fires_immediately(rule, now)
                expected = (
                    "may fire as soon as it is saved. Set a time, such as "
                    "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0, or set allow_immediate=True"
                )
            elif kind == "once":
                immediate = read_once(rule) <= now
                expected = (
                    "is in the past, and may send at once. Set a later time, or set allow_immediate=True"
                )
            else:
                raise ValueError(f"schedule_type={kind!r} must be now, once or scheduled")
        except ValueError as error:
            immediate = True
            expected = (
                f"{error}. The campaign may send at once. If that is intended, set allow_immediate=True"
            )
        if immediate:
            raise _refusal(campaign, Problem("schedule_rrule", rule, expected))

    def _check_windows(self, campaign: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        from airflow_provider_bm.campaigns import SendWindow

        own = SendWindow.parse(self.send_window) if self.send_window is not None else None
        windows = [window for window in (own, self.settings.send_window) if window is not None]
        if not windows:
            return {}
        from airflow_provider_bm.campaigns.executions import first_execution_outside
        from airflow_provider_bm.campaigns.schedule import to_utc_text
        from airflow_provider_bm.exceptions import Problem

        kind = campaign.get("schedule_type") or "now"
        if kind != "now":
            for window in windows:
                outside = first_execution_outside(campaign, window, now=now, until=now + timedelta(days=366))
                if outside is not None:
                    expected = (
                        f"its execution at {outside:%Y-%m-%d %H:%M} UTC is outside the send window: {window}"
                    )
                    raise _refusal(
                        campaign, Problem("schedule_rrule", campaign.get("schedule_rrule"), expected)
                    )
            return {}
        closed = [window for window in windows if not window.is_open(now)]
        if not closed:
            return {}
        message = f"The send window is closed: {'; '.join(map(str, closed))}. Nothing was sent."
        policies = {window.on_closed for window in closed}
        if "fail" in policies:
            raise AirflowFailException(f"{message} To send later instead, set on_closed='schedule'.")
        if "skip" in policies:
            raise AirflowSkipException(message)
        self.scheduled_for = opening = _common_opening(windows, now)
        return {"schedule_type": "once", "schedule_rrule": to_utc_text(opening)}

    def _check_age(self, moment: datetime) -> None:
        """Check the age that the run has when the campaign goes out."""
        configured = isinstance(self.max_age, _ConfiguredMaxAge)
        max_age = self.settings.max_age if configured else parse_max_age(self.max_age)
        if max_age is None:
            return
        what, since = (
            ("review", self.reviewed_at) if self.reviewed_at is not None else _time_of_run(self.context)
        )
        if since is None or moment - since <= max_age:
            return
        message = (
            f"The run is too old: its {what} is {since.isoformat()}, more than max_age={max_age} before "
            f"{moment.isoformat(timespec='seconds')}. Nothing was sent. To send for past runs as well, set "
            "max_age=None."
        )
        raise (AirflowSkipException if self.on_stale == "skip" else AirflowFailException)(message)


def _refusal(campaign: Mapping[str, Any], *problems: Problem) -> BMPayloadError:
    """Return the error for a campaign that must not be sent."""
    from airflow_provider_bm.campaigns.labels import name_without_key
    from airflow_provider_bm.exceptions import BMPayloadError, truncated_repr

    name = truncated_repr(name_without_key(str(campaign.get("name"))), 100)
    return BMPayloadError(problems, f"campaign {name}", nothing_sent=True)


def _time_of_run(context: Context) -> tuple[str, datetime | None]:
    """Return the time that a run is for, and what it is called; None if its age does not matter."""
    run: Any = context.get("dag_run")
    kind = getattr(run, "run_type", None)
    kind = str(getattr(kind, "value", kind))
    if run is not None and kind not in (*_SCHEDULED_RUNS, "None"):
        # A person or an event started this run now, but a backfilled parent passes on its logical date.
        return "logical_date", _aware(getattr(run, "logical_date", None))
    for name in ("run_after", "data_interval_end"):
        moment = _aware(getattr(run, name, None) or context.get(name))
        if moment is not None:
            return name, moment
    raise AirflowFailException(
        "The age of the run is unknown: the context has neither run_after nor data_interval_end. Nothing "
        "was sent. To send anyway, set max_age=None."
    )


def start_of_run(context: Context) -> datetime | None:
    """Return the earliest time at which a task of the run can have started; None if unknown."""
    run: Any = context.get("dag_run")
    names = ("start_date", "run_after", "data_interval_end")
    moments = [moment for name in names if (moment := _aware(getattr(run, name, None))) is not None]
    return min(moments, default=None)


def _aware(moment: Any) -> datetime | None:
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _common_opening(windows: Sequence[SendWindow], now: datetime) -> datetime:
    """Return the first time at which all windows are open."""
    moment = now
    for _ in range(100):
        closed = [window for window in windows if not window.is_open(moment)]
        if not closed:
            return moment
        moment = max(window.next_opening(moment) for window in closed)
    raise AirflowFailException(
        f"The send windows are never open at the same time: {'; '.join(map(str, windows))}. Nothing was sent."
    )
