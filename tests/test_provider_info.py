"""The provider info is valid and correct, and Airflow's UI shows it."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

import airflow_provider_bm
from airflow_provider_bm.client import connection
from airflow_provider_bm.provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR, get_provider_info
from tools.airflow_env import airflow_version

AIRFLOW = Path(airflow.__file__).parent
INFO = get_provider_info()
(CONNECTION_TYPE,) = INFO["connection-types"]
VERSION = tuple(map(int, airflow_version().split(".")[:2]))
WHOLE_FORM_IN_INFO = VERSION >= (3, 2)


def schema(name: str) -> dict[str, Any]:
    return json.loads((AIRFLOW / name).read_text())


def test_provider_info_is_valid_for_airflow_at_run_time():
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_parts_are_valid_for_airflow_own_providers():
    # The stricter schema, of the file from which Airflow's own providers make their info. It knows the
    # form since 3.2; the address of a documentation and the like are only for Airflow's own.
    strict = schema("provider.yaml.schema.json")
    for key in ("connection-types", "operators", "sensors", "hooks", "triggers", "extra-links", "versions"):
        jsonschema.validate(INFO[key], strict["properties"][key])
    if VERSION >= (3, 0):
        jsonschema.validate(INFO["asset-uris"], strict["properties"]["asset-uris"])
    if WHOLE_FORM_IN_INFO:
        assert "conn-fields" in strict["properties"]["connection-types"]["items"]["properties"]


def test_provider_is_found_by_its_entry_point():
    (entry_point,) = [
        point
        for point in importlib.metadata.entry_points(group="apache_airflow_provider")
        if point.value.startswith("airflow_provider_bm")
    ]
    assert entry_point.load() is get_provider_info
    assert entry_point.dist is not None
    assert entry_point.dist.name == INFO["package-name"]


def test_version_is_the_package_version():
    assert INFO["versions"][0] == airflow_provider_bm.__version__
    assert importlib.metadata.version("airflow-provider-bm") == airflow_provider_bm.__version__


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_modules_exist(kind):
    for entry in INFO[kind]:
        for module in entry["python-modules"]:
            importlib.import_module(module)


def test_classes_exist():
    for path in [*INFO["extra-links"], CONNECTION_TYPE["hook-class-name"]]:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type), path


def test_asset_functions_exist():
    (assets,) = INFO["asset-uris"]
    assert assets["schemes"] == ["bm"]
    for key in ("handler", "factory"):
        module, _, name = assets[key].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def test_hook_agrees_with_the_provider_info():
    from airflow_provider_bm.hooks import BMHook

    assert BMHook.conn_type == CONNECTION_TYPE["connection-type"]
    assert BMHook.hook_name == CONNECTION_TYPE["hook-name"]
    assert BMHook.get_ui_field_behaviour() == UI_FIELD_BEHAVIOUR
    assert BMHook.default_conn_name == "bm_default"


def test_form_has_exactly_the_known_extras():
    assert set(CONN_FIELDS) == set(connection.EXTRAS)


@pytest.mark.parametrize("name", sorted(CONN_FIELDS))
def test_fields_have_descriptions_and_are_optional(name):
    field = CONN_FIELDS[name]
    assert field["label"]
    assert field["label"] != name
    assert field["description"].endswith(
        (".", f"/{name.removesuffix('_url')}", "access-token", "/news/v1", "}")
    )
    # A type without "null" would be required, and a field left alone is saved as null.
    assert "null" in field["schema"]["type"]


def test_airflow_loads_the_provider(caplog):
    manager = ProvidersManager()
    manager.initialize_providers_list()

    assert manager.providers["airflow-provider-bm"].version == airflow_provider_bm.__version__
    try:
        from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
    except ImportError:
        hook = manager.hooks["bm"]
    else:
        hook = ProvidersManagerTaskRuntime().hooks["bm"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_bm.hooks.BMHook"
    assert hook.hook_name == "Business Messenger"
    assert hook.connection_id_attribute_name == "bm_conn_id"
    assert "airflow_provider_bm.links.bm.BMCampaignLink" in manager.extra_links_class_names
    complaints = [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")]
    assert not [text for text in complaints if "bm" in text.lower()]


@pytest.mark.skipif(
    (3, 0) <= VERSION < (3, 2),
    reason="3.0 and 3.1 read the hook's form if FAB, or a mock of it, is installed",
)
def test_airflow_shows_the_form():
    manager = ProvidersManager()
    behaviour = manager.field_behaviours["bm"]
    assert behaviour["hidden_fields"] == ["port"]
    assert behaviour["relabeling"]["schema"] == "Service UUID"

    fields = [key for key in manager.connection_form_widgets if key.startswith("extra__bm__")]
    assert [key.removeprefix("extra__bm__") for key in fields] == list(CONN_FIELDS)


@pytest.mark.skipif(not WHOLE_FORM_IN_INFO, reason="Airflow before 3.2 reads the form from the hook")
def test_airflow_shows_the_fields_as_described():
    widgets = ProvidersManager().connection_form_widgets
    for name, field in CONN_FIELDS.items():
        shown = widgets[f"extra__bm__{name}"].field
        assert shown["schema"]["title"] == field["label"]
        assert shown["description"] == field["description"]
        assert shown["value"] == field["schema"].get("default")
