"""Names of a package that are imported when they are first used (PEP 562).

Airflow parses DAG files repeatedly: they should import only the operators that they use.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(
    namespace: dict[str, Any], modules: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    :param namespace: the package's ``globals()``; caches names that have been used
    :param modules: modules of the package, and the names in each, separated by spaces
    """
    package: str = namespace["__name__"]
    module_of = {name: f"{package}.{module}" for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(module_of[name]), name)
        return value

    def names() -> list[str]:
        return sorted({*namespace, *module_of})

    return get, names
