"""Pauses between tries, and when the client stops trying."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import tenacity

from airflow_provider_bm.client import BMClient, session, transport
from airflow_provider_bm.client.retry import retry_after
from airflow_provider_bm.client.settings import LATEST_REPLAY
from airflow_provider_bm.client.transport import Transport
from airflow_provider_bm.exceptions import BMConnectError, BMRateLimitError, BMServerError, BMTimeoutError
from airflow_provider_bm.hooks import bm as hooks
from tests.hooks.http_stub import CALLS, GIVEN, LIST, NO_REPLY, ONE, TOKEN_URL, UUID, campaign, page

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ONCE = [name for name, call in CALLS.items() if call.once]


class FakeTime:
    """A clock that only advances by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTime]:
    fake = FakeTime()
    monkeypatch.setattr(tenacity, "time", fake)
    monkeypatch.setattr(hooks, "BMClient", functools.partial(BMClient, sleep=fake.sleep))
    return fake


def limited(value: object, status: int = 429) -> dict[str, object]:
    return {"status_code": status, "headers": {"Retry-After": str(value)}}


def in_future(**delta: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(**delta), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "at_least", "at_most"),
    [("7", 7, 7.2), ("0", 0.25, 0.5), ("0.5", 0.5, 0.7), ("-3", 0.25, 0.5),
     (lambda: in_future(seconds=20), 18, 20.2),
     (lambda: in_future(seconds=-20), 0.25, 0.5),
     ("soon", 0.25, 0.5), ("nan", 0.25, 0.5), ("inf", 0.25, 0.5)],
)  # fmt: skip
def test_retry_after_is_honoured(hook, http_stub, waits, status, value, at_least, at_most):
    http_stub.answer("GET", ONE, limited(value() if callable(value) else value, status), {"json": campaign()})
    assert hook.get_campaign(UUID) == campaign()
    (wait,) = waits
    assert at_least <= wait <= at_most


@pytest.mark.parametrize("value", ["61", "3600", lambda: in_future(minutes=5)])
@pytest.mark.parametrize("name", ["get", "list", "delete", "stop"])
def test_retry_after_beyond_the_deadline_fails_at_once(hook, http_stub, waits, name, value):
    call = CALLS[name]
    call.prepare(http_stub, limited(value() if callable(value) else value))
    with pytest.raises(BMRateLimitError, match="retry after") as caught:
        call.do(hook)
    assert caught.value.retry_after > 60
    assert not caught.value.permanent
    assert len(http_stub.sent(call.method)) == 1
    assert waits == []


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize(("asked", "tries"), [("1", 2), ("6", 1)])
def test_write_that_can_send_waits_5_seconds_at_most(hook, http_stub, waits, name, asked, tries):
    """A search after an unknown outcome counts from the first try."""
    call = CALLS[name]
    call.prepare(http_stub, limited(asked), call.ok)
    if tries == 1:
        with pytest.raises(BMRateLimitError) as caught:
            call.do(hook)
        assert caught.value.retry_after == 6
        assert waits == []
    else:
        call.do(hook)
        assert 1 <= waits[0] <= 1.2
    assert len(http_stub.sent(call.method)) == tries


@pytest.mark.parametrize("name", ONCE)
def test_write_that_can_send_is_not_repeated_after_5_seconds(hook, http_stub, clock, name):
    call = CALLS[name]
    left = []

    def refuse(_, context):
        left.append(clock.now)
        context.status_code = 429
        return {}

    call.prepare(http_stub, {"json": refuse})
    started = clock.now
    with pytest.raises(BMRateLimitError):
        call.do(hook)
    assert len(left) > 2
    assert left[-1] - started <= LATEST_REPLAY


def test_write_is_not_repeated_after_a_late_token(hook, http_stub, clock, monkeypatch):
    call = CALLS["create"]
    call.prepare(http_stub, {"status_code": 429}, call.ok)
    takes = iter([0, 0, 0, 60])  # by itself, before the call, as it leaves, and before it leaves again
    token = Transport.token

    def slow(self, *rejected):
        clock.sleep(next(takes, 0))
        return token(self, *rejected)

    monkeypatch.setattr(Transport, "token", slow)
    monkeypatch.setattr(transport, "time", clock)
    monkeypatch.setattr(session, "time", clock)
    hook.client.ensure_token()
    with pytest.raises(BMRateLimitError):
        call.do(hook)
    assert len(http_stub.sent("POST")) == 1


@pytest.mark.parametrize(("seconds", "tries"), [(4, 2), (6, 1)])
def test_write_is_not_replayed_after_a_late_401(hook, http_stub, clock, monkeypatch, seconds, tries):
    """A search after an unknown outcome does not expect the request to be sent that late."""
    call = CALLS["create"]

    def refuse(_, context):
        clock.sleep(seconds)
        context.status_code = 401
        return {}

    call.prepare(http_stub, {"json": refuse}, call.ok)
    monkeypatch.setattr(transport, "time", clock)
    monkeypatch.setattr(session, "time", clock)
    if tries == 2:
        call.do(hook)
    else:
        with pytest.raises(BMConnectError, match="was not sent again"):
            call.do(hook)
    assert len(http_stub.sent("POST")) == tries


def test_all_waits_together_are_bounded(hook, http_stub, clock):
    http_stub.answer("GET", ONE, limited("25"))
    started = clock.now
    with pytest.raises(BMRateLimitError):
        hook.get_campaign(UUID)
    assert len(http_stub.requests) == 3
    assert clock.now - started <= 60


def test_a_slow_server_gets_fewer_tries(hook, http_stub, clock):
    def slow(*_: object) -> None:
        clock.sleep(30)
        raise NO_REPLY["time-out"]["exc"]

    http_stub.mock.register_uri("GET", ONE, json=slow)
    with pytest.raises(BMTimeoutError, match=r"no response from api\.example\.com within 30 s"):
        hook.get_campaign(UUID)
    assert len(http_stub.requests) == 2


def test_each_page_has_its_own_tries(hook, http_stub, waits):
    bad = {"status_code": 503}
    first, second = (
        {"json": page(campaign(f"00000000-0000-0000-0000-00000000000{n}"), number=n, pages=2)} for n in (1, 2)
    )
    http_stub.answer("GET", LIST, bad, bad, bad, bad, first, bad, bad, bad, bad, second)
    assert len(list(hook.list_campaigns())) == 2
    assert [request.qs["page_number"] for request in http_stub.requests] == [["1"]] * 5 + [["2"]] * 5
    assert len(waits) == 8


def test_waits_have_jitter(hook, http_stub, waits):
    http_stub.answer("GET", ONE, {"status_code": 503})
    for _ in range(5):
        with pytest.raises(BMServerError):
            hook.get_campaign(UUID)
    assert len(set(waits)) == len(waits) > 20


@pytest.mark.parametrize(
    "fault", [{"status_code": 503}, NO_REPLY["time-out"], {"text": "<html>"}, limited("1")]
)
@pytest.mark.parametrize("name", ["get", "create", "resume"])
def test_retries_of_token_and_call_are_not_multiplied(hook, http_stub, waits, name, fault):
    """The tries of the token are not multiplied by those of the call."""
    http_stub.answer("POST", TOKEN_URL, fault)
    with pytest.raises(Exception, match="token endpoint") as caught:
        CALLS[name].do(hook)
    assert caught.value.of_token
    assert not caught.value.permanent
    assert len(http_stub.token_requests) == len(waits) + 1
    assert sum(waits) < 60
    assert http_stub.requests == []


@pytest.mark.parametrize("name", CALLS)
def test_token_after_transient_errors(hook, http_stub, waits, name):
    call = CALLS[name]
    call.prepare(http_stub, call.ok)
    token = {"json": {"access_token": "bm-token-in-the-end"}}
    http_stub.answer("POST", TOKEN_URL, {"status_code": 500}, NO_REPLY["time-out"], limited("3"), token)
    call.do(hook)
    assert (len(http_stub.token_requests), len(http_stub.sent(call.method)), len(waits)) == (4, 1, 3)


def test_a_renewal_that_fails_is_not_an_unknown_outcome(hook, http_stub, waits):
    http_stub.answer("POST", LIST, {"status_code": 401})
    http_stub.answer(
        "POST", TOKEN_URL, {"json": {"access_token": "bm-token-the-first"}}, NO_REPLY["time-out"]
    )
    with pytest.raises(BMTimeoutError) as caught:
        hook.create_campaign(GIVEN)
    assert caught.value.of_token
    assert len(http_stub.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("", None),
        ("5", 5), ("5.5", 5.5), ("-1", 0), ("nan", None), ("inf", None), ("x", None),
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30),
        ("Monday, 02-Mar-26 12:00:30 GMT", 30),  # RFC 850
        ("Mon Mar  2 12:00:30 2026", 30),  # asctime
        ("Mon, 02 Mar 2026 13:00:30 +0100", 30),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("Mon, 02 Mar 99999 12:00:30 GMT", None),
        ("Mon, 31 Feb 2026 12:00:30 GMT", None),
        ("Mon, 02 Mar 2026 12:00:30 +99999999999999999999", None),
        ("Mon, 02 Mar 2026 12:00:30 +9999", None),
        ("9" * 400, None),
    ],
)  # fmt: skip
def test_forms_of_retry_after(value, seconds):
    assert retry_after(value, NOW) == seconds
