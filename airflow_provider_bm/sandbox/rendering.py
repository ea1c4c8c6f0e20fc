"""Filling ``{variables}`` into texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from airflow_provider_bm.campaigns.constants import (
    CONTACT_FIELDS,
    JSON_TEMPLATE_SENDING_TYPES,
    WEBPUSH_FIELDS,
)
from airflow_provider_bm.campaigns.variables import VARIABLE

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def fill(text: str, values: Mapping[str, str], *, as_json: bool = False, sign: str = "") -> str:
    """Replace each ``{name}`` that has a value; leave the others unchanged.

    :param as_json: the text is JSON, so values are escaped
    :param sign: put around a variable without a value: ``{name}`` if it is unknown, ``name`` if it is empty
    """

    def value_of(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            return f"{sign}{match[0]}{sign}"
        if sign and not value:
            return f"{sign}{match[1]}{sign}"
        return json.dumps(value, ensure_ascii=False)[1:-1] if as_json else value

    return VARIABLE.sub(value_of, text)


def fill_campaign(fields: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Fill template variables into the content of a campaign (4.2, ``template_vars``).

    A name may be any text without braces, not only an identifier.
    """
    filled = dict(fields)
    for name in ("template", *WEBPUSH_FIELDS):
        if name in filled and values:
            filled[name] = _fill_names(filled[name], values, as_json=_is_json(name, fields))
    return filled


def _fill_names(text: str, values: Mapping[str, str], *, as_json: bool) -> str:
    written = _in_json if as_json else re.escape
    texts = [json.dumps(value, ensure_ascii=False)[1:-1] if as_json else value for value in values.values()]
    variable = re.compile("|".join(rf"\{{({written(name)})\}}" for name in values))

    def value_of(match: re.Match[str]) -> str:
        return texts[(match.lastindex or 0) - 1]

    if not as_json:
        return variable.sub(value_of, text)
    # Within strings only: JSON has braces, too.
    return _JSON_STRING.sub(lambda string: variable.sub(value_of, string[0]), text)


def _in_json(name: str) -> str:
    r"""Return a pattern of all spellings of a name in JSON: ``ß`` is ``\u00df``, too."""
    return "".join(map(_character_in_json, name))


def _character_in_json(character: str) -> str:
    plain = json.dumps(character, ensure_ascii=False)[1:-1]
    units = character.encode("utf-16-be").hex()
    escaped = "".join(rf"\\u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    slash = r"|\\/" if character == "/" else ""
    return f"(?:{re.escape(plain)}|{escaped}{slash})"


def render_message(
    fields: Mapping[str, str], contact: Mapping[str, str], *, sign: str = ""
) -> dict[str, str]:
    """Render the message of one contact: ``text``, and for webpush its other parts.

    :param sign: see :func:`fill`
    """
    # A contact field without a value is empty in the text; other names remain.
    values = {field: contact.get(field, "") for field in CONTACT_FIELDS}
    as_json = _is_json("template", fields)
    message = {"text": fill(fields["template"], values, as_json=as_json, sign=sign)}
    if fields["sending_type"] == "webpush":
        message |= {n: fill(fields[n], values, sign=sign) for n in WEBPUSH_FIELDS if n in fields}
    return message


def address_of(sending_type: str, contact: Mapping[str, str]) -> str | None:
    """Return the address of a contact for a channel; None if it has none."""
    if sending_type == "email":
        return contact.get("email")
    return contact["uuid"] if sending_type == "webpush" else contact.get("mobile")


def _is_json(field: str, fields: Mapping[str, str]) -> bool:
    return field == "template" and fields.get("sending_type") in JSON_TEMPLATE_SENDING_TYPES
