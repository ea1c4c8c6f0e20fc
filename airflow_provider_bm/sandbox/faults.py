"""Scripted faults: what goes wrong, with which call."""

from __future__ import annotations

import itertools
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: ``times`` not given: once, or with a probability for ever.
DEFAULT_TIMES: Final = -1

#: What fields of a fault must be if they are given, in words and as types. They come from JSON, too.
_KINDS: Final[tuple[tuple[str, type | tuple[type, ...], tuple[str, ...]], ...]] = (
    ("text", str, ("method", "path")),
    ("a whole number", int, ("nth", "times", "status", "seed")),
    ("a number", (int, float), ("delay", "delay_after", "refuse", "probability")),
    ("true or false", bool, ("lose_reply", "drop", "truncate", "garbage", "html", "revoke_token", "apply")),
    ("an object of names and values", Mapping, ("headers",)),
)


@dataclass
class Fault:
    """One fault. See :meth:`.Sandbox.fault` for what the fields mean."""

    method: str | None = None
    path: str | None = None
    nth: int = 1
    times: int | None = DEFAULT_TIMES
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | Mapping[str, Any] | list[Any] | None = None
    delay: float = 0.0
    delay_after: float = 0.0
    lose_reply: bool = False
    drop: bool = False
    refuse: float = 0.0
    truncate: bool = False
    garbage: bool = False
    html: bool = False
    revoke_token: bool = False
    apply: bool = False
    probability: float | None = None
    seed: int | None = None
    id: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        """Refuse what could never happen, so that a typing error does not turn a fault off."""
        for words, kind, names in _KINDS:
            for name in names:
                value = getattr(self, name)
                if value is not None and not isinstance(value, kind):
                    raise ValueError(f"{name} must be {words}, not {value!r}")
        if self.nth < 1:
            raise ValueError("nth counts from 1")
        if self.times == DEFAULT_TIMES:
            self.times = 1 if self.probability is None else None
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1, or None for ever")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError("probability must be from 0 to 1")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status must be from 200 to 599")
        if not all(0 <= seconds < float("inf") for seconds in (self.delay, self.delay_after, self.refuse)):
            raise ValueError("a delay, and refuse, cannot be negative nor infinite")
        effects = (self.status, self.headers, self.delay, self.delay_after, self.lose_reply, self.drop)
        others = (self.refuse, self.truncate, self.garbage, self.html, self.revoke_token)
        # An empty body is an effect.
        if self.body is None and not any(effects + others):
            raise ValueError("a fault needs an effect: status, body, delay, lose_reply, drop, ...")
        try:
            self._pattern = re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path must be a regular expression, not {self.path!r}: {error}") from None
        self._chance = random.Random(self.seed)

    def hit(self, method: str, path: str) -> bool:
        """Count a call, and tell whether it is hit."""
        if self.method is not None and self.method.upper() != method.upper():
            return False
        if not self._pattern.search(path):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.seen >= self.nth + self.times):
            return False
        if self.probability is not None and self._chance.random() >= self.probability:
            return False
        self.hits += 1
        return True

    @property
    def applies(self) -> bool:
        """Whether the call has its effect all the same."""
        return self.apply or (self.status is None and not self.html)

    def as_dict(self) -> dict[str, Any]:
        """Describe it, without the effects that it does not have."""
        held = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        always = ("id", "nth", "times", "seen", "hits")
        # An empty body is an effect, and no probability is one; all else that is empty is not there.
        given = ("body", "probability")
        return {n: v for n, v in held.items() if n in always or v or (n in given and v is not None)}


class Faults:
    """All faults in force."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """End all faults, or one.

        :raises ValueError: if there is none of this id.
        """
        with self._lock:
            left = [] if fault_id is None else [one for one in self._faults if one.id != fault_id]
            if fault_id is not None and len(left) == len(self._faults):
                raise ValueError(f"there is no fault {fault_id}")
            self._faults = left

    def match(self, method: str, path: str) -> Fault | None:
        """Find the fault that hits a call: the oldest, if several do. All of them count the call."""
        with self._lock:
            hits = [fault for fault in self._faults if fault.hit(method, path)]
        return hits[0] if hits else None

    def list(self) -> list[dict[str, Any]]:
        """Describe all faults, with how many calls each has seen and hit."""
        with self._lock:
            return [fault.as_dict() for fault in self._faults]
