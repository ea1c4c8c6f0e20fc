"""The key in front of a campaign's name: for the task instance and, in a batch, for the row.

::

    [7241509342138156] Storm warning
    [7241509342138156.309265041748] Storm Zurich
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from airflow_provider_bm.campaigns.labels import name_without_key

_KEY: Final = re.compile(r"\[([0-9a-f]{16})(?:\.([0-9a-f]{12}))?\]", re.IGNORECASE)


def task_key(dag_id: str, run_id: str, task_id: str, map_index: int | None, namespace: str = "") -> str:
    """Return the key of a task instance: 16 digits, the same for all its tries.

    It has no letters, so that a server that changes the case of names still finds it.

    :param map_index: None or -1 for a task that is not mapped
    :param namespace: ``key_namespace`` of the configuration: a different value gives different keys
    """
    identity = "\0".join((namespace, dag_id, run_id, task_id, str(-1 if map_index is None else map_index)))
    return f"{int(hashlib.sha256(identity.encode()).hexdigest(), 16) % 10**16:016}"


def event_key(*identity: str, namespace: str = "") -> str:
    """Return the key of an event, such as a task's failure: 16 hexadecimal digits.

    :param identity: what distinguishes the event from all others
    :param namespace: ``key_namespace`` of the configuration: a different value gives different keys
    """
    return hashlib.sha256("\0".join(("event", namespace, *identity)).encode()).hexdigest()[:16]


def row_key(values: Iterable[str]) -> str:
    """Return the key of a row within its task: 12 digits.

    :param values: the values that identify the row, as text
    """
    digest = hashlib.sha256("\0".join(values).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{int(digest, 16) % 10**12:012}"


def key_of(name: object) -> str | None:
    """Return the key of the task instance that a name starts with, or None."""
    match = _KEY.match(name.strip()) if isinstance(name, str) else None
    return match[1].lower() if match else None


def row_key_of(name: object, key: str) -> str | None:
    """Return the row's key in the name of a batch's campaign; None if the campaign is not of that task.

    :param key: key of the task instance
    """
    match = _KEY.match(name.strip()) if isinstance(name, str) else None
    return match[2].lower() if match and match[2] and match[1].lower() == key else None


def name_with_key(name: str, key: str) -> str:
    """Return the name of a task instance's campaign: ``[7241509342138156] Storm warning``.

    The key comes first: a server may cut, trim or change the rest. White space is collapsed, and an
    existing key is replaced.

    :param key: key of the task instance, or of a row: ``7241509342138156.309265041748``
    """
    return f"[{key}] {name_without_key(' '.join(name.split()))}".rstrip()


def with_key_of(name: str, other: object) -> str:
    """Return a name with the key that another name starts with, if it does: a rename keeps the key."""
    match = _KEY.match(other.strip()) if isinstance(other, str) else None
    return name if match is None else f"{match[0].strip()} {name_without_key(name)}"


def has_key(name: object, key: str) -> bool:
    """Return whether a name starts with the key, ignoring case."""
    return isinstance(name, str) and name.strip().casefold().startswith(f"[{key}]")


def has_other_key(name: object, key: str) -> bool:
    """Return whether a name starts with the key of another task instance."""
    return isinstance(name, str) and _KEY.match(name.strip()) is not None and not has_key(name, key)
