"""Labels for campaigns in logs and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: The key in front of a campaign's name: that of a task instance, ``[7241509342138156] Storm warning``, or
#: that of a row of a batch, ``[7241509342138156.309265041748] Storm Zurich``.
_KEY = re.compile(r"\s*\[[0-9a-f]{16}(?:\.[0-9a-f]{12})?\]\s*", re.IGNORECASE)


def name_without_key(name: str) -> str:
    """Return a campaign's name as a person wrote it, without the key of the task instance."""
    return _KEY.sub("", name, count=1) if _KEY.match(name) else name


def campaign_label(uuid: str, campaign: Mapping[str, Any] | None = None) -> str:
    """Return a campaign's UUID and name, to use in a sentence: ``1592695e-… 'Storm warning'``.

    :param uuid: the campaign's UUID
    :param campaign: the campaign, if it has been read
    """
    name = (campaign or {}).get("name")
    return f"{uuid} {name_without_key(name)!r}" if isinstance(name, str) and name.strip() else uuid
