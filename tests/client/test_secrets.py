"""Secrets that a server echoes in its response never appear in messages, whatever their encoding."""

from __future__ import annotations

import logging
from urllib.parse import quote, quote_plus

import pytest
import requests_mock

from airflow_provider_bm.client import BMClient, BMSettings
from airflow_provider_bm.client.auth import forget_tokens
from airflow_provider_bm.client.outbound_guard import allow_everything
from airflow_provider_bm.exceptions import BMError

SECRET = 'pa ss/word+with&odd"=chars'
TOKENS = ["first-token/with+odd=chars~", "second-token/with+odd=chars~"]
API, TOKEN_URL = "https://api.example.com/news/v1", "https://accounts.example.com/oauth2/access-token"
SERVICE = "0b2d6c1e-7f0a-4c57-9a55-3d3c54a1d0a1"
LIST = f"{API}/services/{SERVICE}/campaigns"
FORMS = {
    "plain": str,
    "quoted": lambda text: quote(text, safe=""),
    "form": quote_plus,
}
CAMPAIGN = {
    "name": "Storm",
    "sending_type": "sms",
    "template": "Hi",
    "sender": "BM",
    "recipient_lists": SERVICE,
}


@pytest.fixture
def secrets(leak_guard):
    leak_guard.register(SECRET, *TOKENS)
    return [SECRET, TOKENS[0]]


@pytest.fixture
def mock():
    forget_tokens()
    with allow_everything(), requests_mock.Mocker() as mocker:
        mocker.post(TOKEN_URL, [{"json": {"access_token": token}} for token in TOKENS])
        yield mocker


@pytest.fixture
def client():
    settings = BMSettings(
        api_url=API, token_url=TOKEN_URL, client_id="client", client_secret=SECRET, service_uuid=SERVICE
    )
    return BMClient(settings, sleep=lambda _: None)


def output_of_failing_calls(client, caplog):
    """Return all output of failing calls: messages, items, logs."""
    shown = []
    with caplog.at_level(logging.DEBUG):
        for call in (
            lambda: list(client.list_campaigns()),
            lambda: client.get_campaign(SERVICE),
            lambda: client.create_campaign(CAMPAIGN),
            lambda: client.delete_campaign(SERVICE),
        ):
            try:
                call()  # to delete works, if the reply is JSON of any kind
            except BMError as error:
                shown += [str(error), repr(vars(error)), repr(error.__cause__)]
    assert len(shown) >= 9
    return "\n".join([*shown, caplog.text])


def bodies(text):
    yield "text", {"text": text}
    yield "HTML", {"text": f"<html><p>{text}</p></html>"}
    yield "message", {"json": {"code": text, "message": text, "description": text}}
    yield (
        "items",
        {"json": {"code": "x", "message": "y", "items": [{"name": text, "message": text, text: text}]}},
    )
    yield "object", {"json": {"message": {"headers": {"Authorization": f"Bearer {text}"}}}}
    yield "echo", {"json": {"uuid": text, "headers": [text], "data": text}}
    yield "list", {"json": [text]}
    yield "meta", {"json": {"data": [], "meta": {"pagination": {"seen": text}}}}
    yield "row", {"json": {"data": [{"seen": text}], "meta": {
        "pagination": {"currentPage": 1, "perPage": 1, "totalPages": 1}}}}  # fmt: skip


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("form", FORMS)
def test_echoed_secret_is_scrubbed(client, mock, secrets, caplog, form, status):
    wrap = FORMS[form]
    for _, reply in (pair for secret in secrets for pair in bodies(wrap(secret))):
        mock.register_uri(requests_mock.ANY, requests_mock.ANY, status_code=status, **reply)
        mock.post(TOKEN_URL, json={"access_token": TOKENS[0]})
        shown = output_of_failing_calls(client, caplog)
        for secret in secrets:
            for each in FORMS.values():
                assert each(secret) not in shown
        caplog.clear()


@pytest.mark.parametrize("before", range(150, 215, 3))
def test_truncated_text_contains_no_part_of_a_secret(client, mock, secrets, before):
    """Texts are scrubbed before they are truncated, or else a part of a secret could remain."""
    mock.get(LIST, status_code=500, text="x" * before + TOKENS[0])
    with pytest.raises(BMError) as caught:
        list(client.list_campaigns())
    assert TOKENS[0][:6] not in str(caught.value)
    mock.get(LIST, json=["x" * before + TOKENS[0]])
    with pytest.raises(BMError) as caught:
        list(client.list_campaigns())
    assert TOKENS[0][:6] not in str(caught.value)


def test_secret_interrupted_by_markup_is_scrubbed(client, mock, leak_guard):
    """Texts are scrubbed before their tags are removed."""
    mock.get(LIST, status_code=500, text=f"<b>{SECRET.replace(' ', ' ')}</b>")
    with pytest.raises(BMError) as caught:
        list(client.list_campaigns())
    assert "'***'" in str(caught.value)


def test_token_from_before_the_renewal_is_scrubbed(client, mock, secrets):
    mock.get(LIST, [{"status_code": 401}, {"status_code": 500, "text": f"not {TOKENS[0]} but {TOKENS[1]}"}])
    with pytest.raises(BMError, match=r"not \*\*\* but \*\*\*"):
        list(client.list_campaigns())


def test_token_in_the_location_of_a_redirect_is_scrubbed(client, mock, secrets):
    mock.get(LIST, status_code=302, headers={"Location": f"https://x.example.com/?token={TOKENS[0]}"})
    with pytest.raises(BMError, match=r"redirected .*token=\*\*\*"):
        list(client.list_campaigns())


def test_form_echoed_by_the_token_endpoint_is_scrubbed(client, mock, secrets):
    echo = f"grant_type=client_credentials&client_secret={quote_plus(SECRET)}"
    for reply in (
        {"status_code": 400, "text": echo},
        {"status_code": 500, "json": {"error": echo}},
        {"text": echo},
    ):
        mock.post(TOKEN_URL, **reply)
        with pytest.raises(BMError, match="token endpoint") as caught:
            list(client.list_campaigns())
        assert quote_plus(SECRET) not in str(caught.value)
