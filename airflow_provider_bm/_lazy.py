"""Names of a package that load their module when they are first asked for (PEP 562).

A DAG file is read again and again: it should load the operators that it uses, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(
    namespace: dict[str, Any], homes: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__``.

    :param namespace: the package's ``globals()``; a name stays there once it was asked for
    :param homes: modules of the package, and the names to be had from each, separated by spaces
    """
    package: str = namespace["__name__"]
    home_of = {name: f"{package}.{module}" for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(home_of[name]), name)
        return value

    def names() -> list[str]:
        return sorted({*namespace, *home_of})

    return get, names
