"""Variables in the texts of a campaign: ``{first_name}``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import (
    CONTACT_FIELDS,
    JSON_TEMPLATE_SENDING_TYPES,
    WEBPUSH_FIELDS,
)
from airflow_provider_bm.campaigns.json_text import parse_json

#: A variable is an identifier in braces, so CSS such as ``{color:red}`` is not one.
VARIABLE: Final = re.compile(r"\{([^\W\d]\w*)\}")


def variables_in(campaign: Mapping[str, Any]) -> list[str]:
    """Return the variables in a campaign's texts, without braces, in order of appearance.

    In a JSON template only string values are searched. Webpush fields count for webpush, and if the channel
    is unknown, as in a partial payload.

    :param campaign: a payload or a ``CampaignResponse``

    Source: Campaign API 4.2 (``template_vars``).
    """
    found = (name for text in _texts(campaign) for name in VARIABLE.findall(text))
    return list(dict.fromkeys(found))


def unfilled_variables(
    campaign: Mapping[str, Any],
    template_vars: Mapping[str, Any] | None = None,
    allowed: Collection[str] = (),
) -> list[str]:
    """Return the variables that recipients would see unfilled, in braces.

    A variable is filled if it is a contact field, has a value in ``template_vars``, or is allowed. A value
    may contain contact fields and allowed variables.

    :param campaign: a payload or a ``CampaignResponse``, such as the source of a clone
    :param template_vars: values of variables, by name
    :param allowed: further variables that BM fills
    """
    known = {*CONTACT_FIELDS, *allowed}
    values = template_vars or {}
    found = {name: None for name in variables_in(campaign) if name not in known and name not in values}
    for value in values.values():
        found |= {name: None for name in VARIABLE.findall(str(value)) if name not in known}
    return list(found)


def unused_variables(campaign: Mapping[str, Any], template_vars: Mapping[str, Any] | None) -> list[str]:
    """Return the names in ``template_vars`` that occur in none of a campaign's texts.

    :param campaign: the campaign to clone
    :param template_vars: values of variables, by name; a name need not be an identifier
    """
    texts = list(_texts(campaign))
    return [name for name in template_vars or {} if not any(f"{{{name}}}" in text for text in texts)]


def fill_variables(text: str, values: Mapping[str, Any]) -> str:
    """Replace each ``{name}`` that has a value, in one pass.

    :param text: the text
    :param values: values by name; a name need not be an identifier
    """
    if not values:
        return text
    names = "|".join(re.escape(str(name)) for name in values)
    return re.sub(rf"\{{({names})\}}", lambda match: str(values[match[1]]), text)


def _texts(campaign: Mapping[str, Any]) -> Iterator[str]:
    channel = campaign.get("sending_type")
    template = campaign.get("template")
    parsed: Any = template
    if isinstance(template, str) and (channel is None or channel in JSON_TEMPLATE_SENDING_TYPES):
        try:
            parsed = parse_json(template)
        except ValueError:
            parsed = template
        if not isinstance(parsed, Mapping):
            parsed = template
    yield from strings_in(parsed)
    if channel in (None, "webpush"):
        for field in WEBPUSH_FIELDS:
            yield from strings_in(campaign.get(field))


def strings_in(value: Any) -> Iterator[str]:
    """Yield the strings in a JSON value, without its keys. Not recursive: templates may be nested deeply."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            waiting.extend(reversed(list(part.values())))
        elif isinstance(part, list | tuple):
            waiting.extend(reversed(part))
