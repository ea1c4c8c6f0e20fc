"""What HttpEventTrigger asks about each response. It imports this module anew for every single one."""

from __future__ import annotations

from typing import Any


async def finished(response: Any) -> bool:
    return bool(response.json()["status"] == "finished")
