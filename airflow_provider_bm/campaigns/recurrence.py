"""Occurrences of a recurrence rule (RFC 5545, 3.3.10).

Tests compare the results with dateutil. It is not used here: it searches forever for some rules that never
fire, rejects valid rules whose start is not an occurrence, and requires days to match both parts of
``BYDAY=MO,1FR``.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush
from itertools import chain, islice, takewhile
from math import gcd
from typing import Final
from zoneinfo import ZoneInfo

from airflow_provider_bm.campaigns.rrule import WEEKDAYS, Rule, parse_rule, parse_time

#: Maximum past occurrences of a rule with COUNT; they are counted from its start.
MAX_PAST: Final = 100_000
#: A rule without an occurrence in this number of days never fires. The longest gap in the calendar is 40
#: years: between 29 February on the same weekday, around 2100.
_HORIZON: Final = 100 * 366
_LAST_DAY: Final = date.max.toordinal() - 366
#: Clocks go forward or back by at most two hours.
_MAX_CLOCK_CHANGE: Final = timedelta(hours=2)
#: Frequencies below a day, and their length in seconds.
_SECONDS: Final = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
_DAY: Final = 24 * 3600


def occurrences(text: str, start: datetime) -> Iterator[datetime]:
    """Return the times at which a rule fires, from a given time on, in UTC and in ascending order.

    A rule without ``DTSTART`` starts at that time. Floating times are in UTC. A local time that a clock
    change skips is interpreted with the offset before the change, as the RFC requires. A repeated local time
    counts once. The iterator ends if the rule does not fire for a century.

    :param text: the rule, see :func:`~airflow_provider_bm.campaigns.rrule.check_rule`
    :param start: an aware datetime
    :raises ValueError: the rule is invalid, or has a COUNT and more than 100,000 occurrences in the past
    """
    rule = parse_rule(text, from_server=True)
    zone = ZoneInfo(rule.zone or "UTC")
    since = start.astimezone(UTC).replace(microsecond=0)
    first = rule.start if rule.start is not None else since.replace(tzinfo=None)
    count, until = rule.parts.get("COUNT"), rule.parts.get("UNTIL")
    # Without a COUNT, past occurrences are not needed, except for local times that occur twice.
    now = since.astimezone(zone).replace(tzinfo=None) - (_MAX_CLOCK_CHANGE if rule.zone else timedelta())
    begin = first if count else max(first, now)
    local: Iterator[datetime] = islice(_local_times(rule, first, begin), int(count) if count else None)
    if until and not until.endswith("Z"):
        last = parse_time(until)
        local = takewhile(lambda moment: moment <= last, local)
    times = _in_order(moment.replace(tzinfo=zone).astimezone(UTC) for moment in local)
    if until and until.endswith("Z"):
        last_utc = parse_time(until).replace(tzinfo=UTC)
        times = takewhile(lambda moment: moment <= last_utc, times)
    for past, moment in enumerate(times):
        if moment >= since:
            return chain((moment,), times)
        if count and past >= MAX_PAST:
            raise ValueError(f"more than {MAX_PAST} of the occurrences in its COUNT are in the past")
    return iter(())


def _local_times(rule: Rule, first: datetime, begin: datetime) -> Iterator[datetime]:
    """Return the local times of a rule that starts at ``first``, from ``begin`` on."""
    positions = rule.numbers("BYSETPOS")
    sets = _sets_within_days if rule.parts["FREQ"] in _SECONDS else _sets_of_days
    latest = begin.toordinal()
    for ordinal, days, seconds in sets(rule, first, begin):
        if ordinal > latest + _HORIZON:
            return
        for day, second in _select(days, seconds, positions if sets is _sets_of_days else []):
            moment = datetime.combine(day, time.min) + timedelta(seconds=second)
            if moment >= begin:
                latest = ordinal
                yield moment


#: The first day of a period, its matching days, and the times on each, in seconds since midnight.
_Set = tuple[int, Sequence[date], Sequence[int]]


def _sets_of_days(rule: Rule, first: datetime, begin: datetime) -> Iterator[_Set]:
    """Return the set of each day, week, month or year."""
    fits = _day_filter(rule, first)
    hours, minutes, seconds = _time_lists(rule, first)
    times = [hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds]
    for ordinal, length in _periods(rule, first, begin):
        days = map(date.fromordinal, range(ordinal, ordinal + length))
        yield ordinal, [day for day in days if fits(day)], times


def _sets_within_days(rule: Rule, first: datetime, begin: datetime) -> Iterator[_Set]:
    """Return the set of each hour, minute or second."""
    fits = _day_filter(rule, first)
    unit, interval = _SECONDS[rule.parts["FREQ"]], int(rule.parts.get("INTERVAL", 1))
    hours, minutes, seconds = _time_lists(rule, first)
    within = [0]
    if unit > 1:
        within = [minute * 60 + second for minute in (minutes if unit > 60 else [0]) for second in seconds]
        within = [second for _, second in _select([first], within, rule.numbers("BYSETPOS"))]
    elif rule.numbers("BYSETPOS") and not {1, -1} & {*rule.numbers("BYSETPOS")}:
        within = []
    per_day = _DAY // unit
    base = first.toordinal() * per_day + (first.hour * 3600 + first.minute * 60 + first.second) // unit
    # Hours, minutes or seconds of a day that match the rule, and that its interval can reach.
    divisor = gcd(per_day, interval)
    slots = [
        (hour * 3600 + minute * 60 + second) // unit
        for hour in hours
        for minute in (minutes if unit <= 60 else [0])
        for second in (seconds if unit == 1 else [0])
    ]
    slots = [slot for slot in slots if (slot - base) % divisor == 0]
    if not slots or not within:
        return
    for ordinal in range(begin.toordinal(), _LAST_DAY):
        day = date.fromordinal(ordinal)
        if not fits(day):
            yield ordinal, (), ()
            continue
        due = [slot for slot in slots if (ordinal * per_day + slot - base) % interval == 0]
        for slot in due:
            yield ordinal, (day,), [slot * unit + second for second in within]
        if not due:
            yield ordinal, (), ()


def _time_lists(rule: Rule, first: datetime) -> tuple[list[int], list[int], list[int]]:
    """Return a rule's hours, minutes and seconds. A missing part means all, or is taken from its start."""
    unit = _SECONDS.get(rule.parts["FREQ"], _DAY)
    hours = rule.numbers("BYHOUR") or ([first.hour] if unit > 3600 else list(range(24)))
    minutes = rule.numbers("BYMINUTE") or ([first.minute] if unit > 60 else list(range(60)))
    seconds = rule.numbers("BYSECOND") or ([first.second] if unit > 1 else list(range(60)))
    # A leap second counts as the one before (RFC 5545, 3.3.12).
    return hours, minutes, sorted({min(second, 59) for second in seconds})


def _select(days: Sequence[date], seconds: Sequence[int], positions: list[int]) -> Iterator[tuple[date, int]]:
    """Return all of a set, or its members at the given positions, which count from 1 or from the end."""
    if not positions:
        yield from ((day, second) for day in days for second in seconds)
        return
    size = len(days) * len(seconds)
    indexes = {position - 1 if position > 0 else size + position for position in positions}
    for index in sorted(indexes & {*range(size)} if size < len(indexes) else indexes):
        if 0 <= index < size:
            yield days[index // len(seconds)], seconds[index % len(seconds)]


def _periods(rule: Rule, first: datetime, begin: datetime) -> Iterator[tuple[int, int]]:
    """Return the first day and the length of each period of the rule, starting with that of ``begin``."""
    frequency, interval = rule.parts["FREQ"], int(rule.parts.get("INTERVAL", 1))
    if frequency in ("DAILY", "WEEKLY"):
        length = 1 if frequency == "DAILY" else 7
        ordinal = first.toordinal()
        if length == 7:
            ordinal -= (first.weekday() - _week_start(rule)) % 7
        step = length * interval
        ordinal += (begin.toordinal() - ordinal) // step * step
        for start in range(ordinal, _LAST_DAY, step):
            yield start, length
        return
    months = 12 if frequency == "YEARLY" else 1
    index = first.year * 12 + (0 if months == 12 else first.month - 1)
    step = months * interval
    index += (begin.year * 12 + begin.month - 1 - index) // step * step
    for month in range(index, date.max.year * 12, step):
        start = date(*_year_and_month(month)).toordinal()
        yield start, date(*_year_and_month(month + months)).toordinal() - start


def _year_and_month(index: int) -> tuple[int, int, int]:
    return index // 12, index % 12 + 1, 1


def _week_start(rule: Rule) -> int:
    return WEEKDAYS.index(rule.parts.get("WKST", "MO"))


def _day_filter(rule: Rule, first: datetime) -> Callable[[date], bool]:
    """Return a function that checks whether a day matches. Missing parts are taken from the rule's start."""
    frequency = rule.parts["FREQ"]
    months, month_days = {*rule.numbers("BYMONTH")}, {*rule.numbers("BYMONTHDAY")}
    year_days, weeks = {*rule.numbers("BYYEARDAY")}, {*rule.numbers("BYWEEKNO")}
    weekdays = {
        (int(number or 0), WEEKDAYS.index(name))
        for number, name in re.findall(r"([+-]?\d*)([A-Z]{2})", rule.parts.get("BYDAY", ""))
    }
    days_in_year = frequency == "YEARLY" and not months
    week_start = _week_start(rule)
    if not (month_days or year_days or weeks or weekdays):
        if frequency == "WEEKLY":
            weekdays = {(0, first.weekday())}
        elif frequency in ("MONTHLY", "YEARLY"):
            month_days = {first.day}
            if frequency == "YEARLY":
                months = months or {first.month}

    def fits(day: date) -> bool:
        if months and day.month not in months:
            return False
        if month_days and not month_days & {day.day, day.day - monthrange(day.year, day.month)[1] - 1}:
            return False
        if year_days or days_in_year:
            of_year, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
            if year_days and not year_days & {of_year, of_year - length - 1}:
                return False
        if weeks and not weeks & _week_numbers(day, week_start):
            return False
        weekday = day.weekday()
        if not weekdays or (0, weekday) in weekdays:
            return True
        if not days_in_year:
            of_year, length = day.day, monthrange(day.year, day.month)[1]
        numbers = (of_year - 1) // 7 + 1, -((length - of_year) // 7 + 1)
        return any((number, weekday) in weekdays for number in numbers)

    return fits


def _week_numbers(day: date, week_start: int) -> set[int]:
    """Return the number of a day's week, from the beginning and from the end of the year it belongs to."""
    # The week belongs to the year of its fourth day (RFC 5545, BYWEEKNO).
    fourth = day - timedelta(days=(day.weekday() - week_start) % 7 - 3)
    of_year, length = fourth.timetuple().tm_yday, 366 if isleap(fourth.year) else 365
    return {(of_year - 1) // 7 + 1, -((length - of_year) // 7 + 1)}


def _in_order(times: Iterator[datetime]) -> Iterator[datetime]:
    """Return each time once and in order.

    When clocks go forward, a skipped local time maps to a later one, which may be an occurrence as well.
    """
    waiting: list[datetime] = []
    latest = last = datetime.min.replace(tzinfo=UTC)
    for moment in chain(times, (None,)):
        if moment is not None:
            heappush(waiting, moment)
            latest = max(latest, moment)
        while waiting and (moment is None or waiting[0] + _MAX_CLOCK_CHANGE < latest):
            following = heappop(waiting)
            if following > last:
                yield following
                last = following
