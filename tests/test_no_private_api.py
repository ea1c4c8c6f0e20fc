"""The package uses no private name of Airflow, except in the modules listed here.

A private name can change in any Airflow release. Where Airflow offers nothing else, the use is in a `_compat`
module, which reports clearly that the name is gone.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_bm
from tools.airflow_env import is_airflow_2

PACKAGE = Path(airflow_provider_bm.__file__).parent
#: Modules that may use private names of Airflow.
ALLOWED = {"_compat.py", "testing/_compat.py"}
#: Packages without Airflow, as `make layers` ensures.
WITHOUT_AIRFLOW = {"campaigns", "client", "idempotency", "polling", "sandbox", "waiting"}

_MANGLED = re.compile(r"^_[A-Za-z]\w*__\w+$")


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name not in ALLOWED and name.split("/")[0] not in WITHOUT_AIRFLOW:
            yield name, path.read_text()


def private_names(source: str) -> list[str]:
    """List the private names in a module's source that the module does not define itself."""
    found = []
    nodes = list(ast.walk(ast.parse(source)))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_own(node.value)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if not node.level and module.split(".")[0] == "airflow":
                names = [*module.split("."), *(alias.name for alias in node.names)]
                found += [f"from {module} import {name}" for name in names if is_private(name)]
        elif isinstance(node, ast.Import):
            found += [
                f"import {alias.name}"
                for alias in node.names
                if alias.name.split(".")[0] == "airflow" and any(map(is_private, alias.name.split(".")))
            ]
        elif isinstance(node, ast.Attribute):
            if _MANGLED.match(node.attr):
                found.append(f".{node.attr}")
            elif is_private(node.attr) and node.attr not in own:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if _MANGLED.match(text) or re.match(r"^airflow\.(\w+\.)*_[a-z]\w*(\.|$)", text):
                found.append(repr(text))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
            name = node.args[1] if len(node.args) > 1 else None
            if isinstance(name, ast.Constant) and is_private(str(name.value)) and not _is_own(node.args[0]):
                found.append(ast.unparse(node))
    return found


def _is_own(value: ast.expr) -> bool:
    """Private attributes of self, cls and super() are checked by class, below."""
    return ast.unparse(value) in ("self", "cls", "super()", "type(self)")


@pytest.mark.parametrize(
    "source",
    [
        "from airflow.sdk._shared import x",
        "from airflow.sdk import _x",
        "import airflow.sdk._shared.x",
        "ti._run_raw_task()",
        "getattr(ti, '_state')",
        "operator._BaseOperator__instantiated",
        "setattr(operator, '_BaseOperator__instantiated', True)",
        "import_module('airflow.sdk._shared')",
        "patch('airflow.models.dag._run_task')",
    ],
)
def test_the_search_finds_private_names(source):
    assert private_names(source)


def test_no_module_uses_a_private_name():
    found = {name: names for name, source in sources() if (names := private_names(source))}
    assert found == {}


def our_classes() -> Iterator[type]:
    """All classes of the package that have an Airflow class as a base."""
    seen = set()
    for info in pkgutil.walk_packages([str(PACKAGE)], "airflow_provider_bm."):
        if info.name.endswith("__main__"):
            continue
        if is_airflow_2() and info.name.endswith("triggers.event"):
            continue  # Airflow 2 has no event triggers.
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if isinstance(cls, type) and is_ours(cls) and any(map(is_airflows, cls.__mro__)):
                seen.add(cls)
    yield from sorted(seen, key=lambda cls: cls.__qualname__)


def is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("airflow_provider_bm", "tests")


def is_airflows(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "airflow"


def private_names_of_airflow(cls: type) -> set[str]:
    """Private attributes that the Airflow bases of a class define, in the class or on `self`."""
    names: set[str] = set()
    for base in filter(is_airflows, cls.__mro__):
        names |= {name for name in vars(base) if is_private(name)}
        names |= set(re.findall(r"\bself\.(_\w+)", inspect.getsource(base)))
    return {name for name in names if is_private(name)}


def private_uses(cls: type) -> set[str]:
    """Private attributes that our classes of its MRO define or use."""
    names: set[str] = set()
    for base in filter(is_ours, cls.__mro__):
        names |= {name for name in vars(base) if is_private(name)}
        names |= set(re.findall(r"\b(?:self|cls|super\(\))\.(_\w+)", inspect.getsource(base)))
    # Airflow caches this on the class of a task that it serializes.
    names.discard("_BaseOperator__serialized_fields")
    return {name for name in names if is_private(name) and not name.startswith("_abc_")}


def test_no_class_overrides_or_uses_a_private_name_of_its_airflow_base():
    classes = list(our_classes())
    assert {"BMHook", "BMCampaignSensor", "BMCampaignTrigger", "BMCreateCampaignOperator"} <= {
        cls.__name__ for cls in classes
    }
    found = {
        cls.__name__: shared
        for cls in classes
        if (shared := private_uses(cls) & private_names_of_airflow(cls))
    }
    assert found == {}


def test_the_search_finds_an_overridden_method():
    from airflow.providers.common.compat.sdk import BaseOperator

    class Overriding(BaseOperator):
        def _do_render_template_fields(self) -> None: ...

    assert private_uses(Overriding) & private_names_of_airflow(Overriding) == {"_do_render_template_fields"}
