"""Values that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import settings

from airflow_provider_bm.exceptions import BMPayloadError

#: The first example may have to import pendulum, and nothing is left in the working tree.
unhurried = settings(deadline=None, database=None)

LIST_A = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
LIST_B = "1592695e-c1b1-11ee-b153-774c9d3a7957"
QUERY: dict[str, Any] = {
    "segmentation": [
        {
            "operator": "OR",
            "rules": [
                {"field": "first_name", "condition": "eq", "value": "John", "operator": "AND"},
                {"field": "last_name", "condition": "eq", "value": "Smith", "operator": "AND"},
            ],
        },
        {
            "operator": "OR",
            "rules": [{"field": "nick_name", "condition": "eq", "value": "Johnny", "operator": "AND"}],
        },
    ]
}


def required(**changes: Any) -> dict[str, Any]:
    """The required fields of a new campaign."""
    return {
        "name": "Storm",
        "sending_type": "sms",
        "template": "Hello {first_name}",
        "sender": "+41587000000",
        "recipient_lists": LIST_A,
    } | changes


def whole(**changes: Any) -> dict[str, Any]:
    """A complete campaign, as PUT requires it."""
    return required(status="active", schedule_type="now") | changes


def problems_of(call: Callable[[], Any]) -> dict[str, str]:
    """Return the problems of a call that must fail, by field."""
    with pytest.raises(BMPayloadError) as caught:
        call()
    return {problem.field: problem.expected for problem in caught.value.problems}


#: Lines ``DTSTART``, and rules, that dateutil accepts and RFC 5545 does not allow.
INVALID_STARTS: Final = (
    "DTSTART:20260401T100000EST",
    "DTSTART:Friday",
    "DTSTART:10",
    "DTSTART:9AM",
    "DTSTART:2026-04-01",
    "DTSTART:20260401T1000",
    "DTSTART:20260401T10",
    "DTSTART:20260401T100000+0200",
    "DTSTART:20261301T100000Z",
    "DTSTART;VALUE=DATE:20260401T100000",
    "DTSTART;VALUE=DATE-TIME:20260401",
    "DTSTART;VALUE=:20260401T100000Z",
    "DTSTART;VALUE=PERIOD:20260401T100000Z",
    "DTSTART;TZID=Europe/Zurich:20260401T100000Z",
    "DTSTART;TZID=Europe/Zurich:20260401",
    "DTSTART;TZID=Mars/Olympus:20260401T100000",
    "DTSTART;TZID=:20260401T100000",
    "DTSTART;LANGUAGE=en:20260401T100000",
    "DTSTART;VALUE=DATE;VALUE=DATE:20260401",
    "DTSTART:",
)
INVALID_PARTS: Final = (
    "FREQ=DAILY;COUNT=+2",
    "FREQ=DAILY;INTERVAL=+2",
    "FREQ=DAILY;INTERVAL=1,2",
    "FREQ=DAILY;BYHOUR=+8",
    "FREQ=DAILY;UNTIL=Friday",
    "FREQ=DAILY;WKST=9",
    "FREQ=MONTHLY;BYDAY=99MO",
    "FREQ=MONTHLY;BYDAY=6MO",
    "FREQ=MONTHLY;BYDAY=MO,-6FR",
    "FREQ=MONTHLY;BYDAY=0MO",
    "FREQ=MONTHLY;BYDAY=MO(1)",
    "FREQ=YEARLY;BYDAY=54MO",
    "FREQ=YEARLY;BYDAY=-54MO",
)
