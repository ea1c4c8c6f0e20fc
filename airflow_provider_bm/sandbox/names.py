"""Name policies: changes that real servers make to the name of a campaign before they store it."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from airflow_provider_bm.sandbox.arguments import choice

#: Characters outside the Basic Multilingual Plane, which MySQL's ``utf8`` cannot store. Most emoji are.
_EMOJI: Final = re.compile("[\U00010000-\U0010ffff]")
_CUT: Final = re.compile(r"cut:([1-9][0-9]{0,5})", re.ASCII)

_POLICIES: Final[dict[str, Callable[[str], str]]] = {
    "trim": str.strip,
    "collapse": lambda name: " ".join(name.split()),
    "cut_at_emoji": lambda name: _EMOJI.split(name)[0],
    "emoji_to_question_mark": lambda name: _EMOJI.sub("?", name),
    "escape_html": html.escape,
    "nfc": lambda name: unicodedata.normalize("NFC", name),
    "upper": str.upper,
}


def name_policy(policy: str | None) -> Callable[[str], str]:
    """Return the function that changes names according to a policy.

    :param policy: ``trim``, ``collapse`` (white space), ``cut:40`` (to 40 characters), ``cut_at_emoji``,
        ``emoji_to_question_mark``, ``escape_html``, ``nfc`` or ``upper``; None stores names unchanged
    :raises ValueError: there is no such policy
    """
    if policy is None:
        return str
    cut = _CUT.fullmatch(policy) if isinstance(policy, str) else None
    if cut:
        return lambda name: name[: int(cut[1])]
    return _POLICIES[choice("name_policy", policy, (*_POLICIES, "cut:<length>"))]
