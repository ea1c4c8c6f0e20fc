"""Settings of a sandbox that can be changed while it runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from airflow_provider_bm.sandbox.arguments import boolean, number
from airflow_provider_bm.sandbox.clock import MAX_SECONDS
from airflow_provider_bm.sandbox.names import name_policy


@dataclass(frozen=True)
class Settings:
    """See the properties of the same names of :class:`.Sandbox`.

    :raises ValueError: a value is invalid
    """

    token_lifetime: float = 604_800.0
    execution_seconds: float = 2.0
    ignore_filters: bool = False
    name_policy: str | None = None

    def __post_init__(self) -> None:
        """Validate the values."""
        number("token_lifetime", self.token_lifetime, MAX_SECONDS)
        number("execution_seconds", self.execution_seconds, MAX_SECONDS)
        boolean("ignore_filters", self.ignore_filters)
        name_policy(self.name_policy)


#: Names of all settings.
SETTINGS: Final = tuple(field.name for field in dataclasses.fields(Settings))
