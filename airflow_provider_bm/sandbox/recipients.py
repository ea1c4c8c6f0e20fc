"""The recipient lists of a sandbox: the shipped ones, and lists of one's own contacts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS

from .contacts import EXAMPLE_LIST, NAMESPACE, RECIPIENT_LISTS, Contact, recipient_lists
from .messages import in_utf8

_KEYS = ("uuid", *CONTACT_FIELDS)


class RecipientLists:
    """All lists, by UUID."""

    def __init__(self) -> None:
        """Start with the shipped ones."""
        self._own: dict[str, tuple[str, Sequence[Contact]]] = {}

    def __contains__(self, list_uuid: object) -> bool:
        return list_uuid in self._own or list_uuid in RECIPIENT_LISTS.values()

    def by_name(self) -> dict[str, str]:
        """UUIDs of the lists, by name."""
        return RECIPIENT_LISTS | {name: list_uuid for list_uuid, (name, _) in self._own.items()}

    def members(self, list_uuid: str) -> Sequence[Contact]:
        """Give the contacts of a list."""
        return self._own[list_uuid][1] if list_uuid in self._own else recipient_lists()[list_uuid]

    def add(self, name: str, members: Iterable[Mapping[str, Any]]) -> str:
        """Add a list, or put other contacts into it.

        :param name: a name, which the UUID is made of, or a UUID.
        :raises ValueError: if it is a shipped list, or somebody in it is no contact.
        """
        if not isinstance(name, str) or not name:
            raise ValueError("a recipient list needs a name, or its UUID")
        made = _uuid_of(name)
        if made in RECIPIENT_LISTS.values() and made != EXAMPLE_LIST:
            raise ValueError(f"{name} is a list that every sandbox has: give yours another name")
        checked = [_contact(number, one) for number, one in enumerate(members, 1)]
        self.put(made, name, checked)
        return made

    def put(self, list_uuid: str, name: str, members: Sequence[Contact]) -> None:
        """Put in a list as :meth:`row` described it."""
        self._own[list_uuid] = (name, members)

    def row(self, list_uuid: str) -> dict[str, Any]:
        """Describe a list of one's own."""
        name, members = self._own[list_uuid]
        return {"name": name, "contacts": list(members)}


def _uuid_of(name: str) -> str:
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, f"list-{name}"))


def _contact(number: int, given: Mapping[str, Any]) -> Contact:
    if not isinstance(given, Mapping):
        raise ValueError(f"contact {number} must be an object with contact fields, not {given!r}")
    unknown = [str(name) for name in given if name not in _KEYS]
    if unknown:
        raise ValueError(
            f"contact {number}: there is no contact field {', '.join(unknown)}; there are {', '.join(_KEYS)}"
        )
    for name, value in given.items():
        if not isinstance(value, str | None):
            raise ValueError(f"contact {number}: {name} must be a string, not {value!r}")
        if value and not in_utf8(value):
            raise ValueError(f"contact {number}: {name} is no text that UTF-8 can hold")
    contact = {name: value for name, value in given.items() if value}
    identity = contact.get("mobile") or contact.get("email")
    if identity is None and "uuid" not in contact:
        raise ValueError(f"contact {number} needs a mobile, an email or a uuid to be reached by")
    # The same in whatever list. That no address gets a message twice is seen to when one is sent: one
    # contact may have a uuid of its own, or an address more than the other.
    return {"uuid": str(uuid.uuid5(NAMESPACE, f"contact-{identity}"))} | contact
