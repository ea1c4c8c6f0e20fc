"""Identifiers. Only UUIDs become part of a URL or a payload."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

from airflow_provider_bm.campaigns.problems import NATIVE_HINT, Problems, sort_key
from airflow_provider_bm.exceptions import BMPayloadError

UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EXPECTED = "must be a UUID such as 'cf9eeb30-c1af-11ee-8073-bf4d6e8c1618'"


def parse_uuid(value: object, field: str = "campaign_uuid") -> str:
    """Return an id in its canonical form: 8-4-4-4-12 hexadecimal digits in lower case.

    :param value: a string in that form, in either case, or a :class:`uuid.UUID`; braces, ``urn:``, spaces
        and 32 digits without hyphens are refused
    :param field: its name in error messages; default ``campaign_uuid``
    :return: the id, safe to put into a URL
    :raises BMPayloadError: the value is anything else

    Source: Campaign API 3.3 to 3.6 (``campaignUuid``).
    """
    problems = Problems()
    result = check_uuid(field, value, problems)
    if result is None:
        raise BMPayloadError(problems, field)
    return result


#: Former name, kept for compatibility.
campaign_id = parse_uuid


def check_uuid(field: str, value: object, problems: Problems) -> str | None:
    """Like :func:`parse_uuid`, but add a problem instead of raising.

    :param field: the field
    :param value: its value
    :param problems: the list to which problems are added
    :return: the id, or None if there is a problem
    """
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and UUID_PATTERN.fullmatch(value):
        return value.lower()
    problems.add(field, value, _EXPECTED)
    return None


def check_recipient_lists(field: str, value: Any, problems: Problems) -> str | None:
    """Check the contact lists of a campaign, and join them as the API expects.

    Duplicates are dropped, so that no contact gets a message twice. The order is kept; a set is sorted, so
    that a task always sends the same payload.

    :param field: the field
    :param value: ids, as a comma separated string, a :class:`uuid.UUID`, a sequence or a set
    :param problems: the list to which problems are added
    :return: the ids joined by commas, or None if there is a problem

    Source: Campaign API 4.1 (``recipient_lists``).
    """
    if isinstance(value, str) and value.strip().startswith(("[", "(", "{")):
        problems.add(field, value, f"must be UUIDs separated by commas: {NATIVE_HINT}")
        return None
    if isinstance(value, str | UUID):
        entries: list[tuple[str, Any]] = [(field, value)]
    elif isinstance(value, AbstractSet):
        entries = [(field, entry) for entry in sorted(value, key=sort_key)]
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        entries = [(f"{field}[{index}]", entry) for index, entry in enumerate(value)]
    else:
        problems.add(field, value, "must be a list of UUIDs, or a string of UUIDs separated by commas")
        return None
    if not entries or (isinstance(value, str) and not value):
        problems.add(field, value, "must contain at least one contact list")
        return None
    found: list[str | None] = []
    for where, entry in entries:
        parts = entry.split(",") if isinstance(entry, str) else [entry]
        found += [
            check_uuid(where, part.strip() if isinstance(part, str) else part, problems) for part in parts
        ]
    good = [part for part in found if part is not None]
    return ",".join(dict.fromkeys(good)) if len(good) == len(found) else None
