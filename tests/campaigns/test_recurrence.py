from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from airflow_provider_bm.campaigns.recurrence import occurrences
from tests.support.work import little_work

START = datetime(2026, 3, 2, 12, 0, 0, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("FREQ=DAILY;COUNT=2", ["2026-03-02T12:00", "2026-03-03T12:00"]),
        ("rrule:freq=daily;byhour=8;byminute=0;count=1", ["2026-03-03T08:00"]),
        ("FREQ=DAILY;UNTIL=20260303", ["2026-03-02T12:00"]),
        ("FREQ=DAILY;UNTIL=20260303T120000Z;", ["2026-03-02T12:00", "2026-03-03T12:00"]),
        ("FREQ=DAILY;UNTIL=20200101T000000Z", []),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=0;COUNT=1", ["2026-03-27T09:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=2", ["2028-02-29T12:00", "2032-02-29T12:00"]),
        ("DTSTART:20260301T080000Z\nRRULE:FREQ=DAILY;COUNT=3", ["2026-03-03T08:00"]),
        ("DTSTART:20260301T080000\r\nFREQ=DAILY;UNTIL=20260303T080000Z", ["2026-03-03T08:00"]),
        ("DTSTART;TZID=Europe/Zurich:20260328T090000\nRRULE:FREQ=DAILY;COUNT=2",
         ["2026-03-28T08:00", "2026-03-29T07:00"]),
        ("dtstart;tzid=Europe/Zurich:20260328t090000\nrrule:freq=daily;count=2",
         ["2026-03-28T08:00", "2026-03-29T07:00"]),
        ("DTSTART;VALUE=DATE:20260303\nRRULE:FREQ=DAILY;COUNT=1", ["2026-03-03T00:00"]),
        ("DTSTART:20260303\nRRULE:FREQ=DAILY;COUNT=1", ["2026-03-03T00:00"]),
        ("DTSTART;VALUE=DATE-TIME:20260303T080000Z\nRRULE:FREQ=DAILY;COUNT=1", ["2026-03-03T08:00"]),
        # UNTIL is 09:30 there: the zone counts also beside a VALUE.
        ("DTSTART;TZID=Europe/Zurich;VALUE=DATE-TIME:20260303T090000\n"
         "RRULE:FREQ=DAILY;UNTIL=20260304T083000Z", ["2026-03-03T08:00", "2026-03-04T08:00"]),
        ("FREQ=MONTHLY;BYDAY=+5MO;COUNT=1", ["2026-03-30T12:00"]),
    ],
)  # fmt: skip
def test_times_of_a_rule(rule, first):
    assert [f"{moment:%Y-%m-%dT%H:%M}" for moment in islice(occurrences(rule, START), 3)] == first


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        # 02:30 does not exist on 29 March, and is 03:30, which the rule names, too.
        ("20260328T013000\nRRULE:FREQ=DAILY;BYHOUR=2,3;COUNT=6",
         ["28 01:30", "28 02:30", "29 01:30", "30 00:30", "30 01:30"]),
        ("20260329T003000\nRRULE:FREQ=HOURLY;COUNT=5", ["28 23:30", "29 00:30", "29 01:30", "29 02:30"]),
        ("20260329T013000\nRRULE:FREQ=MINUTELY;INTERVAL=25;COUNT=8",
         ["29 00:30", "29 00:55", "29 01:10", "29 01:20", "29 01:35", "29 01:45", "29 02:00", "29 02:25"]),
        ("20261024T023000\nRRULE:FREQ=DAILY;COUNT=3", ["24 00:30", "25 00:30", "26 01:30"]),
    ],
)  # fmt: skip
def test_times_where_clocks_change(rule, times):
    found = occurrences("DTSTART;TZID=Europe/Zurich:" + rule, START)
    assert [f"{moment:%d %H:%M}" for moment in found] == times


#: The examples of RFC 5545, 3.8.5.3, all in America/New_York: start, rule, and the first occurrences as
#: month-day, with a year or a time of day where it is needed.
RFC_EXAMPLES = [
    ("19970902", "FREQ=DAILY;COUNT=10", "9-2 9-3 9-4 9-5 9-6 9-7 9-8 9-9 9-10 9-11 end"),
    ("19970902", "FREQ=DAILY;UNTIL=19971224T000000Z", "9-2 9-3 9-4"),
    ("19970902", "FREQ=DAILY;INTERVAL=2", "9-2 9-4 9-6 9-8"),
    ("19970902", "FREQ=DAILY;INTERVAL=10;COUNT=5", "9-2 9-12 9-22 10-2 10-12 end"),
    ("19980101", "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA", "1-1 1-2 1-3"),
    ("19980101", "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1", "1-1 1-2 1-3"),
    ("19970902", "FREQ=WEEKLY;COUNT=10", "9-2 9-9 9-16 9-23 9-30 10-7 10-14 10-21 10-28 11-4 end"),
    ("19970902", "FREQ=WEEKLY;UNTIL=19971224T000000Z", "9-2 9-9 9-16 9-23 9-30 10-7"),
    ("19970902", "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
     "9-2 9-16 9-30 10-14 10-28 11-11 11-25 12-9 12-23 1-6 1-20 2-3 2-17"),
    ("19970902", "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
     "9-2 9-4 9-9 9-11 9-16 9-18 9-23 9-25 9-30 10-2 end"),
    ("19970902", "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
     "9-2 9-4 9-9 9-11 9-16 9-18 9-23 9-25 9-30 10-2 end"),
    ("19970901", "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
     "9-1 9-3 9-5 9-15 9-17 9-19 9-29 10-1 10-3 10-13 10-15 10-17 10-27 10-29 10-31 11-10 11-12 11-14 "
     "11-24 11-26 11-28 12-8 12-10 12-12 12-22 end"),
    ("19970902", "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
     "9-2 9-4 9-16 9-18 9-30 10-2 10-14 10-16 end"),
    ("19970905", "FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "9-5 10-3 11-7 12-5 1-2 2-6 3-6 4-3 5-1 6-5 end"),
    ("19970905", "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR", "9-5 10-3 11-7 12-5 end"),
    ("19970907", "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
     "9-7 9-28 11-2 11-30 1-4 1-25 3-1 3-29 5-3 5-31 end"),
    ("19970922", "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "9-22 10-20 11-17 12-22 1-19 2-16 end"),
    ("19970928", "FREQ=MONTHLY;BYMONTHDAY=-3", "9-28 10-29 11-28 12-29 1-29 2-26"),
    ("19970902", "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
     "9-2 9-15 10-2 10-15 11-2 11-15 12-2 12-15 1-2 1-15 end"),
    ("19970930", "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
     "9-30 10-1 10-31 11-1 11-30 12-1 12-31 1-1 1-31 2-1 end"),
    ("19970910", "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
     "1997-9-10 9-11 9-12 9-13 9-14 9-15 1999-3-10 3-11 3-12 3-13 end"),
    ("19970902", "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
     "9-2 9-9 9-16 9-23 9-30 11-4 11-11 11-18 11-25 1-6 1-13 1-20 1-27 3-3 3-10 3-17 3-24 3-31"),
    ("19970610", "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
     "6-10 7-10 6-10 7-10 6-10 7-10 6-10 7-10 6-10 2001-7-10 end"),
    ("19970310", "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
     "1997-3-10 1999-1-10 2-10 3-10 2001-1-10 2-10 3-10 2003-1-10 2-10 3-10 end"),
    ("19970101", "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
     "1997-1-1 4-10 7-19 2000-1-1 4-9 7-18 2003-1-1 4-10 7-19 2006-1-1 end"),
    ("19970519", "FREQ=YEARLY;BYDAY=20MO", "1997-5-19 1998-5-18 1999-5-17"),
    ("19970512", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-5-12 1998-5-11 1999-5-17"),
    ("19970313", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
     "1997-3-13 3-20 3-27 1998-3-5 3-12 3-19 3-26 1999-3-4 3-11 3-18 3-25"),
    ("19970605", "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
     "6-5 6-12 6-19 6-26 7-3 7-10 7-17 7-24 7-31 8-7 8-14 8-21 8-28 1998-6-4 6-11"),
    ("19970902", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-2-13 3-13 11-13 1999-8-13 2000-10-13"),
    ("19970913", "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
     "9-13 10-11 11-8 12-13 1-10 2-7 3-7 4-11 5-9 6-13"),
    ("19961105", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
     "1996-11-5 2000-11-7 2004-11-2"),
    ("19970904", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "9-4 10-7 11-6 end"),
    ("19970929", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "9-29 10-30 11-27 12-30 1-29 2-26 3-30"),
    # The RFC lists 15:00, too, which is after this UNTIL; see its erratum 3883.
    ("19970902", "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z", "09:00 12:00 end"),
    ("19970902", "FREQ=MINUTELY;INTERVAL=15;COUNT=6", "09:00 09:15 09:30 09:45 10:00 10:15 end"),
    ("19970902", "FREQ=MINUTELY;INTERVAL=90;COUNT=4", "09:00 10:30 12:00 13:30 end"),
    ("19970902", "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40", "09:00 09:20 09:40 10:00"),
    ("19970902", "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16", "09:00 09:20 09:40 10:00"),
    ("19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "8-5 8-10 8-19 8-24 end"),
    ("19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "8-5 8-17 8-19 8-31 end"),
    ("20070115", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "1-15 1-30 2-15 3-15 3-30 end"),
]  # fmt: skip


@pytest.mark.parametrize(("start", "rule", "expected"), RFC_EXAMPLES)
def test_examples_of_the_rfc(start, rule, expected):
    assert len(RFC_EXAMPLES) == 42
    found = occurrences(
        f"DTSTART;TZID=America/New_York:{start}T090000\nRRULE:{rule}", datetime(1990, 1, 1, tzinfo=UTC)
    )
    for text in expected.split():
        moment = next(found, None)
        if text == "end":
            assert moment is None
            continue
        assert moment is not None
        local = moment.astimezone(ZoneInfo("America/New_York"))
        short = f"{local.month}-{local.day}"
        assert text in (f"{local:%H:%M}", short, f"{local.year}-{short}")


def test_both_ways_to_write_every_day_in_january():
    rules = [rule for start, rule, _ in RFC_EXAMPLES if start == "19980101"]
    zone = "DTSTART;TZID=America/New_York:19980101T090000\nRRULE:"
    first, second = (list(occurrences(zone + rule, datetime(1990, 1, 1, tzinfo=UTC))) for rule in rules)
    assert first == second
    assert len(first) == 93


def random_rule(choice: random.Random) -> str:
    def numbers(least: int, most: int) -> str:
        found = {choice.randint(least, most) or 1 for _ in range(choice.randint(1, 3))}
        return ",".join(str(number) for number in sorted(found))

    def maybe(part: str, value: str, probability: float) -> list[str]:
        return [f"{part}={value}"] if choice.random() < probability else []

    frequency = choice.choice(("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"))
    parts = [f"FREQ={frequency}", *maybe("INTERVAL", str(choice.choice((1, 2, 3, 5, 7, 30))), 0.5)]
    parts += maybe("BYMONTH", numbers(1, 12), 0.3)
    if frequency != "WEEKLY":
        parts += maybe("BYMONTHDAY", numbers(-31, 31), 0.3)
    if frequency not in ("DAILY", "WEEKLY", "MONTHLY"):
        parts += maybe("BYYEARDAY", numbers(-366, 366), 0.2)
    weeks = maybe("BYWEEKNO", numbers(-51, 53), 0.25) if frequency == "YEARLY" else []
    sign = (
        choice.choice(("", "1", "-1", "+3", "5")) if frequency in ("MONTHLY", "YEARLY") and not weeks else ""
    )
    days = choice.sample(("MO", "TU", "WE", "TH", "FR", "SA", "SU"), choice.randint(1, 3))
    parts += weeks + maybe("BYDAY", ",".join(sign + day for day in days), 0.4)
    parts += maybe("BYHOUR", numbers(0, 23), 0.3) + maybe("BYMINUTE", numbers(0, 59), 0.3)
    parts += maybe("BYSECOND", numbers(0, 59), 0.2) + maybe("WKST", days[0], 0.3)
    if frequency in ("MONTHLY", "YEARLY") and any(part.startswith("BY") for part in parts):
        parts += maybe("BYSETPOS", numbers(-3, 3), 0.3)
    return ";".join(parts + maybe("COUNT", str(choice.randint(1, 9)), 0.2))


@pytest.mark.parametrize("seed", range(3))
def test_random_rules_agree_with_dateutil(seed):
    choice = random.Random(seed)
    compared = 0
    for _ in range(100):
        rule = random_rule(choice)
        until = START + timedelta(days=12 * 365)
        found = [moment for moment in islice(occurrences(rule, START), 10) if moment < until]
        if not found:
            continue  # dateutil may search for such a rule until the year 9999
        oracle = rrulestr(rule, dtstart=START.replace(microsecond=0))
        assert found == [moment for moment in islice(oracle, 10) if moment < until], rule
        compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=MONTHLY;BYDAY=WE,1FR", ["03-04", "03-06", "03-11", "03-18"]),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", ["03-02", "03-09", "03-16", "03-23"]),
        ("FREQ=HOURLY;INTERVAL=6;BYHOUR=6,18", ["03-02", "03-03", "03-03", "03-04"]),
        ("FREQ=HOURLY;INTERVAL=6;BYHOUR=8,14,20", []),
        ("FREQ=MINUTELY;INTERVAL=30;BYMINUTE=15,45", []),
        ("FREQ=DAILY;BYHOUR=8,9,10;BYMINUTE=0;BYSETPOS=-1", ["03-03", "03-04", "03-05", "03-06"]),
        ("FREQ=DAILY;BYSECOND=59,60", ["03-02", "03-03", "03-04", "03-05"]),
    ],
)
def test_rules_that_dateutil_does_not_understand(rule, expected):
    assert [f"{moment:%m-%d}" for moment in islice(occurrences(rule, START), 4)] == expected


@pytest.mark.parametrize(
    ("rule", "fires"),
    [
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", False),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=1", False),
        ("FREQ=MINUTELY;BYDAY=MO;BYMONTH=2;BYMONTHDAY=31", False),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;UNTIL=99991231T235959Z", False),
        ("FREQ=SECONDLY;BYSETPOS=5;BYMINUTE=1", False),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9", False),
        ("FREQ=SECONDLY;INTERVAL=2;BYSECOND=1", False),
        ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", True),
        ("FREQ=SECONDLY;INTERVAL=999983;BYHOUR=3;BYMINUTE=3", True),
        ("DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY", True),
        ("DTSTART:00010101T000000Z\nRRULE:FREQ=MINUTELY;INTERVAL=7", True),
        ("DTSTART:99990101T000000Z\nRRULE:FREQ=DAILY", False),
    ],
)
def test_costly_rules(rule, fires):
    with little_work():
        assert (next(occurrences(rule, START), None) is not None) is fires


def test_too_many_occurrences_in_the_past():
    rule = "DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY;COUNT=1000000"
    with little_work(), pytest.raises(ValueError, match="more than 100000 of the occurrences"):
        occurrences(rule, START)
