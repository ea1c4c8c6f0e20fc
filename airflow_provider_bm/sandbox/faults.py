"""Scripted faults: which calls fail, and how."""

from __future__ import annotations

import itertools
import math
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_bm.sandbox.arguments import header_text, number

#: Default of ``times``: once, or with a probability always.
DEFAULT_TIMES: Final = -1

#: A day: the maximum of delays and downtimes.
MAX_SECONDS: Final = 86_400.0

#: Headers that delimit a reply: another value would break the next reply, too.
_FRAMING: Final = ("content-length", "transfer-encoding")

#: Types of the fields of a fault, in words and as types. They may come from JSON.
_KINDS: Final[tuple[tuple[str, type | tuple[type, ...], tuple[str, ...]], ...]] = (
    ("text", str, ("method", "path")),
    ("a whole number", int, ("nth", "times", "status", "seed")),
    ("a number", (int, float), ("probability",)),
    ("true or false", bool, ("lose_reply", "drop", "truncate", "garbage", "html", "revoke_token", "apply")),
    ("an object of names and values", Mapping, ("headers", "change_request", "change_reply")),
)

#: The part of a path that is searched, and the maximum of steps that may take.
_MAX_PATH_LENGTH: Final = 200
_MAX_STEPS: Final = 1e8


@dataclass
class Fault:
    """A fault. See :meth:`.Sandbox.fault` for its fields."""

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
        """Reject arguments without effect, so that a typo does not disable a fault."""
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
            raise ValueError("times must be at least 1, or None for all calls")
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
        self._check_contradictions()
        self._pattern = _pattern(self.path or "")
        self._chance = random.Random(self.seed)

    def _check_contradictions(self) -> None:
        unanswered = [name for name in ("drop", "refuse", "lose_reply") if getattr(self, name)]
        answer = ("status", "headers", "html", "garbage", "truncate", "change_reply")
        changed = [name for name in answer if getattr(self, name)] + ["body"] * (self.body is not None)
        if unanswered and changed:
            raise ValueError(f"{unanswered[0]} sends no reply, so it excludes {', '.join(changed)}")
        if self.drop and self.lose_reply:
            raise ValueError("drop hangs up before the call is applied, lose_reply after it: choose one")
        if self.apply and (self.drop or self.revoke_token or (self.refuse and not self.lose_reply)):
            raise ValueError(
                "apply excludes drop, refuse and revoke_token, which end the call before it is applied"
            )
        for name, value in self.headers.items():
            if name.lower() in _FRAMING:
                raise ValueError(f"headers: {name} cannot be changed; truncate=True cuts a reply short")
            if value is not None:
                header_text(f"headers: {name!r}", value)
            if not re.fullmatch(r"[\w-]+", name):
                raise ValueError(f"headers: {name!r} is not the name of a header")

    def hit(self, method: str, path: str) -> bool:
        """Count a call, and return whether it is hit; the caller counts the hit."""
        if self.method is not None and self.method.upper() != method.upper():
            return False
        if not self._pattern.search(path[:_MAX_PATH_LENGTH]):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.seen >= self.nth + self.times):
            return False
        return self.probability is None or self._chance.random() < self.probability

    @property
    def applies(self) -> bool:
        """Whether the call is applied."""
        return self.apply or (self.status is None and not self.html)

    def as_dict(self) -> dict[str, Any]:
        """Return its fields, without the effects that it does not have."""
        fields = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        always = ("id", "nth", "times", "seen", "hits")
        # An empty body and a probability of 0 are effects; other empty fields are not set.
        may_be_empty = ("body", "probability")
        return {n: v for n, v in fields.items() if n in always or v or (n in may_be_empty and v is not None)}


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern that is fast to search in any path."""
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"path must be a regular expression, not {text!r}: {error}") from None
    plain = re.sub(r"\\.|\(\?", "", text)
    repeats, choices = len(re.findall(r"[*+{]", plain)), len(re.findall(r"[?|]", plain))
    # A repeat may end anywhere, and each choice be tried twice.
    steps = _MAX_PATH_LENGTH ** min(repeats + 1, 9) / math.factorial(repeats + 1) * 2 ** min(choices, 99)
    if steps > _MAX_STEPS or re.search(r"\)[*+{]", plain):
        raise ValueError(f"path {text!r} could take too long: repeat no group, and use fewer of * + {{ ? |")
    return pattern


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Add a fault."""
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """Remove all faults, or one.

        :raises ValueError: there is none with this id
        """
        with self._lock:
            left = [] if fault_id is None else [fault for fault in self._faults if fault.id != fault_id]
            if fault_id is not None and len(left) == len(self._faults):
                raise ValueError(f"there is no fault {fault_id}")
            self._faults = left

    def match(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits a call: the oldest, if several could.

        Newer faults do not count the call, so that faults for the next call hit one after the other.
        """
        with self._lock:
            hit = next((fault for fault in self._faults if fault.hit(method, path)), None)
            if hit is not None:
                hit.hits += 1
            return hit

    def list(self) -> list[dict[str, Any]]:
        """Return all faults, with the number of calls that each has seen and hit."""
        with self._lock:
            return [fault.as_dict() for fault in self._faults]
