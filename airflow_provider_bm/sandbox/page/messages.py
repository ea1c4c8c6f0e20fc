"""The messages of an execution: a page of names and addresses, and the content of one message.

Nothing else is rendered, and without the store's lock: a template may be large, and its messages many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from airflow_provider_bm.sandbox.clock import rfc3339_ms
from airflow_provider_bm.sandbox.contacts import Contact
from airflow_provider_bm.sandbox.execution import Run
from airflow_provider_bm.sandbox.page.content import content
from airflow_provider_bm.sandbox.page.marks import MAX_TEXT, Marks, cut
from airflow_provider_bm.sandbox.page.paging import page_of
from airflow_provider_bm.sandbox.reading import texts
from airflow_provider_bm.sandbox.rendering import address_of, render_message

MESSAGES: Final = 50


def messages_of(run: Run, at: datetime, search: str, page: str, message: str) -> dict[str, Any]:
    """Return the messages of an execution.

    :param search: part of a contact's name or address, or of the text
    :param message: the message to show, by the index of its contact; by default the first of the page
    """
    wanted = int(message) if message else None
    found: Sequence[int] = range(run.sent(at))
    if search:
        found = _search(run, found, search.casefold())
    number, pages = page_of(page, len(found), MESSAGES)
    first = (number - 1) * MESSAGES
    listed = found[first : first + MESSAGES]
    chosen = wanted if wanted in listed else next(iter(listed), None)
    return {
        "messages": [_row(run, index) for index in listed],
        "shown": None if chosen is None else _shown(run, chosen),
        "found": len(found),
        "first": first + 1,
        "page": number,
        "pages": pages,
    }


def _row(run: Run, number: int) -> dict[str, Any]:
    contact = run.contacts[number]
    return {
        # Not the contact's UUID: that of custom contacts may be any text.
        "number": number,
        "contact": cut(_name(contact), 200),
        "to": cut(address_of(run.fields["sending_type"], contact) or "", 200),
        "sent_dt": rfc3339_ms(run.sent_at(number)),
    }


def _shown(run: Run, number: int) -> dict[str, Any]:
    marks = Marks()
    message = run.message(number, sign=marks.sign)
    own = {"channel": message["channel"], "sender": cut(message["sender"], 200)}
    return {**_row(run, number), **own, **content(message, marks)}


def _name(contact: Contact) -> str:
    return f"{contact.get('first_name', '')} {contact.get('last_name', '')}".strip()


def _search(run: Run, numbers: Sequence[int], wanted: str) -> list[int]:
    # Only the part of a text that is shown is searched.
    fields = {name: value[:MAX_TEXT] for name, value in run.fields.items()}
    return [number for number in numbers if _fits(fields, run.contacts[number], wanted)]


def _fits(fields: Mapping[str, str], contact: Contact, wanted: str) -> bool:
    channel = fields["sending_type"]
    if wanted in f"{_name(contact)}\n{address_of(channel, contact)}".casefold():
        return True
    message = {"channel": channel, **render_message(fields, contact)}
    return any(wanted in text.casefold() for text in texts(message))
