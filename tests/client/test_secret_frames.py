"""No error contains a secret: not in its frames, causes, notes, attributes, or attached requests."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

import pytest
import requests
import requests_mock

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.client.outbound_guard import allow_everything

SECRET = "client-secret-of-this-test"
TOKEN, NEXT_TOKEN = "first-token-of-this-test", "second-token-of-this-test"
PASSWORD = "proxy-password-of-this-test"
SECRETS = (SECRET, TOKEN, NEXT_TOKEN, PASSWORD)
API, TOKEN_URL = "https://api.example.com/news/v1", "https://accounts.example.com/oauth2/access-token"
UUID = "0b2d6c1e-7f0a-4c57-9a55-3d3c54a1d0a1"
LIST = f"{API}/services/{UUID}/campaigns"
CAMPAIGN = {"name": "Storm", "sending_type": "sms", "template": "Hi", "sender": "BM", "recipient_lists": UUID}
PAYLOAD = CAMPAIGN | {"status": "draft", "schedule_type": "now"}
NOBODY = "http://127.0.0.1:9"


def settings(**changes: Any) -> BMSettings:
    return BMSettings(
        **{"api_url": API, "token_url": TOKEN_URL, "client_id": "client", "client_secret": SECRET}
        | {"service_uuid": UUID, "timeout": 0.5}
        | changes
    )


def shown(value: Any) -> str:
    """Return what an error tracker shows of a local: its repr, or the content of a request or response."""
    if isinstance(value, (requests.PreparedRequest, requests.Request)):
        return repr(vars(value))
    if isinstance(value, requests.Response):
        return repr(vars(value)) + shown(value.request)
    try:
        return repr(value)
    except Exception:
        return ""


def frames_of(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        if "/tests/" not in traceback.tb_frame.f_code.co_filename:
            yield traceback.tb_frame
        traceback = traceback.tb_next


def all_texts(error: BaseException) -> Iterator[str]:
    """Return all texts of an error, and of all errors linked to it."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        error = pending.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield repr(error)
        yield "".join(getattr(error, "__notes__", []))
        for name, value in vars(error).items():
            yield f"{name}: {shown(value)}"
        for frame in frames_of(error.__traceback__):
            for name, value in frame.f_locals.items():
                yield f"{frame.f_code.co_qualname} {name}: {shown(value)}"
        related = (error.__cause__, error.__context__, *error.args, *vars(error).values())
        pending += [each for each in related if isinstance(each, BaseException)]


def assert_no_secret(call: Callable[[], Any]) -> None:
    with pytest.raises(Exception, match=r".*") as caught:
        call()
    texts = list(all_texts(caught.value))
    assert [reprlib.repr(text) for text in texts if any(secret in text for secret in SECRETS)] == []


def test_search_finds_a_planted_secret():
    def leak() -> None:
        session = requests.Session()
        session.post(NOBODY, data={"client_secret": SECRET}, timeout=1)

    with pytest.raises(requests.ConnectionError) as caught:
        leak()
    assert any(SECRET in text for text in all_texts(caught.value))


CALLS: dict[str, Callable[[BMClient], Any]] = {
    "token": lambda client: client.refresh_token(),
    "get": lambda client: client.get_campaign(UUID),
    "create": lambda client: client.create_campaign(CAMPAIGN),
    "stop": lambda client: client.set_campaign_status(UUID, "stopped"),
    "session": lambda client: client.session.get(client.list_url),
    "session, status": lambda client: client.session.get(client.list_url).raise_for_status(),
    "prepared": lambda client: client.session.send(
        client.session.prepare_request(requests.Request("POST", client.list_url, json=PAYLOAD))
    ),
}


@pytest.fixture(autouse=True)
def _no_tokens() -> Iterator[None]:
    forget_tokens()
    yield
    forget_tokens()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "proxy", [None, f"http://user:{PASSWORD}@127.0.0.1:9", f"ftp://user:{PASSWORD}@127.0.0.1:9"]
)
def test_no_secret_if_the_server_is_unreachable(call, proxy):
    urls = {"token_url": f"{NOBODY}/token", "api_url": f"{NOBODY}/news/v1"}
    with allow_everything():
        client = BMClient(settings(**urls, proxies={"all": proxy} if proxy else {}), sleep=lambda _: None)
        assert_no_secret(lambda: CALLS[call](client))


RESPONSES: dict[str, list[dict[str, Any]]] = {
    "400": [{"status_code": 400, "json": {"message": "no"}}],
    "401 twice": [{"status_code": 401}],
    "HTML": [{"status_code": 404, "text": "<html>"}],
    "time-out": [{"exc": requests.ReadTimeout("late")}],
    "401, then time-out": [{"status_code": 401}, {"exc": requests.ReadTimeout("late")}],
    "broken": [{"exc": requests.ConnectionError("reset")}],
}


#: A response that is not a success is not an error for those who call the session.
FAILURES = [
    (call, response)
    for call in CALLS
    for response in RESPONSES
    if call in ("get", "create", "stop")
    or (response in ("time-out", "broken") and call != "token")
    or (call == "session, status" and response == "400")
]


@pytest.mark.parametrize(("call", "response"), FAILURES)
@pytest.mark.parametrize("renewal", [{"json": {"access_token": NEXT_TOKEN}}, {"exc": requests.ReadTimeout}])
def test_no_secret_if_the_api_fails(call, response, renewal):
    with allow_everything(), requests_mock.Mocker() as mock:
        mock.register_uri(requests_mock.ANY, requests_mock.ANY, RESPONSES[response])
        mock.post(TOKEN_URL, [{"json": {"access_token": TOKEN}}, renewal])
        client = BMClient(settings(), sleep=lambda _: None)
        assert_no_secret(lambda: CALLS[call](client))


@pytest.mark.parametrize(
    "response",
    [{"status_code": 401, "json": {"error": "invalid_client"}}, {"json": {"access_token": "a b"}},
     {"text": f'{{"access_token": "{TOKEN}'}, {"json": {"token": TOKEN}}, {"exc": requests.ReadTimeout}],
)  # fmt: skip
@pytest.mark.parametrize("call", CALLS)
def test_no_secret_if_the_token_endpoint_fails(call, response):
    with allow_everything(), requests_mock.Mocker() as mock:
        mock.post(TOKEN_URL, **response)
        proxies = {"https": f"http://user:{PASSWORD}@proxy.example.com"}
        client = BMClient(settings(proxies=proxies), sleep=lambda _: None)
        assert_no_secret(lambda: CALLS[call](client))


def test_a_response_does_not_carry_the_token():
    with allow_everything(), requests_mock.Mocker() as mock:
        mock.post(TOKEN_URL, json={"access_token": TOKEN})
        mock.get(LIST, json={})
        response = BMClient(settings()).session.get(LIST)
    assert mock.last_request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in shown(response)
