"""The recipient lists of a sandbox: the shipped ones, and lists of custom contacts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS
from airflow_provider_bm.sandbox.arguments import choice
from airflow_provider_bm.sandbox.contacts import (
    EXAMPLE_LIST,
    NAMESPACE,
    OPT_STATUSES,
    RECIPIENT_LISTS,
    Contact,
    recipient_lists,
)
from airflow_provider_bm.sandbox.http_messages import in_utf8

CONTACT_KEYS: Final = ("uuid", *CONTACT_FIELDS, "opt_status")


class RecipientLists:
    """All lists, by UUID."""

    def __init__(self) -> None:
        """Start with the shipped lists."""
        self._custom: dict[str, tuple[str, Sequence[Contact]]] = {}

    def __contains__(self, list_uuid: object) -> bool:
        return list_uuid in self._custom or list_uuid in RECIPIENT_LISTS.values()

    def by_name(self) -> dict[str, str]:
        """Return the UUIDs of the lists, by name."""
        return RECIPIENT_LISTS | {name: list_uuid for list_uuid, (name, _) in self._custom.items()}

    def members(self, list_uuid: str) -> Sequence[Contact]:
        """Return the contacts in a list."""
        return self._custom[list_uuid][1] if list_uuid in self._custom else recipient_lists()[list_uuid]

    def add(self, name: str, members: Iterable[Mapping[str, Any]], list_uuid: str | None = None) -> str:
        """Add a list, or replace its contacts.

        :param name: a name, from which the UUID is derived, or a UUID
        :param list_uuid: the UUID, if it is not to be derived from the name
        :return: the UUID
        :raises ValueError: it is a shipped list, or a contact is invalid
        """
        if not isinstance(name, str) or not name:
            raise ValueError("a recipient list needs a name, or its UUID")
        list_uuid = list_uuid or _uuid_of(name)
        if list_uuid in RECIPIENT_LISTS.values() and list_uuid != EXAMPLE_LIST:
            raise ValueError(f"every sandbox has a list {name}: choose another name")
        checked = [checked_contact(member, f"contact {number}") for number, member in enumerate(members, 1)]
        self._custom[list_uuid] = (name, checked)
        return list_uuid


def _uuid_of(name: str) -> str:
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, f"list-{name}"))


def checked_contact(fields: Mapping[str, Any], where: str) -> Contact:
    """Validate a contact.

    :param where: names it in an error
    :return: the contact, with a UUID, and without empty fields
    :raises ValueError: it is not a contact
    """
    if not isinstance(fields, Mapping):
        raise ValueError(f"{where} must be an object with contact fields, not {fields!r}")
    unknown = [str(name) for name in fields if name not in CONTACT_KEYS]
    if unknown:
        known = ", ".join(CONTACT_KEYS)
        raise ValueError(f"{where}: unknown contact field {', '.join(unknown)}; known are {known}")
    for name, value in fields.items():
        if not isinstance(value, str | None):
            raise ValueError(f"{where}: {name} must be a string, not {value!r}")
        if value and not in_utf8(value):
            raise ValueError(f"{where}: {name} is not valid Unicode")
    contact = {name: value for name, value in fields.items() if value}
    if "opt_status" in contact:
        choice(f"{where}: opt_status", contact["opt_status"], OPT_STATUSES)
    identity = contact.get("mobile") or contact.get("email")
    if identity is None and "uuid" not in contact:
        raise ValueError(f"{where} needs a mobile, an email or a uuid")
    # The same in every list. Messages are deduplicated by address when they are sent: one contact may have a
    # uuid of its own, or an address more than the other.
    return {"uuid": str(uuid.uuid5(NAMESPACE, f"contact-{identity}"))} | contact
