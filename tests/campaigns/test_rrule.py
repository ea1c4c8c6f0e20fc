from __future__ import annotations

import re

import pytest

from airflow_provider_bm.campaigns.cron import rule_from_cron
from airflow_provider_bm.campaigns.rrule import check_rule
from tests.campaigns.samples import INVALID_PARTS, INVALID_STARTS


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY",
        "RRULE:FREQ=DAILY",
        "rrule:freq=daily;byhour=8",
        "BYHOUR=8;FREQ=DAILY",
        "FREQ=HOURLY;INTERVAL=6;BYHOUR=8,14,20",
        "FREQ=MINUTELY;INTERVAL=30;BYMINUTE=15,45",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1",
        "FREQ=DAILY;BYHOUR=8,9;BYSETPOS=1",
        "FREQ=MONTHLY;BYDAY=+5MO,-5FR",
        "FREQ=YEARLY;BYDAY=53MO",
        "FREQ=YEARLY;BYYEARDAY=+100,-366",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
        "FREQ=SECONDLY;BYSECOND=0,60",
        "FREQ=DAILY;UNTIL=20240501",
        "FREQ=DAILY;UNTIL=20240501T000000",
        "FREQ=DAILY;UNTIL=20240501T000000Z",
        "RRULE:FREQ=DAILY\nDTSTART:20240501T080000Z",
        "DTSTART;VALUE=DATE:20240501\nRRULE:FREQ=WEEKLY;UNTIL=20240601",
        "DTSTART:20240501T080000\r\nRRULE:FREQ=WEEKLY;UNTIL=20240601T000000\r\n",
        "DTSTART;TZID=Europe/Zurich;VALUE=DATE-TIME:20240501T080000\nRRULE:FREQ=WEEKLY;UNTIL=20240601T000000Z",
    ],
)
def test_valid_rules(rule: str) -> None:
    check_rule(rule)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "one rule with a FREQ"),
        ("every day", "one RRULE"),
        ("FREQ=OFTEN", "FREQ must be one of SECONDLY, "),
        ("INTERVAL=2", "no FREQ"),
        ("FREQ=DAILY;FREQ=WEEKLY", "FREQ occurs twice"),
        ("FREQ=DAILY;BYHOUR=8;BYHOUR=9", "BYHOUR occurs twice"),
        ("FREQ=DAILY\nFREQ=WEEKLY", "one rule"),
        ("RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "one rule"),
        ("DTSTART:20240501T080000Z\nDTSTART:20240501T080000Z\nFREQ=DAILY", "one DTSTART"),
        ("DTSTART:20240501T080000Z", "one rule with a FREQ"),
        ("RRULE:FREQ=DAILY\nEXDATE:20260303T120000Z", "EXDATE is not supported"),
        ("EXRULE:FREQ=DAILY", "EXRULE is not supported"),
        ("RDATE:20240501T080000Z", "RDATE is not supported"),
        ("FREQ=DAILY;BYWEEKDAY=MO", "no part BYWEEKDAY; use BYDAY"),
        ("FREQ=YEARLY;BYEASTER=0", "no part BYEASTER"),
        ("BYWEEKDAY=MO;FREQ=DAILY", "no part BYWEEKDAY; use BYDAY"),
        ("FREQ=DAILY;BYHUOR=8", "no part BYHUOR; did you mean 'BYHOUR'"),
        ("FREQ=DAILY;", "an extra semicolon"),
        ("FREQ=DAILY;;BYHOUR=8", "an extra semicolon"),
        ("FREQ=DAILY;BYHOUR", "BYHOUR is not a part such as"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a positive number"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL must be a positive number"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be a positive number"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20300101T000000Z", "exclude each other"),
        ("FREQ=DAILY;UNTIL=20261301T000000Z", "UNTIL: there is no 20261301T000000Z"),
        ("FREQ=DAILY;UNTIL=", "UNTIL must be"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH must be numbers from 1 to 12"),
        ("FREQ=YEARLY;BYMONTHDAY=24;BYMONTH=0", "BYMONTH must be numbers from 1 to 12"),
        ("FREQ=DAILY;BYMONTHDAY=32", "BYMONTHDAY must be numbers from 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be numbers other than 0"),
        ("FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY must be"),
        ("FREQ=YEARLY;BYYEARDAY=-0", "BYYEARDAY must be"),
        ("FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO must be"),
        ("FREQ=YEARLY;BYWEEKNO=0", "BYWEEKNO must be"),
        ("FREQ=HOURLY;BYHOUR=24", "BYHOUR must be numbers from 0 to 23"),
        ("FREQ=HOURLY;BYMINUTE=60", "BYMINUTE must be numbers from 0 to 59"),
        ("FREQ=DAILY;BYSECOND=61", "BYSECOND must be"),
        ("FREQ=DAILY;BYHOUR=8,", "BYHOUR must be"),
        ("FREQ=DAILY;BYHOUR=٨", "BYHOUR must be"),
        ("FREQ=DAILY;BYDAY=XX", "BYDAY must be"),
        ("FREQ=DAILY;BYDAY=", "BYDAY must be"),
        ("FREQ=DAILY;BYDAY=1MO", "only for FREQ=MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYDAY=MO,-1FR", "only for FREQ=MONTHLY or YEARLY"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "not for rules with BYWEEKNO"),
        ("FREQ=MONTHLY;BYWEEKNO=20", "BYWEEKNO is only for FREQ=YEARLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=13", "BYMONTHDAY is only for"),
        ("FREQ=MONTHLY;BYYEARDAY=100", "BYYEARDAY is only for"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS needs another part"),
        (
            "DTSTART:20260101T080000\nRRULE:FREQ=DAILY;UNTIL=20261231T000000Z",
            "UNTIL is in UTC, but DTSTART has no time zone",
        ),
        (
            "DTSTART;TZID=Europe/Zurich:20260101T080000\nRRULE:FREQ=DAILY;UNTIL=20261231T000000",
            "DTSTART has a time zone, so UNTIL must be in UTC",
        ),
    ],
)
def test_invalid_rules(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_rule(rule)


@pytest.mark.parametrize(
    "rule", [*INVALID_PARTS, *(f"{start}\nRRULE:FREQ=DAILY" for start in INVALID_STARTS)]
)
def test_rules_that_only_dateutil_accepts(rule: str) -> None:
    for from_server in (False, True):
        with pytest.raises(ValueError, match=r"must be|from 1 to|there is no"):
            check_rule(rule, from_server=from_server)


@pytest.mark.parametrize(
    "rule", ["FREQ=DAILY;BYHOUR=8;", "DTSTART:20260101T080000\nRRULE:FREQ=DAILY;UNTIL=20261231T000000Z"]
)
def test_rules_that_only_the_server_may_have(rule: str) -> None:
    check_rule(rule, from_server=True)
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are tested above
        check_rule(rule)


@pytest.mark.parametrize(
    ("cron", "rule"),
    [
        ("0 8 * * *", "FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        ("*/15 * * * *", "FREQ=HOURLY;BYMINUTE=0,15,30,45;BYSECOND=0"),
        ("* 8 * * *", "FREQ=MINUTELY;BYHOUR=8;BYSECOND=0"),
        ("30 8 * * mon-fri", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=8;BYMINUTE=30;BYSECOND=0"),
        ("0 8 1,15 JAN-MAR *", "FREQ=DAILY;BYMONTH=1,2,3;BYMONTHDAY=1,15;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        ("0 8 * * 7", "FREQ=DAILY;BYDAY=SU;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        ("@weekly", "FREQ=DAILY;BYDAY=SU;BYHOUR=0;BYMINUTE=0;BYSECOND=0"),
        ("0 8 1 * 1", None),
        ("61 8 * * *", None),
        ("0 8 * *", None),
        ("every day at 8 am", None),
        ("FREQ=DAILY", None),
    ],
)
def test_the_rule_of_a_cron_expression(cron: str, rule: str | None) -> None:
    assert rule_from_cron(cron) == rule
    if rule is not None:
        check_rule(rule)
