"""Scripted faults: what goes wrong, with which call."""

from __future__ import annotations

import itertools
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .arguments import header_text, number

#: ``times`` not given: once, or with a probability for ever.
DEFAULT_TIMES: Final = -1

#: A day: the longest that anything is late, or down.
MAX_SECONDS: Final = 86_400.0

#: Headers that say where an answer ends: another one would break the next answer, too.
_FRAMING: Final = ("content-length", "transfer-encoding")

#: What fields of a fault must be if they are given, in words and as types. They come from JSON, too.
_KINDS: Final[tuple[tuple[str, type | tuple[type, ...], tuple[str, ...]], ...]] = (
    ("text", str, ("method", "path")),
    ("a whole number", int, ("nth", "times", "status", "seed")),
    ("a number", (int, float), ("probability",)),
    ("true or false", bool, ("lose_reply", "drop", "truncate", "garbage", "html", "revoke_token", "apply")),
    ("an object of names and values", Mapping, ("headers", "change_request", "change_reply")),
)


@dataclass
class Fault:
    """One fault. See :meth:`.Sandbox.fault` for what the fields mean."""

    method: str | None = None
    path: str | None = None
    nth: int = 1
    times: int | None = DEFAULT_TIMES
    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    change_request: Mapping[str, Any] = field(default_factory=dict)
    change_reply: Mapping[str, Any] = field(default_factory=dict)
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
    id: int = field(init=False)
    seen: int = field(init=False)
    hits: int = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what could never happen, so that a typing error does not turn a fault off."""
        self.id = self.seen = self.hits = 0
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
        for name in ("delay", "delay_after", "refuse"):
            number(name, getattr(self, name), MAX_SECONDS)
        effects = (self.status, self.headers, self.delay, self.delay_after, self.lose_reply, self.drop)
        others = (self.refuse, self.truncate, self.garbage, self.html, self.revoke_token)
        changes = (self.change_request, self.change_reply)
        # An empty body is an effect.
        if self.body is None and not any((*effects, *others, *changes)):
            raise ValueError("a fault needs an effect: status, body, delay, lose_reply, drop, ...")
        self._refuse_contradictions()
        try:
            self._pattern = re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path must be a regular expression, not {self.path!r}: {error}") from None
        self._chance = random.Random(self.seed)

    def _refuse_contradictions(self) -> None:
        unanswered = [name for name in ("drop", "refuse", "lose_reply") if getattr(self, name)]
        answer = ("status", "headers", "html", "garbage", "truncate", "change_reply")
        told = [name for name in answer if getattr(self, name)] + ["body"] * (self.body is not None)
        if unanswered and told:
            raise ValueError(f"{unanswered[0]} sends no answer, so {', '.join(told)} cannot be")
        if self.drop and self.lose_reply:
            raise ValueError("drop hangs up before the call is carried out, lose_reply after it")
        if self.apply and (self.drop or self.revoke_token or (self.refuse and not self.lose_reply)):
            raise ValueError("apply cannot be with drop, refuse or revoke_token: they end the call before it")
        for name, value in self.headers.items():
            if name.lower() in _FRAMING:
                raise ValueError(f"headers: {name} is the sandbox's own; truncate=True cuts an answer short")
            if value is not None:
                header_text(f"headers: {name!r}", value)
            if not re.fullmatch(r"[\w-]+", name):
                raise ValueError(f"headers: {name!r} is no name of a header")

    def hit(self, method: str, path: str) -> bool:
        """Count a call, and tell whether it is hit; it is up to the caller to count the hit."""
        if self.method is not None and self.method.upper() != method.upper():
            return False
        if not self._pattern.search(path):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.seen >= self.nth + self.times):
            return False
        return self.probability is None or self._chance.random() < self.probability

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
        """Find the fault that hits a call: the oldest, if several could.

        The younger ones do not count the call, so that faults for the next call hit one after the other.
        """
        with self._lock:
            hit = next((fault for fault in self._faults if fault.hit(method, path)), None)
            if hit is not None:
                hit.hits += 1
            return hit

    def list(self) -> list[dict[str, Any]]:
        """Describe all faults, with how many calls each has seen and hit."""
        with self._lock:
            return [fault.as_dict() for fault in self._faults]
