"""The response check of HttpEventTrigger, which imports this module again for each response."""

from __future__ import annotations

from typing import Any


async def finished(response: Any) -> bool:
    return bool(response.json()["status"] == "finished")
