"""Loading of services, clients, contacts, recipient lists and campaigns from a JSON file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from airflow_provider_bm.campaigns.ids import UUID_PATTERN
from airflow_provider_bm.campaigns.json_text import parse_json
from airflow_provider_bm.campaigns.problems import did_you_mean
from airflow_provider_bm.sandbox.console import create
from airflow_provider_bm.sandbox.contacts import DEFAULT_SERVICE, NAMESPACE, Contact
from airflow_provider_bm.sandbox.recipients import checked_contact
from airflow_provider_bm.sandbox.store import Store

_SECTIONS: Final = ("services", "clients", "contacts", "lists", "campaigns")


class Source(NamedTuple):
    """The data to load, and its name in error messages."""

    name: str
    content: Mapping[str, Any]


def read_source(load: str | os.PathLike[str] | Mapping[str, Any]) -> Source:
    """Read a file.

    :param load: path of a JSON file, or its content
    :raises ValueError: it cannot be read, or is not a JSON object
    """
    if isinstance(load, Mapping):
        return Source("load", load)
    path = Path(load)
    try:
        content = parse_json(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be a JSON object with {', '.join(_SECTIONS)}")
    return Source(str(path), content)


def load_into(store: Store, source: Source) -> None:
    """Add the contents of a file to a store.

    :raises ValueError: something is invalid; the message names the file and the path in it
    """
    with store.lock:
        _Loader(store, source).load()


class _Loader:
    def __init__(self, store: Store, source: Source) -> None:
        self._store, self._source = store, source
        self._contacts: dict[str, Contact] = {}

    def load(self) -> None:
        for section in self._source.content:
            with self._at(section):
                if section not in _SECTIONS:
                    hint = did_you_mean(section, _SECTIONS) or f"; known are {', '.join(_SECTIONS)}"
                    raise ValueError(f"there is no such section{hint}")
        adders: Mapping[str, Callable[[Any], None]] = {
            "services": self._service,
            "clients": self._client,
            "contacts": self._contact,
            "lists": self._list,
            "campaigns": self._campaign,
        }
        for section, add in adders.items():
            entries = self._source.content.get(section, ())
            with self._at(section):
                if not isinstance(entries, Sequence) or isinstance(entries, str):
                    raise ValueError("must be an array")
            for index, entry in enumerate(entries):
                with self._at(f"{section}[{index}]"):
                    add(entry)

    @contextmanager
    def _at(self, path: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._source.name}: {path}: {error}") from None

    def _service(self, entry: Any) -> None:
        service = _uuid("a service", entry)
        if service != DEFAULT_SERVICE:  # every sandbox has it
            self._store.add_service(service)

    def _client(self, entry: Any) -> None:
        fields = _object(entry, required=("client_id", "client_secret", "services"))
        self._store.add_client(fields["client_id"], fields["client_secret"], fields["services"])

    def _contact(self, entry: Any) -> None:
        contact = checked_contact(entry, "a contact")
        if contact["uuid"] in self._contacts:
            raise ValueError(f"uuid: contact {contact['uuid']} is there already")
        self._contacts[contact["uuid"]] = contact

    def _list(self, entry: Any) -> None:
        fields = _object(entry, required=("name", "contacts"), optional=("uuid",))
        members = fields["contacts"]
        if not isinstance(members, Sequence) or isinstance(members, str):
            raise ValueError("contacts: must be an array of contacts, or of their UUIDs")
        found = [self._member(f"contacts[{index}]", member) for index, member in enumerate(members)]
        list_uuid = _uuid("uuid", fields["uuid"]) if "uuid" in fields else None
        self._store.add_recipient_list(fields["name"], found, list_uuid)

    def _member(self, where: str, member: Any) -> Contact:
        if isinstance(member, str):
            if member not in self._contacts:
                raise ValueError(f"{where}: there is no contact {member!r} among the contacts")
            return self._contacts[member]
        return checked_contact(member, where)

    def _campaign(self, entry: Any) -> None:
        fields = _object(entry)
        name = f"campaign-{fields.get('service_uuid', '')}-{fields.get('name', '')}"
        # The same at every start, also for campaigns without a UUID.
        create(self._store, {"uuid": str(uuid.uuid5(NAMESPACE, name)), **fields})


def _object(
    entry: Any, required: tuple[str, ...] = (), optional: tuple[str, ...] | None = None
) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise ValueError(f"must be an object, not {entry!r}")
    missing = [name for name in required if name not in entry]
    if missing:
        raise ValueError(f"{missing[0]}: is required")
    known = (*required, *(optional or ()))
    unknown = [str(name) for name in entry if known and name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such field; known are {', '.join(known)}")
    return entry


def _uuid(name: str, value: Any) -> str:
    if not isinstance(value, str) or not UUID_PATTERN.fullmatch(value):
        raise ValueError(f"{name} must be a UUID, not {value!r}")
    return value.lower()
