"""The content of messages as the page shows it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bm.sandbox.page.content import content
from airflow_provider_bm.sandbox.page.marks import Marks
from tests.sandbox.page.helpers import ask


def shown(channel, text, **more):
    return content({"channel": channel, "text": text, **more}, Marks())


def labels_and_texts(details):
    return {label: "".join(value) for label, value in details}


def test_content_of_channels():
    plain = {"title": [], "text": ['{"text": 1}'], "details": [], "more": 0}
    assert shown("sms", '{"text": 1}') == plain
    push = shown(
        "webpush",
        "T",
        webpush_title="Storm",
        webpush_body="Stay in",
        webpush_target_url="https://example.com",
    )
    assert push == {
        "title": ["Storm"],
        "text": ["Stay in"],
        "details": [["opens", ["https://example.com"]], ["template", ["T"]]],
        "more": 0,
    }
    assert shown("webpush", "Only this")["text"] == ["Only this"]
    mail = shown("email", '{"subject": "Hi", "parts": [{"body": "One"}, {"body": "Two"}], "track": true}')
    assert mail == {"title": ["Hi"], "text": ["One\nTwo"], "details": [["track", ["true"]]], "more": 0}


def test_details_are_named_by_the_end_of_their_path():
    card = {"title": "Storm", "description": "Stay in", "media": {"height": "TALL", "url": {"file": "a.png"}}}
    carousel = {"contentMessage": {"richCard": {"carouselCard": {"cardContents": [card, card]}}}}
    view = shown("rbm", json.dumps(carousel))
    assert (view["title"], view["text"]) == (["Storm"], ["Stay in\nStay in"])
    assert [label for label, _ in view["details"]] == [
        "cardContents[0].media.height",
        "media.url.file",
        "carouselCard.cardContents[1].title",
        "cardContents[1].media.height",
        "media.url.file",
    ]


@pytest.mark.parametrize(
    ("template", "details"),
    [
        ({"button": {"caption": "Open", "url": "u"}}, {"button.caption": "Open", "button.url": "u"}),
        ({"Buttons": [{"title": "Yes"}]}, {"Buttons[0].title": "Yes"}),
        ({"suggestions": [{"reply": {"text": "Yes"}}]}, {"suggestions[0].reply.text": "Yes"}),
        ({"suggestions": [{"action": {"text": "Call"}}]}, {"suggestions[0].action.text": "Call"}),
        ({"m": {"inline_keyboard": [[{"text": "Open"}]]}}, {"m.inline_keyboard[0][0].text": "Open"}),
        ({"action": {"button": {"text": "Menu"}}}, {"action.button.text": "Menu"}),
    ],
)
def test_button_labels_are_details(template, details):
    view = shown("whatsapp", json.dumps({"text": "Hello", **template}))
    assert (view["title"], view["text"]) == ([], ["Hello"])
    assert labels_and_texts(view["details"]) == details


def test_other_names_of_texts():
    assert shown("email", '{"subject": "S", "html": "<p>Hello</p>"}')["text"] == ["<p>Hello</p>"]
    assert shown("viber", '{"text": {"body": "Hello"}, "caption": null}')["text"] == ["Hello"]


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{", "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, '"text"', "[]", "null", "{}"]
)
def test_invalid_json_is_shown_as_text(text):
    assert shown("whatsapp", text).keys() == {"title", "text", "details", "more"}
    if text in ("no JSON", "{"):
        assert shown("whatsapp", text)["text"] == [text]


def test_long_content_is_truncated():
    assert len(shown("sms", "x" * 10**6)["text"][0]) < 11_000
    many = shown("viber", "[" + ",".join("1" * 1000) + "]")
    assert (len(many["details"]), many["more"]) == (50, 950)
    assert len(json.dumps(shown("viber", json.dumps({"K" * 10**5: "v" * 10**5})))) < 2000


def sent_to(sandbox, contact, **fields):
    mine = sandbox.add_recipient_list("mine", [{"mobile": "+41790000001", **contact}])
    created = sandbox.create(recipient_lists=mine, **fields)
    return ask(sandbox, "campaign", uuid=created["uuid"])["shown"]


def test_variables_without_a_value_are_distinguished_from_text(sandbox):
    names = {"first_name": "{last_name}", "nick_name": "{unknown}"}
    shown = sent_to(sandbox, names, template="Hi {first_name} {nick_name}{last_name}, as cold as {temp}.")
    assert shown["text"] == [
        "Hi {last_name} {unknown}",
        {"empty": "last_name"},
        ", as cold as ",
        {"unknown": "{temp}"},
        ".",
    ]


def test_variables_without_a_value_in_json(sandbox):
    template = json.dumps(
        {"subject": "{grüße}", "{key}": "{first_name}", "body": "{b}{last_name}"}, ensure_ascii=False
    )
    shown = sent_to(sandbox, {"email": "a@example.com"}, sending_type="email", template=template)
    assert shown["title"] == [{"unknown": "{grüße}"}]
    assert shown["text"] == [{"unknown": "{b}"}, {"empty": "last_name"}]
    assert shown["details"] == [["{key}", [{"empty": "first_name"}]]]
    assert sandbox.messages() == []


def test_marked_variables_count_with_their_length(sandbox):
    shown = sent_to(sandbox, {}, template="{temp}" * 5000)
    assert shown["text"][:2] == [{"unknown": "{temp}"}, {"unknown": "{temp}"}]
    assert len(shown["text"]) < 2000
    assert shown["text"][-1] == "… (30000 characters)"
