"""Every error of every method: how often the request is sent, and which exception is raised."""

from __future__ import annotations

import itertools

import pytest

from airflow_provider_bm.exceptions import (
    BMAuthError,
    BMBadRequestError,
    BMConflictError,
    BMConnectError,
    BMForbiddenError,
    BMNotFoundError,
    BMOutcomeUnknownError,
    BMRateLimitError,
    BMResponseError,
    BMServerError,
    BMTimeoutError,
    BMTransportError,
)
from tests.hooks.http_stub import (
    BAD_REPLY,
    CALLS,
    FAILED,
    GIVEN,
    LIST,
    NEVER_LEFT,
    NO_REPLY,
    OTHER,
    REFUSED,
    TOKEN_URL,
    UUID,
    campaign,
    error_body,
)

CLASSES = {
    400: BMBadRequestError, 403: BMForbiddenError, 404: BMNotFoundError, 405: BMBadRequestError,
    408: BMServerError, 409: BMConflictError, 422: BMBadRequestError, 429: BMRateLimitError,
    500: BMServerError, 502: BMServerError, 503: BMServerError, 504: BMServerError, 520: BMServerError,
    "HTML 502": BMServerError, "time-out": BMTimeoutError, "reset": BMTransportError,
    "cut-off body": BMTransportError,
} | dict.fromkeys(NEVER_LEFT, BMConnectError) | dict.fromkeys(BAD_REPLY, BMResponseError)  # fmt: skip
PASSING = NEVER_LEFT | NO_REPLY | BAD_REPLY | FAILED | {429: REFUSED[429]}
PERMANENT = {name: reply for name, reply in REFUSED.items() if name != 429}
UNKNOWN = NO_REPLY | BAD_REPLY | FAILED
NOT_DONE = NEVER_LEFT | {429: REFUSED[429]}
REPEATED = [name for name, call in CALLS.items() if not call.once]
ONCE = [name for name, call in CALLS.items() if call.once]


def applies(call: str, fault: str | int) -> bool:
    """Return whether this response is an error for this call."""
    if call == "delete":
        return fault not in BAD_REPLY or fault in ("HTML", "cut-off JSON")
    if call in ("list", "create", "create a draft", "clone"):
        return fault != "other campaign"
    # Responses to these may lack the campaign: see test_empty_replies.py.
    return CALLS[call].method not in ("PUT", "PATCH") or fault not in ("empty", "no uuid")


def pairs(calls, faults):
    return [pair for pair in itertools.product(calls, faults) if applies(*pair)]


@pytest.mark.parametrize(("name", "fault"), pairs(REPEATED, PASSING))
def test_safe_calls_are_repeated_for_a_bounded_time(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, PASSING[fault])
    with pytest.raises(CLASSES[fault]) as caught:
        call.do(hook)
    assert type(caught.value) is CLASSES[fault]
    assert not caught.value.permanent
    assert http_stub.sent(call.method) == [(call.method, http_stub.requests[-1].url)] * (len(waits) + 1)
    assert all(min(7.5, 0.25 * 2**n) <= wait <= min(15, 0.5 * 2**n) for n, wait in enumerate(waits))
    assert 30 < sum(waits) < 60


@pytest.mark.parametrize(("name", "fault"), pairs(REPEATED, PASSING))
def test_success_after_transient_errors(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, PASSING[fault], PASSING[fault], call.ok)
    result = call.do(hook)
    assert result == {"list": [campaign()], "delete": None}.get(name, call.ok.get("json"))
    assert (len(http_stub.sent(call.method)), len(waits), len(http_stub.token_requests)) == (3, 2, 1)


@pytest.mark.parametrize(("name", "fault"), pairs(REPEATED, PERMANENT))
def test_permanent_errors_are_not_repeated(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, PERMANENT[fault])
    with pytest.raises(CLASSES[fault]) as caught:
        call.do(hook)
    assert type(caught.value) is CLASSES[fault]
    assert (caught.value.status, caught.value.code) == (fault, "invalid_request")
    assert len(http_stub.sent(call.method)) == 1
    assert waits == []


@pytest.mark.parametrize(("name", "fault"), pairs(ONCE, UNKNOWN))
def test_write_that_can_send_is_not_repeated_after_an_unknown_outcome(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, UNKNOWN[fault], call.ok)
    with pytest.raises(BMOutcomeUnknownError) as caught:
        call.do(hook)
    error = caught.value
    assert len(http_stub.sent(call.method)) == 1
    assert type(error.__cause__) is CLASSES[fault]
    assert error.name == "Storm"
    assert error.permanent
    assert (UUID in str(error)) if call.method != "POST" else ("'Storm'" in str(error))
    assert error.status == getattr(error.__cause__, "status", None)
    assert waits == []


@pytest.mark.parametrize(("name", "fault"), pairs(ONCE, PERMANENT))
def test_write_that_can_send_is_not_repeated_after_a_refusal(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, PERMANENT[fault], call.ok)
    with pytest.raises(CLASSES[fault]) as caught:
        call.do(hook)
    assert type(caught.value) is CLASSES[fault]
    assert len(http_stub.sent(call.method)) == 1
    assert waits == []


@pytest.mark.parametrize(("name", "fault"), pairs(ONCE, NOT_DONE))
def test_write_that_can_send_is_repeated_if_not_carried_out(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, NOT_DONE[fault], NOT_DONE[fault], call.ok)
    assert call.do(hook) == call.ok["json"]
    assert (len(http_stub.sent(call.method)), len(waits)) == (3, 2)


@pytest.mark.parametrize(("name", "fault"), pairs(ONCE, NOT_DONE))
@pytest.mark.parametrize("then", ["time-out", 503])
def test_write_is_not_repeated_once_it_may_have_been_carried_out(hook, http_stub, waits, name, fault, then):
    call = CALLS[name]
    call.prepare(http_stub, NOT_DONE[fault], UNKNOWN[then], call.ok)
    with pytest.raises(BMOutcomeUnknownError):
        call.do(hook)
    assert len(http_stub.sent(call.method)) == 2


@pytest.mark.parametrize(("name", "fault"), pairs(ONCE, NOT_DONE))
def test_write_is_repeated_for_a_bounded_time(hook, http_stub, waits, name, fault):
    call = CALLS[name]
    call.prepare(http_stub, NOT_DONE[fault])
    with pytest.raises(CLASSES[fault]) as caught:
        call.do(hook)
    assert not caught.value.permanent
    assert len(http_stub.sent(call.method)) == len(waits) + 1 <= 5


@pytest.mark.parametrize("name", CALLS)
def test_a_refused_token_is_renewed_and_the_call_replayed(hook, http_stub, waits, name):
    call = CALLS[name]
    call.prepare(http_stub, {"status_code": 401, "json": error_body()}, call.ok)
    call.do(hook)
    assert len(http_stub.token_requests) == 2
    first, second = http_stub.requests[-2:]
    assert (first.method, first.url, first.body) == (second.method, second.url, second.body)
    assert first.headers["Authorization"] != second.headers["Authorization"] == "Bearer bm-token-number-2"
    assert waits == []


@pytest.mark.parametrize("name", CALLS)
def test_a_token_refused_twice_is_an_error(hook, http_stub, waits, name):
    call = CALLS[name]
    call.prepare(http_stub, {"status_code": 401, "json": error_body("Token is not valid")})
    with pytest.raises(BMAuthError, match=r"HTTP 401 invalid_request on .*Token is not valid") as caught:
        call.do(hook)
    assert caught.value.permanent
    assert (len(http_stub.token_requests), len(http_stub.sent(call.method))) == (2, 2)
    assert waits == []


@pytest.mark.parametrize("name", CALLS)
def test_redirects_are_not_followed(hook, http_stub, waits, name):
    call = CALLS[name]
    away = {"status_code": 307, "headers": {"Location": "https://other.example.net/news"}}
    call.prepare(http_stub, away)
    with pytest.raises(
        (BMResponseError, BMOutcomeUnknownError), match=r"redirected.*other.example.net"
    ) as caught:
        call.do(hook)
    assert caught.value.permanent
    assert isinstance(caught.value, BMOutcomeUnknownError) == call.once
    assert len(http_stub.sent(call.method)) == 1


@pytest.mark.parametrize("location", ["http://[", "https://api.example.com:x/", "", None])
def test_redirect_without_a_valid_location_is_reported_as_a_redirect(hook, http_stub, location):
    headers = {} if location is None else {"Location": location}
    http_stub.answer("POST", LIST, {"status_code": 302, "headers": headers})
    with pytest.raises(BMOutcomeUnknownError, match="was redirected"):
        hook.create_campaign(GIVEN)


@pytest.mark.parametrize("name", ONCE)
def test_a_replay_whose_reply_is_lost_has_an_unknown_outcome(hook, http_stub, name):
    call = CALLS[name]
    call.prepare(http_stub, {"status_code": 401}, NO_REPLY["time-out"])
    with pytest.raises(BMOutcomeUnknownError):
        call.do(hook)
    assert len(http_stub.sent(call.method)) == 2


def test_items_of_a_400_are_in_the_message_and_on_the_error(hook, http_stub):
    http_stub.answer("POST", LIST, {"status_code": 400, "json": error_body()})
    with pytest.raises(BMBadRequestError) as caught:
        hook.clone_campaign(OTHER)
    assert str(caught.value) == (
        "HTTP 400 invalid_request on POST /campaigns: Invalid request\n  template: is too long (160 at most)"
    )
    assert caught.value.items == (
        {"name": "template", "message": "is too long", "description": "160 at most"},
    )


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            {"status_code": 502, "text": "<html><style>p {}</style><h1>Bad <b>Gateway</b></h1>"},
            "'Bad Gateway'",
        ),
        ({"status_code": 502, "text": ""}, "(empty)"),
        ({"status_code": 502, "json": ["odd"]}, "odd"),
        ({"status_code": 502, "json": {"message": {"nested": 1}, "items": "odd"}}, "nested"),
        ({"status_code": 502, "json": {"items": [1, {"name": "a"}]}}, "a: {'name': 'a'}"),
        ({"status_code": 502, "content": b"\xff\xfe\x00"}, "HTTP 502"),
    ],
)
def test_error_with_any_body_is_reported(hook, http_stub, reply, text):
    http_stub.answer("DELETE", CALLS["delete"].url, reply)
    with pytest.raises(BMServerError) as caught:
        hook.delete_campaign(UUID)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"type": "about:blank", "title": "Bad Request", "detail": "the list is empty"},
            ": the list is empty",
        ),
        ({"title": "Bad Request", "status": 400}, ": Bad Request"),
        (
            {"errors": {"sender": ["is not registered", "is too long"]}},
            "sender: is not registered; is too long",
        ),
        ({"errors": ["the list is empty"]}, "error: the list is empty"),
        ({"errors": [{"title": "Bad", "detail": "the list is empty"}]}, "error: the list is empty"),
        ({"message": "Invalid", "errors": {"name": "is too long"}}, ": Invalid\n  name: is too long"),
        ({"Message": "User is not authorized"}, ": User is not authorized"),
        (
            {"error": {"code": 7, "message": "the list is empty"}},
            "HTTP 400 7 on POST /campaigns ('Storm'): the",
        ),
        ({"reason": "the list is empty"}, "the list is empty"),
        ("the list is empty", "the list is empty"),
        ({"detail": [{"loc": ["body", "name"], "msg": "too long"}]}, "too long"),
    ],
)
def test_a_reason_in_another_form_is_in_the_message(hook, http_stub, body, text):
    http_stub.answer("POST", LIST, {"status_code": 400, "json": body})
    with pytest.raises(BMBadRequestError) as caught:
        hook.create_campaign(GIVEN)
    assert text in str(caught.value)


def test_token_error_does_not_contain_the_token_url(hook, http_stub):
    """Airflow masks the value of an extra named token_url wherever it is logged."""
    http_stub.answer("POST", TOKEN_URL, {"status_code": 503})
    with pytest.raises(BMServerError, match=r"HTTP 503 on POST to the token endpoint \(accounts\.example"):
        hook.get_campaign(UUID)
